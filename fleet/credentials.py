"""The logins that builds push with, as they are: issued, an operator's own, or none that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from fleet.config import BuiltImage, Loaded
from fleet.images import Homes
from fleet.model import Address, Resource, SecretRef
from fleet.provider import Credential
from fleet.rotation import holdings, issuer_of, standing
from fleet.selection import Selection
from fleet.services import Workshop
from fleet.state import State

AT_ONCE = 16
"""Logins that are asked about at once over all registries; each one's own limit is below it."""

ISSUED, OWN, KEYLESS = "issued", "own login", "keyless"


@dataclass(frozen=True, slots=True)
class Login:
    """How the builds of one image log in to push: what it is good for, and of a stored one its age and its places.

    `key` is the service's own name for it, `created` when it was made or else stored, `stored_at` the code host's date
    of that, and `proved_at` when it was proved on its way there. `last_used` is when it last let somebody in, where the
    service tells (`tells_use`), and `seen` what a check saw of it.
    """

    image: str
    registry: str
    scope: str
    kind: str
    key: str = ""
    created: datetime | None = None
    stored_in: tuple[str, ...] = ()
    stored_at: str = ""
    proved_at: str = ""
    last_used: datetime | None = None
    tells_use: bool = False
    seen: str = ""
    trouble: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """How old it is; None for what is not kept, and where nobody tells."""
        return None if self.created is None else now - self.created

    def document(self, now: datetime) -> dict[str, Any]:
        """As JSON; keys are added and never changed."""
        age = self.age(now)
        return {
            "image": self.image,
            "registry": self.registry,
            "scope": self.scope,
            "kind": self.kind,
            "key": self.key or None,
            "created": self.created.isoformat() if self.created else None,
            "age_days": age.days if age is not None else None,
            "stored_in": list(self.stored_in),
            "stored_at": self.stored_at or None,
            "proved_at": self.proved_at or None,
            "last_used": self.last_used.isoformat() if self.last_used else None,
            "seen": self.seen or None,
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, slots=True)
class Pushing:
    """How the builds of an image push: what must stand for that, where their secrets come from, and the identity (or
    what names the operator's own login) and the Actions secret, where there are any."""

    image: str
    registry: str
    scope: str
    resources: tuple[Resource, ...]
    refs: tuple[SecretRef, ...]
    secret: Address | None

    @property
    def source(self) -> Address | None:
        """Whose credential is stored; None where none is."""
        return self.refs[0].source if self.refs else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What selects it besides its name."""
        return tuple(filter(None, (self.source, self.secret))) or (Address(self.registry, "image", self.image),)


def find_pushing(loaded: Loaded, homes: Homes, selection: Selection) -> list[Pushing]:
    """How the builds of selected images push, in the order of fleet.yaml; raises InputError for a wrong selection."""
    labels = {name: hub.labels for name, hub in loaded.fleet.hubs.items()}
    selection.check(labels, loaded.fleet.images)
    return [one for one in _all_pushing(loaded, homes) if selection.takes(one.image, one.addresses, labels)]


def find_logins(found: Sequence[Pushing], workshop: Workshop, state: State | None) -> list[Login]:
    """What services and the journal tell of these logins, in the same order.

    One listing, or one request for each identity, tells of those that fleet issued; some services are asked once more
    for when each was last used.
    """
    issued = [one.source for one in found if one.source is not None and issuer_of(one.source, workshop)]
    there = standing(issued, workshop)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fleet-logins")
    with pool:
        return list(pool.map(lambda one: _login(one, there, workshop, state), found))


def _all_pushing(loaded: Loaded, homes: Homes) -> Iterator[Pushing]:
    secrets = {one.image: one.secret for one in holdings(loaded, homes)}
    for key, home in homes.homes.items():
        image = loaded.fleet.images[key]
        assert isinstance(image, BuiltImage)
        refs = tuple(home.login.secrets.values()) if home.login else ()
        kept = secrets.get(key)
        resources = (*home.resources, *([kept] if kept else []))
        yield Pushing(key, image.registry, home.name, resources, refs, kept.address if kept else None)


def worst_first(logins: Iterable[Login]) -> list[Login]:
    """Those in trouble, then the oldest, and last those without a secret."""
    return sorted(logins, key=_badness)


def _badness(login: Login) -> tuple[bool, float, str]:
    return not login.trouble, login.created.timestamp() if login.created else float("inf"), login.image


class _Kept(NamedTuple):
    """Where a login is kept, since when by the code host's own date, and when it was proved on its way there."""

    stored_in: tuple[str, ...] = ()
    stored_at: str = ""
    proved_at: str = ""

    @classmethod
    def of(cls, secret: Address | None, workshop: Workshop, state: State | None) -> _Kept:
        """As the journal knows it."""
        receipt = workshop.receipts.get(secret) if secret else None
        if receipt is None or state is None:
            return cls((str(secret),) if secret else ())
        beside = str(secret).rpartition("/")[0]
        names = (str(secret), *(f"{beside}/{name}" for name in receipt.get("also", ())))
        return cls(names, str(receipt.get("updated_at", "")), state.things[str(secret)].at)


def _login(
    one: Pushing, there: Mapping[Address, Sequence[Credential]], workshop: Workshop, state: State | None
) -> Login:
    plain = Login(one.image, one.registry, one.scope, KEYLESS)
    if one.source is None:
        return plain
    kept = _Kept.of(one.secret, workshop, state)
    plain = replace(plain, **kept._asdict())
    if one.source in there:
        return _issued(plain, there[one.source], workshop, one.source)
    created = datetime.fromisoformat(kept.stored_at) if kept.stored_at else None
    return replace(plain, kind=OWN, created=created)


def _issued(plain: Login, there: Sequence[Credential], workshop: Workshop, source: Address) -> Login:
    """What the registry tells of an issued credential; the newest is taken for stored where no run knows which is."""
    stored, issuer = workshop.stored.get(source), issuer_of(source, workshop)
    assert issuer is not None
    plain = replace(plain, kind=ISSUED, tells_use=issuer.tells_use)
    newest = there[-1] if there else None
    current = next((one for one in there if one.key == stored), newest if stored is None else None)
    if current is None:
        remedy = "run fleet credentials rotate" if stored else "run fleet apply"
        gone = f"{stored}, which was stored, is gone" if stored else "nothing that could push is there"
        return replace(plain, trouble=f"{gone}: {remedy}")
    if not current.is_enabled:
        return replace(plain, key=current.key, created=current.created, trouble=f"{current.key} was disabled by hand")
    others = ", ".join(one.key for one in there if one is not current)
    trouble = f"not revoked yet: {others}; fleet apply does it when no build can be using it" if others else ""
    used = workshop.pace.repeat(issuer.limits, lambda: issuer.last_used(current))
    return replace(plain, key=current.key, created=current.created, last_used=used, trouble=trouble)
