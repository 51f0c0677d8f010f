"""The provider contract: all that fleet asks of an outside service, and all that a provider may use of fleet.

A provider is a class found by an entry point of the group `fleet.providers`. It takes one or more *roles*:

- every provider can `read` and `apply` the kinds of things it makes;
- a `Registry` also says where an image lives there and what its tags mean;
- an `Issuer` also issues credentials that its service shows once;
- a `CodeHost` also reads and commits files;
- a `HubTarget` also says which slots of a hub it sets.

Rules for authors (the contract suite in `fleet.testing` checks them):

1. `__init__` makes no request.
2. `read` answers for everything it is asked in as few requests as the service allows; what does not exist is left
   out. It answers in the same spec types that the configuration produces, already normalised, so that the core's
   comparison is `==`.
3. `apply` works from *any* state of the world, because a resumed change starts wherever a crash left it, and after
   it `read` returns `after`. Where one change takes several calls, the call that makes it equal `after` comes last.
4. `reveal` answers with a secret at the moment of use; nothing keeps, logs or prints it.
5. Errors: a passing trouble (429, 5xx, a refused connection) is `TryAgain`; an answer lost after a write was sent is
   `Unsure`; a refusal is `ProviderError` in one sentence that names what to do. Anything else is a bug and escapes.
6. No printing, no sleeping, no retrying, no threads, no reading of the environment: call `context.spend()` before
   each request, and the core waits, counts and gives up in one place. Where a read takes a request per thing, make
   them through `context.each`: the core may do several at once, and repeats one that fails in passing without
   repeating the others.

For HTTP there is `context.http()`, which counts requests and keeps rule 5, and for any OCI registry `OciClient`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from fleet.branch import Branch, Swap, Swapped
from fleet.each import Each, one_by_one
from fleet.errors import Conflict, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.gitblob import blob_id
from fleet.model import (
    Action,
    Address,
    Change,
    Frozen,
    Objection,
    Owned,
    Resource,
    Secret,
    SecretRef,
    Spec,
)
from fleet.proposal import Logged, Proposal, Proposed, Text, proposal_branch
from fleet.reference import ImageReference, is_name, split_host
from fleet.secrets import SecretSource
from fleet.site import SiteReference, full_name

if TYPE_CHECKING:
    from fleet.http import HTTP2, Answer, Ask, Http, Timeouts, host_of, is_loopback
    from fleet.oci import Credentials, Denied, LoginRefused, Manifest, OciClient, Tag

__all__ = [
    "HTTP2",
    "Action",
    "Address",
    "Answer",
    "Ask",
    "Branch",
    "Build",
    "Change",
    "CodeHost",
    "CommitRequest",
    "Conflict",
    "Context",
    "Credential",
    "Credentials",
    "Denied",
    "Each",
    "Files",
    "Frozen",
    "Home",
    "Http",
    "HubTarget",
    "ImageReference",
    "Issued",
    "Issuer",
    "Limits",
    "Logged",
    "Login",
    "LoginRefused",
    "LoginStep",
    "Manifest",
    "Objection",
    "OciClient",
    "OutOfBudget",
    "OwnLogin",
    "Owned",
    "Proposal",
    "Proposed",
    "Provider",
    "ProviderError",
    "Receipts",
    "Registry",
    "RegistryImage",
    "Remark",
    "Resource",
    "Reveal",
    "Secret",
    "SecretRef",
    "SecretSource",
    "Settings",
    "SiteReference",
    "SourceRepository",
    "Spec",
    "Swap",
    "Swapped",
    "Tag",
    "Text",
    "Timeouts",
    "TryAgain",
    "Unsure",
    "Url",
    "Verdict",
    "blob_id",
    "full_name",
    "host_of",
    "is_loopback",
    "is_name",
    "no_keyless",
    "one_by_one",
    "proposal_branch",
    "split_host",
]

_LATE = {
    **dict.fromkeys(("HTTP2", "Answer", "Ask", "Http", "Timeouts", "host_of", "is_loopback"), "fleet.http"),
    **dict.fromkeys(("Credentials", "Denied", "LoginRefused", "Manifest", "OciClient", "Tag"), "fleet.oci"),
}
"""What is imported when a provider asks for it: a fleet without registries does not pay for it."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)


URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"

Url = Annotated[str, StringConstraints(pattern=URL)]
"""An http:// or https:// address without login, query or fragment, as a field of settings."""

Receipts = Mapping[Address, Mapping[str, Any]]
"""What a provider wants to be told again of an address it wrote (small JSON, never a secret): `context.recorded`."""

Reveal = Callable[[SecretRef], Secret]
"""Hands out a secret at the moment of use."""


class Settings(Frozen):
    """A provider's block in fleet.yaml; a provider subclasses it with the keys it knows. Nothing is coerced."""

    model_config = ConfigDict(strict=True)

    type: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a service may be used: requests at once, requests a second, tries for a passing trouble."""

    at_once: int = 4
    per_second: float | None = None
    attempts: int = 5


def _no_blob(oid: str) -> bytes:
    raise LookupError(f"the plan holds no contents {oid}")


@dataclass(frozen=True, slots=True)
class Context:
    """What the core lends to a provider: the fleet's name (the ownership marker), the folder of fleet.yaml, a way to
    read a secret source now, `spend`, called before each request (it waits, counts, and raises OutOfBudget), `each`
    for what takes a request per thing, and how long to wait for an answer.

    `recorded` gives the receipt that `apply` last returned for an address, `begun` whether a run that was killed was
    writing there, `wanted` the spec that the plan in hand wants there, and `blob` the contents that the plan holds
    under a git blob id. `cache` is a folder where answers may be kept for the next run, never a secret: to lose it
    costs requests and nothing else. None: keep nothing.
    """

    fleet: str
    folder: Path
    secret: Callable[[SecretSource], Secret]
    spend: Callable[[], None]
    each: Each = one_by_one
    timeouts: Timeouts | None = None
    recorded: Callable[[Address], Mapping[str, Any] | None] = lambda address: None
    begun: Callable[[Address], bool] = lambda address: False
    wanted: Callable[[Address], Spec | None] = lambda address: None
    cache: Path | None = None
    blob: Callable[[str], bytes] = _no_blob

    def http(self) -> Http:
        """A client that counts its requests and waits for answers as this run does."""
        from fleet.http import Http

        return Http(self.spend, self.timeouts)


class Provider(ABC):
    """One outside service, as an entry of fleet.yaml names it."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {}
    settings: ClassVar[type[Settings]] = Settings
    limits: Limits = Limits()
    """How hard the service may be used; `__init__` may set it anew where that depends on the settings."""

    def __init__(self, name: str, settings: Any, context: Context) -> None:
        self.name = name
        self.context = context

    def together(self, address: Address) -> str:
        """The key of what is written in one go; addresses with the same key are applied as one group. Pure."""
        return str(address)

    def cost(self, change: Change) -> int:
        """How many requests applying this change takes, about. Pure."""
        return 1

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands at these addresses now; an absent thing has no entry."""
        raise LookupError(f"{type(self).__name__} has no kinds to read")

    def preflight(self, changes: Collection[Change]) -> Mapping[Address, Objection]:
        """What the service is sure to refuse of these changes, looked up without a write; asked once for each plan.

        What cannot be known before is left out: then `apply` says it.
        """
        return {}

    def notices(self, changes: Collection[Change]) -> Sequence[str]:
        """What a person should know before these changes are made, looked up without a write; once for each plan."""
        return ()

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Receipts | Proposed | None:
        """Carry out one group, all or nothing, from whatever state the world is in; or propose it, and say where."""
        raise LookupError(f"{type(self).__name__} has no kinds to apply")

    def settle(self, addresses: Collection[Address], intended: Collection[str]) -> None:
        """Clear away what a run that was killed left half done at these addresses.

        `intended` holds the git blob ids of the file contents that it was about to write. The core calls this, under
        the lock, before the first read of the next apply.
        """

    def reveal(self, ref: SecretRef) -> Secret:
        """The secret that `ref` names, as of now; raises ProviderError where it cannot be shown."""
        raise ProviderError(f"{self.name} has no secret {ref.field} at {ref.source}")


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """What a registry needs to know of an image of fleet.yaml: its key there, and the settings that concern it."""

    key: str
    name: str
    """The name in the registry, without namespace; the source repository's name unless `name:` says otherwise."""
    source: str | None = None
    branch: str = "main"
    """The default branch of the source repository, where builds that push run."""
    description: str = ""
    visibility: str = "public"


