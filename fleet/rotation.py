"""Rotation: which issued credentials are to be replaced, and the two steps of a plan that each of them takes.

A newer credential is issued, proved and stored; and the older one is revoked once no build that could use it is
running. Only a credential that the journal knows to be stored is rotated, and none whose older one is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from fleet.config import BuiltImage, Loaded
from fleet.errors import FleetError, InputError
from fleet.images import Homes, read_homes
from fleet.model import Address, Change, Resource, Rotation, Spec
from fleet.plan import Plan, Told
from fleet.provider import Credential, Issuer
from fleet.retirement import Retired, retirement_address
from fleet.selection import Selection
from fleet.services import Workshop
from fleet.terminal import count
from fleet.world import is_at, read_all


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


def issuer_of(source: Address, workshop: Workshop) -> Issuer | None:
    """What issues the credentials of an identity; None for an own login."""
    provider = workshop[source.provider]
    return provider if isinstance(provider, Issuer) and source.kind in provider.issuing else None


def standing(sources: Iterable[Address], workshop: Workshop) -> Mapping[Address, Sequence[Credential]]:
    """The credentials of identities, oldest first, as their services tell of them."""
    of_provider: dict[str, dict[Address, None]] = {}
    for source in sources:
        of_provider.setdefault(source.provider, {})[source] = None
    found: dict[Address, Sequence[Credential]] = {}
    for asked in of_provider.values():
        issuer = issuer_of(next(iter(asked)), workshop)
        assert issuer is not None
        found |= workshop.pace.repeat(issuer.limits, partial(issuer.standing, list(asked)))
    return found


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
    remade = {change.address for change in changes if change.before is None}
    there = standing(limits, workshop)
    replaced: list[Change] = []
    retired: list[Change] = []
    reasons: dict[Address, str] = {}
    for one in ours:
        secret, limit = one.secret, limits.get(one.source)
        key = workshop.stored[one.source]
        why = _reason(there[one.source], key, limit, now) if limit else ""
        if secret.address not in planned and (one.source in remade or not key):
            why = "the credential that was stored is gone with its identity, which is made anew"
        if why:
            rotation = Rotation(one.source, key)
            group = str(secret.address)
            replaced.append(Change(secret.address, secret.spec, secret.spec, secret.needs, group, rotates=rotation))
            reasons[secret.address] = why
        if why or secret.address in planned or one.source in workshop.retiring:
            retired.append(_retirement(one))
    return Rotations((*replaced, *retired), reasons)


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


def plan_rotation(loaded: Loaded, workshop: Workshop, selection: Selection, limit: Limit) -> Plan:
    """A plan that replaces the credentials of selected images that are old enough, and does nothing else.

    What is not as fleet.yaml wants it is left to `fleet apply`, with a note. Raises InputError for a fleet.yaml that
    cannot be planned, FleetError where a service does not answer.
    """
    fleet = loaded.fleet
    labels = {name: hub.labels for name, hub in fleet.hubs.items()}
    selection.check(labels, fleet.images)

    homes, wrong = read_homes(
        loaded,
        workshop,
        workshop.pace,
        lambda item: selection.takes(item.image, [item.resource.address], labels),
    )
    if wrong:
        raise InputError(wrong)
    held = [
        one for one in holdings(loaded, homes) if selection.takes(one.image, (one.secret.address, one.source), labels)
    ]
    issued = [one for one in held if issuer_of(one.source, workshop)]
    settled, left = _as_wanted(issued, workshop)
    found = rotations(settled, (), workshop, lambda one: limit, datetime.now(UTC))
    return Plan(
        fleet=fleet.name,
        configuration=fleet.model_dump(mode="json", by_alias=True, exclude_none=True),
        changes=found.changes,
        partial=True,
        told=Told(
            hubs=len(fleet.hubs),
            resources=len(held),
            requests_used=workshop.pace.requests,
            requests_needed=sum(workshop[change.address.provider].cost(change) for change in found.changes),
            reasons=found.reasons,
            notes=tuple(_left(one) for one in left),
        ),
    )


def _as_wanted(held: Sequence[Holding], workshop: Workshop) -> tuple[list[Holding], list[Holding]]:
    """The secrets that stand as fleet stored them, and the others."""
    world: dict[Address, Spec] = {}
    for answer in read_all([one.secret.address for one in held], workshop, workshop.pace).values():
        if isinstance(answer, FleetError):
            raise answer
        world |= answer

    def is_settled(one: Holding) -> bool:
        return one.source in workshop.stored and is_at(world, one.secret.address, one.secret.spec)

    return [one for one in held if is_settled(one)], [one for one in held if not is_settled(one)]


def _left(one: Holding) -> str:
    return (
        f"Notice: {one.secret.address} is not known to hold a credential that fleet stored as it stands: "
        "it is left to `fleet apply`."
    )
