"""Rotation: which issued credentials are to be replaced, and the two steps of a plan that each of them takes.

A newer credential is issued, proved and stored; and the older one is revoked once no build that could use it is
running. Only a credential that the journal knows to be stored is rotated, and none whose older one is still there. One
that has leaked is revoked at once, with all others of its identity, and the next apply puts a new one in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.config import BuiltImage, Loaded
from fleet.images import Homes
from fleet.issuing import issuer_of, standing
from fleet.model import Address, Change, Resource, Rotation
from fleet.provider import Credential
from fleet.retirement import Retired, Standing, retirement_address, standing_address
from fleet.services import Workshop
from fleet.terminal import count


@dataclass(frozen=True, slots=True)
class Holding:
    """A secret on a code host that holds a credential, and the repository whose builds push with it."""

    image: str
    repository: str
    secret: Resource
    source: Address
    """The identity whose credential it is; with an own login, what names that."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The age from which on a credential is replaced, and what says so."""

    age: timedelta
    rule: str


LimitOf = Callable[[Holding], Limit | None]
"""From which age on a credential is replaced; None: not at all."""


@dataclass(frozen=True, slots=True)
class Rotations:
    """The changes that replace credentials and revoke older ones, and why each is made."""

    changes: tuple[Change, ...] = ()
    reasons: Mapping[Address, str] = field(default_factory=dict)


def holdings(loaded: Loaded, homes: Homes) -> Iterator[Holding]:
    """The secrets of all images that hold a credential to push with."""
    for key, resources in homes.sources.items():
        image = loaded.fleet.images[key]
        assert isinstance(image, BuiltImage)
        for resource in resources:
            source = resource.spec.credential_of()
            if source is not None:
                yield Holding(key, image.repository or "", resource, source)


def by_rule(loaded: Loaded) -> LimitOf:
    """What `rotate:` says of each registry."""

    def limit(holding: Holding) -> Limit | None:
        registry = loaded.fleet.registries.get(holding.source.provider)
        age = registry.rotate if registry else None
        return Limit(age, f"rotate: {age.days}d") if age else None

    return limit


def rotations(
    held: Sequence[Holding], changes: Sequence[Change], workshop: Workshop, limit_of: LimitOf, now: datetime
) -> Rotations:
    """What a plan with these changes does beside them about the credentials that are held."""
    planned = {change.address for change in changes}
    ours = [one for one in held if one.source in workshop.stored and issuer_of(one.source, workshop)]
    limits = {
        one.source: limit
        for one in ours
        if planned.isdisjoint((one.source, one.secret.address)) and one.source not in workshop.retiring
        if (limit := limit_of(one)) is not None and workshop.stored[one.source]
    }
    revoking = {one.source for one in ours if standing_address(one.source) in workshop.begun}
    remade = {change.address for change in changes if change.before is None}
    there = standing({**limits, **dict.fromkeys(revoking)}, workshop, workshop.pace)
    made: list[Change] = []
    retired: list[Change] = []
    reasons: dict[Address, str] = {}
    for one in ours:
        address, limit, key = one.secret.address, limits.get(one.source), workshop.stored[one.source]
        is_planned = not planned.isdisjoint((one.source, address))
        # What is written anew anyway takes all older ones away when it is stored.
        revoked = revocation(one.source, there[one.source]) if one.source in revoking and not is_planned else None
        if revoked:
            made.append(revoked)
            reasons[revoked.address] = "an earlier run ended while it was revoking these"
        why = _reason(there[one.source], key, limit, now) if limit else ""
        if address not in planned and (one.source in remade or one.source in revoking or not key):
            why = "the credential that was stored is gone, and a new one is to take its place"
        if why:
            made.append(_replacement(one, key, revoked))
            reasons[address] = why
        is_replaced = bool(why) or address in planned
        if (key and is_replaced and one.source not in revoking) or one.source in workshop.retiring:
            retired.append(_retirement(one))
    return Rotations((*made, *retired), reasons)


def _replacement(one: Holding, key: str, revoked: Change | None) -> Change:
    secret = one.secret
    needs = (*secret.needs, revoked.address) if revoked else secret.needs
    rotation = Rotation(one.source, key)
    return Change(secret.address, secret.spec, secret.spec, needs, str(secret.address), rotates=rotation)


def revocation(source: Address, there: Sequence[Credential]) -> Change | None:
    """The change that revokes all credentials of an identity at once; None where none stands."""
    address = standing_address(source)
    keys = tuple(credential.key for credential in there)
    return Change(address, Standing(keys=keys), None, group=str(address), removal="destroy") if keys else None


def _reason(there: Sequence[Credential], key: str, limit: Limit, now: datetime) -> str:
    """Why a credential is to be replaced; empty where it is not."""
    created = next((one.created for one in there if one.key == key), None)
    if created is None:
        return "the credential that was stored is gone from the registry, to be replaced"
    age = now - created
    return f"credential is {count(age.days, 'day')} old, to be replaced: {limit.rule}" if age >= limit.age else ""


def _retirement(one: Holding) -> Change:
    address = retirement_address(one.source)
    wanted = Retired(host=one.secret.address.provider, repository=one.repository)
    return Change(address, None, wanted, (one.secret.address, one.source), group=str(address))