@dataclass(frozen=True, slots=True)
class LoginStep:
    """A step of a workflow that logs in: an action by its name in the table of pins, its `id`, and its inputs.

    Inputs hold literals and expressions such as `${{ secrets.NAME }}`, never a secret itself.
    """

    name: str
    action: str
    id: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Login:
    """How a build logs in to push: the user name and password that its build step is given.

    Either is a literal or an expression (`${{ secrets.NAME }}`, `${{ steps.ID.outputs.NAME }}`). `secrets` says by name
    where each Actions secret is revealed; `steps` run before the build, with `permissions` beside `contents: read`.
    Secrets are named as repo2docker-action's own examples name them: https://github.com/jupyterhub/repo2docker-action
    """

    username: str
    password: str
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)
    permissions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[LoginStep, ...] = ()

    @classmethod
    def stored(cls, username: str, password: SecretRef, secret: str = "DOCKER_PASSWORD") -> Self:  # noqa: S107 - a name
        """A user name, and a password kept as the Actions secret `secret`."""
        return cls(username, f"${{{{ secrets.{secret} }}}}", {secret: password})


OWN_LOGIN, PASSWORD = "login", "password"
"""The kind and the field of an operator's own password, for one repository; it is no kind that is planned."""


class OwnLogin(Frozen):
    """An operator's own login: proved where it is to push, stored for it, never rotated or revoked."""

    model_config = ConfigDict(strict=True)

    username: Annotated[str, StringConstraints(min_length=1)] = Field(description="The user name.")
    password: SecretSource = Field(description="Where the password is found.")

    def credentials(self, context: Context) -> Credentials:
        """The user name and the password, read now."""
        from fleet.oci import Credentials

        return Credentials(self.username, context.secret(self.password))

    @staticmethod
    def reference(registry: str, repository: str) -> SecretRef:
        """What `Registry.reveal` is asked for: the password, to push to one repository of a registry of fleet.yaml."""
        return SecretRef(source=Address(registry, OWN_LOGIN, repository), field=PASSWORD)

    @staticmethod
    def is_asked_for(ref: SecretRef) -> bool:
        """Whether a reference is such a one; `ref.source.name` is the repository."""
        return (ref.source.kind, ref.field) == (OWN_LOGIN, PASSWORD)


def no_keyless(sentence: str) -> BeforeValidator:
    """Marks a setting `push` where builds cannot push without a stored secret: refuses `keyless` with a sentence."""

    def refused(value: object) -> object:
        if value == "keyless":
            raise ValueError(sentence)
        return value

    return BeforeValidator(refused)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an image lives in a registry: its full name, what must exist for it, and the login that may push there.

    `notes` are sentences for a person, such as a step that no API offers; a plan that changes something of the image
    shows them.
    """

    name: str
    resources: tuple[Resource, ...] = ()
    login: Login | None = None
    notes: tuple[str, ...] = ()


class Registry(Provider):
    """A provider where images live."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The first part of its images' names, such as `quay.io`. Pure."""

    @abstractmethod
    def home(self, image: RegistryImage) -> Home:
        """Where an image lives here and what it needs. Pure; raises ValueError for a name the registry won't take."""

    @abstractmethod
    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest each tag means now; a tag that does not exist has no entry."""

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image by its full name, newest first, page by page as they are asked for.

        Nothing for an image that is not there; raises ProviderError where the registry does not show it to this login,
        and where the provider has no way to list them.
        """
        raise ProviderError(f"fleet cannot list the tags of {name} by their date")

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What each image, named by its digest, runs on, as `os/architecture`; none for one that does not say."""
        return {}


class HubTarget(Provider):
    """A provider that tells one hub which images to start; what stands at its addresses are `SiteReference`s."""

    @abstractmethod
    def slots(self) -> Mapping[str, Address]:
        """The slots of the hub that are set here, each with its address. Pure."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that stands at an identity: the service's own name for it, and when it was made."""

    key: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that was just made: the service's own name for it, and what the service shows only now, by field."""

    key: str
    values: Mapping[str, Secret]


