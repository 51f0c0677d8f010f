"""The words everything else speaks: address, spec, secret reference, change.

All of it is frozen data. A plan is made of these, so they have one JSON form each and no behaviour beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Address(NamedTuple):
    """A natural key: the provider's name in fleet.yaml, the kind, and the service's own key."""

    provider: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `provider:kind:name` back; raises ValueError when a part is missing."""
        provider, kind, name = text.split(":", 2)
        return cls(provider, kind, name)


def _to_address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        return Address.parse(value)
    raise ValueError("an address is written provider:kind:name")


AddressField = Annotated[Address, BeforeValidator(_to_address), PlainSerializer(str, return_type=str)]
"""An address as a field of a model: one string in JSON."""


class Frozen(BaseModel):
    """Data that never changes once made, and that refuses keys it does not know."""

    # Building a validator takes longer than most runs use it: each is built when it is first needed.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Objection(NamedTuple):
    """Why a change is refused, as what follows an address, and what the operator can do."""

    reason: str
    remedy: str


class Spec(Frozen):
    """What is wanted or found at one address; providers subclass it once per kind.

    A provider answers reads in the same type that the configuration produces, so that a difference is `!=`.
    """

    is_credential: ClassVar[bool] = False
    """Whether a thing of this kind lets somebody in; what changes of these is shown before all else but removals."""
    unshown: ClassVar[frozenset[str]] = frozenset({"owner"})
    """Fields that tell a person nothing beside what a plan shows anyway."""

    def authors(self) -> Mapping[str, str]:
        """Who last changed it by hand, by part, where the service tells."""
        return {}

    def objection(self, standing: Spec | None) -> Objection | None:
        """Why this must not replace what stands there, beside ownership; None, unless a provider says otherwise."""
        return None

    def in_words(self) -> str:
        """What happens, where this is a step and no thing and its fields would say little; else empty."""
        return ""

    def credential_of(self) -> Address | None:
        """The identity whose credential this holds, for a secret of a code host; None for all else."""
        return None

    def is_owned_by(self, fleet: str) -> bool:
        """Whether this, as it stands, is that fleet's to forget; not, where nothing can say so."""
        return False

    def has_left(self, before: Spec, removal: Removal) -> bool:
        """Whether this is what stays of `before` when it has left in that way; not, where nothing stays."""
        return False


class Owned(Spec):
    """A spec of something that has room for an ownership marker.

    `owner` is the name of the fleet whose marker the thing carries, None where it carries none.
    """

    owner: str | None = None

    def is_owned_by(self, fleet: str) -> bool:
        """By its marker."""
        return self.owner == fleet

    def has_left(self, before: Spec, removal: Removal) -> bool:
        """What is forgotten may stay as it is, without the marker that it carried."""
        return removal == "forget" and isinstance(before, Owned) and self.owner != before.owner


class SecretRef(Frozen):
    """Names a secret by the address that can reveal it and the field there; never holds its value."""

    source: AddressField
    field: str


class Secret:
    """A secret's value while it is being used: prints as `***`, and refuses to be pickled, compared or formatted."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def expose(self) -> str:
        """The value itself; call it in the expression that sends it, and keep it nowhere."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never serialized")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are not compared")

    __hash__ = None  # type: ignore[assignment]


class Unknown(Frozen):
    """A value that this same plan will bring about: the tag of an image whose source the plan changes."""

    build_of: str

    def __str__(self) -> str:
        return "(known after the build)"


class Action(StrEnum):
    """What a change amounts to; always derived from the change, never stored."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    FORGET = "forget"
    ARCHIVE = "archive"
    ADOPT = "adopt"


Removal = Literal["forget", "archive", "destroy"]
"""How something leaves: forgotten (marker and credential removed), archived, or destroyed."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that fleet.yaml wants to exist: where, how, and what must exist before it."""

    address: Address
    spec: Spec
    needs: tuple[Address, ...] = ()


class Rotation(NamedTuple):
    """A credential that is replaced by a newer one of the same identity; `key` is the service's own name for it."""

    source: Address
    key: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step: what stands at an address (the precondition), what shall stand there, what must be done first.

    `before` is None where nothing stands; `after` is None where the thing leaves, and `removal` then says how.
    Changes with the same `group` are one write: all of them happen or none. `reaches` names the hubs whose users will
    see it. With `rotates`, `before` and `after` are equal: what stands there is written again with a newer credential.
    """

    address: Address
    before: Spec | None
    after: Spec | None
    needs: tuple[Address, ...] = ()
    group: str = ""
    removal: Removal | None = None
    reaches: tuple[str, ...] = ()
    rotates: Rotation | None = None

    @property
    def action(self) -> Action:
        """What this change amounts to."""
        if self.after is None:
            removals = {"archive": Action.ARCHIVE, "destroy": Action.DELETE}
            return removals.get(self.removal or "forget", Action.FORGET)
        if self.before is None:
            return Action.CREATE
        return Action.ADOPT if is_adoption(self.before, self.after) else Action.UPDATE


def is_adoption(before: Spec, after: Spec) -> bool:
    """Whether the two differ in nothing but that `after` carries our marker and `before` carries none."""
    if not (isinstance(before, Owned) and isinstance(after, Owned)) or before.owner is not None:
        return False
    return before.model_copy(update={"owner": after.owner}) == after


def canonical(value: Any) -> Any:
    """The JSON-ready form of a spec or of plain data that hashes and files are made from."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
