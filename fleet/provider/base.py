"""What every provider is, and what the core lends to it; and the role of a service that sets a hub's images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, StringConstraints

from fleet.each import Each, one_by_one
from fleet.errors import ProviderError
from fleet.model import Address, Change, Frozen, Objection, Secret, SecretRef, Spec
from fleet.proposal import Proposed
from fleet.secrets import SecretSource

if TYPE_CHECKING:
    from fleet.http import Http, Timeouts

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


class HubTarget(Provider):
    """A provider that tells one hub which images to start; what stands at its addresses are `SiteReference`s."""

    @abstractmethod
    def slots(self) -> Mapping[str, Address]:
        """The slots of the hub that are set here, each with its address. Pure."""