class Issuer(Provider):
    """A provider of credentials that fleet issues, and replaces one by another.

    Their service shows them once, unless they are `by_turns`. The core calls `issue` and `prove` while a code host
    stores the values, and `revoke` when they are stored and no build that could use an older one is running; the other
    way round, with the group still open, after a run that was killed. So of an identity's credentials the newest is the
    one that is stored, or about to be.
    """

    issuing: ClassVar[frozenset[str]]
    """The kinds of identity that a `SecretRef` of such a credential names as its source."""
    by_turns: ClassVar[bool] = False
    """Whether the service shows credentials again: `apply` then makes the first with the identity, and `issue` answers
    with one that stands there and was not stored, where that is no older than the stored one."""

    @abstractmethod
    def credentials(self, source: Address) -> Sequence[Credential]:
        """What stands at an identity, oldest first; nothing where there is no such identity."""

    def standing(self, sources: Collection[Address]) -> Mapping[Address, Sequence[Credential]]:
        """`credentials` of many identities; a service that lists them together says so here."""
        asked = list(sources)
        return dict(zip(asked, self.context.each(self.credentials, asked), strict=True))

    @abstractmethod
    def issue(self, source: Address, stored: str | None) -> Issued:
        """One more credential at an identity that exists. `stored` names the one that was stored last, if any is known.

        Two at most stand there afterwards: where there is no room, the oldest that is not `stored` makes it.
        """

    @abstractmethod
    def prove(self, source: Address, issued: Issued) -> None:
        """Make sure that a credential can push to its own repository; raises TryAgain where it is too new to work."""

    @abstractmethod
    def revoke(self, source: Address, keep: str) -> None:
        """Revoke all credentials of an identity but one; nothing where there is no other."""


@dataclass(frozen=True, slots=True)
class Files:
    """What stood in a repository at one moment: the branch, its head commit, and the files that were asked for.

    A file that does not exist has no entry. `head` and `branch` are empty for a folder without history. `refusal` says
    why a commit to this branch is sure to be refused, `warning` why it may be; empty where nothing speaks against it.
    """

    branch: str
    head: str
    contents: Mapping[str, bytes]
    refusal: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One commit to make: whole new contents by path, on a branch that must still be at `expected_head`.

    `unfinished` holds the git blob ids of contents that an earlier run of ours was writing when it died; a local
    checkout may find them in its working tree and finish the work.
    """

    repository: str
    branch: str
    expected_head: str
    contents: Mapping[str, bytes]
    message: str
    unfinished: Collection[str] = field(default=())


@dataclass(frozen=True, slots=True)
class SourceRepository:
    """What a code host needs to know of an image's source: its `repository`, and a `template` repository if any.

    `branch` is its default branch, and what it is to be where the repository is made from nothing.
    `seed` (first content, where there is no template repository) and `managed` (files kept up to date) are git blob ids
    by path; `secrets` says by name where each value is revealed, `variables` by name what builds may read; both lie in
    `environment` where it names one, open to builds of `branch` only. `needs` is what must exist first.
    """

    repository: str
    branch: str
    description: str
    visibility: str
    template: str | None
    seed: Mapping[str, str]
    managed: Mapping[str, str]
    secrets: Mapping[str, SecretRef]
    needs: tuple[Address, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    replace_secrets: bool = False
    overwrite_edits: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """What became of a commit's build: `success`, `failure` (with the step that failed), `running`, or `none`."""

    commit: str
    status: str
    url: str = ""
    failed_step: str = ""

    @property
    def tag(self) -> str:
        """The tag that repo2docker-action gives: the first 12 digits of the commit."""
        return self.commit[:12]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of a commit: `conclusion` is `success`, `failure`, `neutral` or `action_required`."""

    name: str
    conclusion: str
    title: str
    summary: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment of ours on a pull request: its number, the pull request's head, and the comment's text."""

    pull_request: int
    head: str
    body: str


