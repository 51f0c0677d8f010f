"""What the sandbox knows: accounts, tokens, repositories and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from nacl.public import PrivateKey

from fleet.sandbox.github.clock import Lag, Veil
from fleet.sandbox.github.model_actions import (
    Behaviour,
    Environment,
    OrganizationSecret,
    OrganizationVariable,
    Run,
    Secret,
    Variable,
    WorkflowRecord,
)
from fleet.sandbox.github.model_pulls import Check, Pull, Status

Level = Literal["read", "write"]
Role = Literal["admin", "write", "read"]
Visibility = Literal["public", "private"]
VISIBILITIES: tuple[Visibility, ...] = ("public", "private")

_PERMISSIONS = (
    "actions",
    "actions_variables",
    "administration",
    "contents",
    "environments",
    "issues",
    "metadata",
    "organization_actions_variables",
    "organization_administration",
    "organization_secrets",
    "pull_requests",
    "secrets",
    "statuses",
    "workflows",
)
EVERYTHING: Mapping[str, Level] = dict.fromkeys(_PERMISSIONS, "write")
"""Every permission of a fine-grained token that the sandbox knows.

https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
"""


@dataclass(slots=True)
class Account:
    """A user, or an organisation with its members."""

    id: int
    login: str
    kind: Literal["User", "Organization", "Bot"]
    created_at: datetime
    name: str = ""
    members: dict[str, Literal["admin", "member"]] = field(default_factory=dict)
    base_permission: Role = "read"
    default_branch: str = "main"
    members_can_create_public: bool = True
    members_can_create_private: bool = True
    private_repositories: int = 10_000
    """How many the plan allows."""
    enabled_repositories: Literal["all", "none", "selected"] = "all"
    allowed_actions: Literal["all", "local_only", "selected"] = "all"
    allowed_patterns: tuple[str, ...] = ()
    key: PrivateKey = field(default_factory=PrivateKey.generate, repr=False)
    secrets: dict[str, OrganizationSecret] = field(default_factory=dict)
    variables: dict[str, OrganizationVariable] = field(default_factory=dict)

    def members_can_create(self, visibility: Visibility) -> bool:
        """Whether members of this organisation, who are not its owners, may create such repositories."""
        return self.members_can_create_public if visibility == "public" else self.members_can_create_private

    @property
    def email(self) -> str:
        """The address that hides the real one."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(frozen=True, slots=True)
class Token:
    """What a client shows: whose it is, and what it may do.

    A classic token has `scopes`; a fine-grained one has `rights` by permission, and may be held to `repositories`.
    One of an App's installation has `rights` at the account `installed_at` and nowhere else.
    """

    value: str = field(repr=False)
    owner: str
    rights: Mapping[str, Level] = field(default_factory=lambda: EVERYTHING)
    scopes: frozenset[str] | None = None
    repositories: frozenset[str] | None = None
    expires_at: datetime | None = None
    installed_at: Account | None = None


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules on the branches that its conditions match."""

    id: int
    name: str
    enforcement: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    rules: tuple[Mapping[str, Any], ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Protection:
    """What a protected branch asks of a push: checks by name, a number of reviews; of admins too or not."""

    required_checks: tuple[str, ...] = ()
    required_reviews: int = 0
    enforce_admins: bool = True


@dataclass(frozen=True, slots=True)
class Pending:
    """Contents that a generated repository will get once the veil lifts."""

    veil: Veil
    tree: str
    author: Account
    push: bool


@dataclass(slots=True)
class Repository:
    """One repository; `refs` mirrors what lies in `bare`."""

    id: int
    owner: Account
    name: str
    bare: Path
    created_at: datetime
    updated_at: datetime
    pushed_at: datetime
    description: str | None = None
    homepage: str | None = None
    visibility: Visibility = "public"
    default_branch: str = "main"
    archived: bool = False
    is_template: bool = False
    template: Repository | None = None
    topics: tuple[str, ...] = ()
    settings: dict[str, bool] = field(default_factory=dict)
    collaborators: dict[str, Role] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    veil: Veil | None = None
    pending: Pending | None = None
    key: PrivateKey = field(default_factory=PrivateKey.generate, repr=False)
    secrets: dict[str, Secret] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    """By their names in lower case."""
    actions_enabled: bool = True
    allowed_actions: Literal["all", "local_only", "selected"] = "all"
    allowed_patterns: tuple[str, ...] = ()
    rulesets: dict[int, Ruleset] = field(default_factory=dict)
    protection: dict[str, Protection] = field(default_factory=dict)
    workflows: dict[str, WorkflowRecord] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    pulls: dict[int, Pull] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    builds: Behaviour | None = None
    """What becomes of this repository's runs, where it differs from the sandbox's setting."""

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner.login}/{self.name}"

    @property
    def private(self) -> bool:
        """Whether strangers don't see it."""
        return self.visibility != "public"

    @property
    def head(self) -> str | None:
        """The commit at the default branch; None while the repository is empty."""
        return self.refs.get(f"refs/heads/{self.default_branch}")


@dataclass(frozen=True, slots=True)
class Push:
    """A branch or tag was moved; ids of 40 zeros stand for "did not exist" and "was deleted"."""

    repository: Repository
    ref: str
    old: str
    new: str
    actor: Account


@dataclass(slots=True)
class Settings:
    """How the sandbox behaves where GitHub's behaviour varies; tests change it at any time."""

    generate_lag: Lag = field(default_factory=lambda: Lag(requests=2))
    """When a generated repository gets its contents."""
    generate_pushes: bool = True
    """Whether the first commit of a generated repository starts workflows of its own."""
    repository_lag: Lag = field(default_factory=Lag)
    """When a created repository is found."""
    run_lag: Lag = field(default_factory=Lag)
    """When a run shows in lists after the push that started it."""
    builds: Behaviour = "run"
    """What becomes of runs."""
    graphql_broken: set[str] = field(default_factory=set)
    """Repositories, by full name in lower case, that GraphQL answers with null and an error."""
    graphql_most_repositories: int | None = None
    """How many repositories GraphQL looks up in one query before the rest are null with an error."""
