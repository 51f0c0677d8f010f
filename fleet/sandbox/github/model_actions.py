"""What the sandbox knows of Actions: secrets, variables, workflows and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from nacl.public import PrivateKey

if TYPE_CHECKING:
    from fleet.sandbox.github.actions.log import Annotation
    from fleet.sandbox.github.clock import Veil
    from fleet.sandbox.github.model import Account, Repository
    from fleet.sandbox.github.model_pulls import Pull

Behaviour = Literal["run", "queue", "hang", "fail", "cancel", "green"]
"""What becomes of a run: it really runs; it never starts; it starts and never ends; it fails; it is cancelled; or it
succeeds without having pushed anything."""


@dataclass(slots=True)
class Secret:
    """A secret of Actions: its plain value never leaves the sandbox."""

    name: str
    value: str = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Variable:
    """A variable of Actions."""

    name: str
    value: str
    created_at: datetime
    updated_at: datetime


Audience = Literal["all", "private", "selected"]


@dataclass(slots=True)
class OrganizationSecret(Secret):
    """A secret that an organisation gives to repositories: to all, to private ones, or to those `selected`, by id."""

    visibility: Audience = "all"
    selected: set[int] = field(default_factory=set)


@dataclass(slots=True)
class OrganizationVariable(Variable):
    """A variable that an organisation gives to repositories, as it does secrets."""

    visibility: Audience = "all"
    selected: set[int] = field(default_factory=set)


def is_given(one: OrganizationSecret | OrganizationVariable, repository: Repository) -> bool:
    """Whether a repository of the organisation gets what it keeps.

    https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/use-secrets
    """
    if one.visibility == "selected":
        return repository.id in one.selected
    return one.visibility == "all" or repository.private


class Vault(Protocol):
    """What secrets are sealed for: an organisation, a repository, or one of its environments."""

    id: int
    key: PrivateKey


class OwnVault(Vault, Protocol):
    """What holds secrets and variables of its own: a repository, or one of its environments."""

    secrets: dict[str, Secret]
    variables: dict[str, Variable]


@dataclass(slots=True)
class Environment:
    """An environment of a repository: what jobs that name it get, once its rules let them.

    `policy` says which branches may deploy: any, protected ones, or those that match `branches`, patterns by number.
    """

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    policy: Literal["any", "protected", "custom"] = "any"
    branches: dict[int, tuple[str, str]] = field(default_factory=dict)
    wait_timer: int = 0
    reviewers: list[Account] = field(default_factory=list)
    prevent_self_review: bool = False
    key: PrivateKey = field(default_factory=PrivateKey.generate, repr=False)
    secrets: dict[str, Secret] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class StepRun:
    """One step of a job as it ran; `message` says why it failed, for people: it holds no secret."""

    number: int
    name: str
    status: Literal["queued", "in_progress", "completed"] = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    message: str = ""


@dataclass(slots=True)
class JobRun:
    """One job of a run as it ran; `log` and `summary` are as people see them, `process` is the script that runs now.
    `turn` is when it joined its group, in the order of all that did."""

    id: int
    job: str
    name: str
    labels: tuple[str, ...]
    created_at: datetime
    steps: list[StepRun]
    status: Literal["queued", "waiting", "in_progress", "completed"] = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    group: str = ""
    turn: int = 0
    log: str = ""
    summary: str = ""
    annotations: list[Annotation] = field(default_factory=list)
    process: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """Files that a run keeps under a name."""

    id: int
    name: str
    files: Mapping[str, bytes]
    created_at: datetime


@dataclass(slots=True)
class WorkflowRecord:
    """A workflow file that has been seen in a repository."""

    id: int
    path: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a run: an event at a head commit, and the commit to check out, which differs for pull requests.

    A push has where the ref stood `before`, what happens to a `pull` request an `action`, a schedule its `cron`.
    """

    event: str
    ref: str
    head_sha: str
    sha: str
    actor: Account
    inputs: Mapping[str, str] = field(default_factory=dict)
    head_branch: str = ""
    base_branch: str = ""
    from_fork: bool = False
    before: str = "0" * 40
    action: str = ""
    pull: Pull | None = None
    cron: str = ""

    @property
    def branch(self) -> str:
        """The branch or tag that the head is on."""
        return self.head_branch or self.ref.split("/", 2)[2]


@dataclass(slots=True)
class Run:
    """One run of a workflow at a commit."""

    id: int
    repository: Repository
    workflow: WorkflowRecord
    name: str
    number: int
    check_suite: int
    trigger: Trigger
    veil: Veil
    created_at: datetime
    updated_at: datetime
    started_at: datetime
    group: str = ""
    turn: int = 0
    attempt: int = 1
    status: Literal["queued", "waiting", "in_progress", "completed"] = "queued"
    conclusion: str | None = None
    jobs: list[JobRun] = field(default_factory=list)
    message: str = ""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