class CodeHost(Provider):
    """A provider where repositories live."""

    def comment(self, repository: str, number: int, marker: str, body: str) -> str:
        """See that the pull request has one comment of ours that holds `marker`, and that it says `body`; its address.

        Others' comments are left alone, whatever they hold.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def judge(self, repository: str, commit: str, verdict: Verdict) -> str:
        """Put a check on a commit; returns its address."""
        raise LookupError(f"{type(self).__name__} has no checks")

    def remark_on(self, repository: str, commit: str, marker: str) -> Remark | None:
        """Our comment that holds `marker`, on the merged pull request that brought a commit; None without one."""
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def proposal(self, repository: str, branch: str, paths: Collection[str]) -> Proposal | None:
        """The newest proposal from a branch of ours, with these files as it has them; None where there never was one.

        A branch of the same name in somebody else's copy of the repository is not ours.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def propose(self, request: CommitRequest, branch: str, text: Text) -> str:
        """See that one proposal is open from `branch` that holds this commit and says `text`; its address.

        An open one is brought up to date, and never joined by a second. The commit lies on top of `expected_head`.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def proposals(self, changes: Collection[Change]) -> Mapping[Address, Proposal]:
        """For changes that `apply` would propose: the proposals, open or closed unmerged, that hold just that."""
        return {}

    def commits(self, repository: str, old: str, new: str) -> Sequence[Logged]:
        """The commits after `old` up to `new` (first digits of ids), newest first; none where that is not known."""
        return ()

    def workshop(self, source: SourceRepository) -> tuple[Resource, ...]:
        """What must exist for an image's source, the files that start its build last. Pure."""
        raise ValueError(f"{self.name} makes no source repositories")

    def builds(self, repository: str, workflow: str) -> Sequence[Build]:
        """The builds of the default branch's newest commits, from its head backwards along first parents, bounded."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def build_of(self, repository: str, commit: str, workflow: str) -> Build:
        """What became of one commit's build (its latest attempt)."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def running(self, repository: str, workflow: str) -> Mapping[str, str]:
        """The runs of a workflow that have not ended, on whatever branch: the address of each by its id."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def default_branches(self, repositories: Collection[str]) -> Mapping[str, str]:
        """The default branch of each repository, in few requests; one without a commit, or that is not there or not
        to be seen, has no entry."""
        return {}

    def obstacle(self, repository: str, branch: str) -> str:
        """Why rules are sure to refuse a commit to a branch; empty where they don't, or where that cannot be known.

        It is asked where something is to be written and `files` warned of rules.
        """
        return ""

    @abstractmethod
    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at `ref` (a branch; None for the default or checked-out one), all of one commit."""

    @abstractmethod
    def commit(self, request: CommitRequest) -> str:
        """Make one commit and return its id; raises Conflict when the branch is no longer at `expected_head`."""

    def blame(
        self, repository: str, ref: str | None, lines: Mapping[str, Collection[int]]
    ) -> Mapping[tuple[str, int], str]:
        """The message of the commit that last changed each of these lines, by file and number from 1, at `ref`'s head.

        A line that no commit is known of has no entry.
        """
        return {}

    def recover(self, repository: str, unfinished: Collection[str]) -> None:
        """Clear away what a run of ours left half done in a repository when it was killed.

        `unfinished` holds the git blob ids of the contents that it was writing.
        """

    def branch(self, repository: str, name: str) -> Branch:
        """All files of a branch that holds data, such as fleet's state, in as few requests as may be."""
        raise ProviderError(f"{self.name} cannot keep data on a branch")

    def swap(self, swap: Swap) -> Swapped:
        """Make one commit on such a branch, or begin it; raises Conflict when it is not at `expected_head`."""
        raise ProviderError(f"{self.name} cannot keep data on a branch")

    def repository_at(self, url: str) -> str | None:
        """The repository that a git remote's URL leads to, as the other methods take it; None for one that lies
        elsewhere. Pure.
        """
        return None

    def origin(self, repository: str) -> str | None:
        """The URL of the remote `origin` of a checkout on the local disk; None where it has none, or is no checkout."""
        return None
