"""The difference between what is wanted and what stands there, under the rules of ownership. Pure.

Nobody's and equal is adopted; nobody's and different is taken over only where fleet.yaml says `adopt: always`; what
carries another fleet's marker is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.model import Address, Change, Owned, Resource, Spec, is_adoption

Adopt = Literal["never", "match", "always"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource, the image of fleet.yaml that wants it, and whether it may be adopted."""

    resource: Resource
    image: str
    adopt: Adopt = "match"


@dataclass(frozen=True, slots=True)
class Dispute:
    """Why something that stands there may not be touched."""

    wanted: Wanted
    reason: str
    remedy: str


def differences(
    wanted: Iterable[Wanted], world: Mapping[Address, Spec], groups: Mapping[Address, str]
) -> tuple[list[Change], list[Dispute]]:
    """The changes, in the order of what is wanted, and what ownership forbids."""
    changes: list[Change] = []
    disputes: list[Dispute] = []
    for item in wanted:
        address, after = item.resource.address, item.resource.spec
        before = world.get(address)
        if before == after:
            continue
        dispute = _dispute(item, before, after) or _objection(item, before)
        if dispute:
            disputes.append(dispute)
        else:
            changes.append(Change(address, before, after, needs=item.resource.needs, group=groups[address]))
    return changes, disputes


def _dispute(wanted: Wanted, before: Spec | None, after: Spec) -> Dispute | None:
    if not (isinstance(before, Owned) and isinstance(after, Owned)) or before.owner == after.owner:
        return None
    address = wanted.resource.address
    if before.owner is not None:
        reason = f"{address} belongs to the fleet {before.owner!r}"
        return Dispute(wanted, reason, "One image is built by one fleet; others follow it by `upstream:`.")
    if wanted.adopt == "never":
        reason = f"{address} exists already, and `adopt: never` forbids to take it over"
        return Dispute(wanted, reason, "Choose another name, or write `adopt: match`.")
    if wanted.adopt == "match" and not is_adoption(before, after):
        reason = f"{address} exists already, belongs to nobody and differs: {_fields(before, after)}"
        return Dispute(wanted, reason, "Make fleet.yaml say what stands there, or write `adopt: always` to change it.")
    return None


def _objection(wanted: Wanted, before: Spec | None) -> Dispute | None:
    objection = wanted.resource.spec.objection(before)
    return objection and Dispute(wanted, f"{wanted.resource.address} {objection.reason}", objection.remedy)


def _fields(before: Spec, after: Spec) -> str:
    """The fields that differ, the owner aside, as `name: found, wanted`."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    differing = [name for name in new if name != "owner" and new[name] != old.get(name)]
    return "; ".join(f"{name} is {old.get(name)!r}, wanted {new[name]!r}" for name in differing)
