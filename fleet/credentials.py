"""The logins that builds push with, as they are: issued, an operator's own, or none that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from fleet.config import BuiltImage, Loaded
from fleet.errors import InputError
from fleet.images import Homes, find_homes
from fleet.model import Address
from fleet.provider import Credential, Home
from fleet.rotation import holdings, issuer_of, standing
from fleet.selection import Selection
from fleet.services import Workshop
from fleet.state import State

ISSUED, OWN, KEYLESS = "issued", "own login", "keyless"


@dataclass(frozen=True, slots=True)
class Login:
    """How the builds of one image log in to push: what it is good for, and of a stored one its age and its places.

    `key` is the service's own name for it, `created` when it was made or else stored, `stored_at` the code host's date
    of that, and `proved_at` when fleet last saw that it could push.
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
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, slots=True)
class _Image:
    """An image, its home, the identity or own login that it pushes with, and the secret that holds it, if any."""

    key: str
    registry: str
    home: Home
    source: Address | None
    secret: Address | None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What selects it besides its name."""
        return tuple(filter(None, (self.source, self.secret))) or (Address(self.registry, "image", self.key),)


def find_logins(loaded: Loaded, workshop: Workshop, selection: Selection, state: State | None) -> list[Login]:
    """The logins of selected images, worst first: those in trouble, then the oldest, and last those without a secret.

    One listing, or one request for each identity, tells of those that fleet issued.
    """
    labels = {name: hub.labels for name, hub in loaded.fleet.hubs.items()}
    selection.check(labels, loaded.fleet.images)
    homes, wrong = find_homes(loaded, workshop)
    if wrong:
        raise InputError(wrong)
    images = [one for one in _images(loaded, homes) if selection.takes(one.key, one.addresses, labels)]
    issued = [one.source for one in images if one.source is not None and issuer_of(one.source, workshop)]
    there = standing(issued, workshop)
    found = [_login(one, there, workshop, state) for one in images]
    return sorted(found, key=_badness)


def _images(loaded: Loaded, homes: Homes) -> Iterator[_Image]:
    secrets = {one.image: one.secret.address for one in holdings(loaded, homes)}
    for key, home in homes.homes.items():
        image = loaded.fleet.images[key]
        assert isinstance(image, BuiltImage)
        refs = home.login.secrets.values() if home.login else ()
        source = next((ref.source for ref in refs), None)
        yield _Image(key, image.registry, home, source, secrets.get(key))


def _badness(login: Login) -> tuple[bool, float, str]:
    return not login.trouble, login.created.timestamp() if login.created else float("inf"), login.image


class _Kept(NamedTuple):
    """Where a login is kept, since when by the code host's own date, and when it was proved on its way there."""

    stored_in: tuple[str, ...] = ()
    stored_at: str = ""
    proved_at: str = ""

    @classmethod
    def of(cls, image: _Image, workshop: Workshop, state: State | None) -> _Kept:
        """As the journal knows it."""
        receipt = workshop.receipts.get(image.secret) if image.secret else None
        if receipt is None or state is None:
            return cls((str(image.secret),) if image.secret else ())
        names = [
            str(image.secret),
            *(f"{str(image.secret).rpartition('/')[0]}/{name}" for name in receipt.get("also", ())),
        ]
        return cls(tuple(names), str(receipt.get("updated_at", "")), state.things[str(image.secret)].at)


def _login(
    image: _Image, there: Mapping[Address, Sequence[Credential]], workshop: Workshop, state: State | None
) -> Login:
    plain = Login(image.key, image.registry, image.home.name, KEYLESS)
    if image.source is None:
        return plain
    kept = _Kept.of(image, workshop, state)
    plain = replace(plain, **kept._asdict())
    if image.source in there:
        return _issued(plain, there[image.source], workshop.stored.get(image.source))
    created = datetime.fromisoformat(kept.stored_at) if kept.stored_at else None
    return replace(plain, kind=OWN, created=created)


def _issued(plain: Login, there: Sequence[Credential], stored: str | None) -> Login:
    """What the registry tells of an issued credential; the newest is taken for stored where no run knows which is."""
    newest = there[-1] if there else None
    current = next((one for one in there if one.key == stored), newest if stored is None else None)
    if current is None:
        gone = f"{stored}, which was stored, is gone" if stored else "nothing that could push is there"
        return replace(plain, kind=ISSUED, trouble=f"{gone}: run fleet apply, then fleet credentials rotate")
    others = ", ".join(one.key for one in there if one is not current)
    trouble = f"not revoked yet: {others}; fleet apply does it when no build can be using it" if others else ""
    return replace(plain, kind=ISSUED, key=current.key, created=current.created, trouble=trouble)
