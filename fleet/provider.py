"""The provider contract: all that fleet asks of an outside service, and all that a provider may use of fleet.

A provider is a class found by an entry point of the group `fleet.providers`. It takes one or more *roles*:

- every provider can `read` and `apply` the kinds of things it makes;
- a `Registry` also says where an image lives there and what its tags mean;
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

For HTTP there is `Http`, which counts requests and keeps rule 5, and for any OCI registry `OciClient`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, StringConstraints

from fleet.each import Each, one_by_one
from fleet.errors import Conflict, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.gitblob import blob_id
from fleet.http import HTTP2, Answer, Ask, Http, host_of, is_loopback
from fleet.model import (
    Action,
    Address,
    Change,
    Frozen,
    Owned,
    Resource,
    Secret,
    SecretRef,
    Spec,
)
from fleet.oci import Credentials, Denied, LoginRefused, Manifest, OciClient
from fleet.reference import ImageReference, is_name, split_host
from fleet.secrets import SecretSource
from fleet.site import SiteReference, full_name

__all__ = [
    "HTTP2",
    "Action",
    "Address",
    "Answer",
    "Ask",
    "Change",
    "CodeHost",
    "CommitRequest",
    "Conflict",
    "Context",
    "Credentials",
    "Denied",
    "Each",
    "Files",
    "Frozen",
    "Home",
    "Http",
    "HubTarget",
    "ImageReference",
    "Limits",
    "Login",
    "LoginRefused",
    "Manifest",
    "OciClient",
    "OutOfBudget",
    "Owned",
    "Provider",
    "ProviderError",
    "Registry",
    "RegistryImage",
    "Resource",
    "Reveal",
    "Secret",
    "SecretRef",
    "SecretSource",
    "Settings",
    "SiteReference",
    "Spec",
    "TryAgain",
    "Unsure",
    "Url",
    "blob_id",
    "full_name",
    "host_of",
    "is_loopback",
    "is_name",
    "one_by_one",
    "split_host",
]

URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"

Url = Annotated[str, StringConstraints(pattern=URL)]
"""An http:// or https:// address without login, query or fragment, as a field of settings."""

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


@dataclass(frozen=True, slots=True)
class Context:
    """What the core lends to a provider: the fleet's name (the ownership marker), the folder of fleet.yaml, a way to
    read a secret source now, `spend`, called before each request (it waits, counts, and raises OutOfBudget), and `each`
    for what takes a request per thing."""

    fleet: str
    folder: Path
    secret: Callable[[SecretSource], Secret]
    spend: Callable[[], None]
    each: Each = one_by_one


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

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Carry out one group, all or nothing, from whatever state the world is in."""
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
    description: str = ""
    visibility: str = "public"


@dataclass(frozen=True, slots=True)
class Login:
    """How a build logs in to push: a user name, and where the password is revealed."""

    username: str
    password: SecretRef


@dataclass(frozen=True, slots=True)
class Home:
    """Where an image lives in a registry: its full name, what must exist for it, and the login that may push there."""

    name: str
    resources: tuple[Resource, ...] = ()
    login: Login | None = None


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


class HubTarget(Provider):
    """A provider that tells one hub which images to start; what stands at its addresses are `SiteReference`s."""

    @abstractmethod
    def slots(self) -> Mapping[str, Address]:
        """The slots of the hub that are set here, each with its address. Pure."""


@dataclass(frozen=True, slots=True)
class Files:
    """What stood in a repository at one moment: the branch, its head commit, and the files that were asked for.

    A file that does not exist has no entry. `head` and `branch` are empty for a folder without history.
    """

    branch: str
    head: str
    contents: Mapping[str, bytes]


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


class CodeHost(Provider):
    """A provider where repositories live."""

    @abstractmethod
    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at `ref` (a branch; None for the default or checked-out one), all of one commit."""

    @abstractmethod
    def commit(self, request: CommitRequest) -> str:
        """Make one commit and return its id; raises Conflict when the branch is no longer at `expected_head`."""

    def recover(self, repository: str, unfinished: Collection[str]) -> None:
        """Clear away what a run of ours left half done in a repository when it was killed.

        `unfinished` holds the git blob ids of the contents that it was writing.
        """
