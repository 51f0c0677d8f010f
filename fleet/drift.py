"""Drift: what moved in the world, and what moved in fleet.yaml, against what fleet last applied.

The state says what fleet last wrote at each address. What stands there otherwise was changed by somebody else; what
fleet.yaml wants otherwise was changed in the file, and waits for an apply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from fleet.blame import last_changes
from fleet.builds import PROVIDER as BUILDS
from fleet.builds import build_address
from fleet.config import NEWEST_BUILD, Loaded
from fleet.errors import FleetError, InputError, ProviderError
from fleet.hub_targets import find_settings
from fleet.images import Homes, read_homes
from fleet.model import Address, Spec, Unknown
from fleet.planning import Question, hub_files
from fleet.provider import LastChange
from fleet.services import Workshop
from fleet.site import KIND, SiteAddress, SiteReference
from fleet.sites import survey
from fleet.state import State, Thing
from fleet.wants import find_wants, wanted_at
from fleet.world import read_all

Moved = Literal["world", "file", "both"]
"""Which side is no longer what fleet last applied."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """One address that moved: what fleet last applied there (and when), what stands there, and what the file wants.

    `authors` says who changed it, by part, where the service tells; `commits` where that was, of a part that is a line.
    """

    address: Address
    applied: Spec
    at: str
    found: Spec | None
    wanted: Spec | None
    authors: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, LastChange] = field(default_factory=dict)

    @property
    def moved(self) -> Moved:
        """Which side moved."""
        if self.found == self.applied:
            return "file"
        return "world" if self.wanted == self.applied else "both"

    @property
    def agrees(self) -> bool:
        """Whether the world moved to what the file wants, so that nothing is left to do."""
        return self.found == self.wanted


@dataclass(frozen=True, slots=True)
class Drift:
    """What moved, of so many addresses that were looked at."""

    fleet: str
    checked: int
    drifted: tuple[Drifted, ...] = ()
    unread: tuple[Address, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, moved: Moved) -> list[Drifted]:
        """What moved on this side."""
        return [item for item in self.drifted if item.moved == moved]

    @property
    def has_drifted(self) -> bool:
        """Whether anything in the world is neither what fleet applied nor what the file wants."""
        return any(item.moved != "file" and not item.agrees for item in self.drifted)


def find_drift(loaded: Loaded, workshop: Workshop, state: State, question: Question) -> Drift:
    """Compare everything that fleet last applied with the world and with fleet.yaml.

    Raises InputError for a fleet.yaml that cannot be planned, FleetError for a service that does not answer.
    """
    homes, wrong = read_homes(loaded, workshop, workshop.pace, lambda item: True)
    if wrong:
        raise InputError(wrong)
    applied = dict(_applied(workshop, state))
    unread = tuple(address for address in applied if address.provider in workshop.without)
    sites = _sites(loaded, workshop, question, homes, applied)
    others = [address for address in applied if address.kind != KIND and address not in unread]
    world = dict(sites.found)
    for answer in read_all(others, workshop, workshop.pace).values():
        if isinstance(answer, FleetError):
            raise answer
        world.update(answer)
    wanted: dict[Address, Spec] = {
        **{item.resource.address: item.resource.spec for item in homes.wanted(loaded.fleet)},
        **sites.wanted,
    }
    looked_at = [address for address in applied if address in others or address in sites.found]
    compared = [
        _compared(address, applied[address], state.things[str(address)].at, world.get(address), wanted.get(address))
        for address in looked_at
    ]
    drifted = [item for item in compared if item is not None]
    found = Drift(loaded.fleet.name, len(looked_at), tuple(drifted), unread)
    try:
        return replace(found, drifted=tuple(_with_commits(workshop, drifted, sites.lines)))
    except ProviderError as error:  # what moved is worth more than who moved it
        return replace(found, notes=(f"Who changed what stands in values files is not known: {error}",))


def _with_commits(workshop: Workshop, drifted: Sequence[Drifted], lines: Mapping[Address, int]) -> Iterator[Drifted]:
    """The same, and for what the world changed in a values file the commit that last changed its line."""
    asked = {item.address: lines[item.address] for item in drifted if item.moved != "file" and item.address in lines}
    known = last_changes(workshop, asked)
    for item in drifted:
        last = known.get(item.address)
        if last is None:
            yield item
            continue
        part = f"{SiteAddress.parse(item.address.name).file}:{asked[item.address]}"
        yield replace(item, authors={part: last.author}, commits={part: last})


def _compared(address: Address, applied: Spec, at: str, found: Spec | None, wanted: Spec | None) -> Drifted | None:
    if found == applied and wanted == applied:
        return None
    return Drifted(address, applied, at, found, wanted, dict(found.authors()) if found is not None else {})


def _applied(workshop: Workshop, state: State) -> Iterator[tuple[Address, Spec]]:
    """What fleet last wrote, wherever fleet.yaml still reaches; builds are no things that stand somewhere."""
    reachable = {*workshop.fleet.registries, *workshop.fleet.code_hosts}
    for key, thing in state.things.items():
        address = Address.parse(key)
        if address.provider != BUILDS and (address.kind == KIND or address.provider in reachable):
            yield address, _spec(workshop, address, thing)


def _spec(workshop: Workshop, address: Address, thing: Thing) -> Spec:
    spec = workshop.spec_type(address).model_validate_json(json.dumps(thing.current))
    if isinstance(spec, SiteReference) and isinstance(spec.tag, Unknown):
        built = workshop.receipts.get(build_address(spec.tag.build_of))
        return SiteReference(image=spec.image, tag=str(built["tag"])) if built else spec
    return spec


@dataclass(frozen=True, slots=True)
class _Sites:
    """What sites say, what the file wants them to, and on which line of a values file they do."""

    found: Mapping[Address, Spec]
    wanted: Mapping[Address, Spec]
    lines: Mapping[Address, int]


def _sites(
    loaded: Loaded, workshop: Workshop, question: Question, homes: Homes, applied: Mapping[Address, Spec]
) -> _Sites:
    """The sites of today's hubs. A site that follows builds wants what fleet applied: a newer build is no drift."""
    fleet = loaded.fleet
    read, _ = hub_files(fleet, question)
    settings = find_settings(loaded, workshop, question.selection, question.refresh)
    if settings.wrong:
        raise InputError(settings.wrong)
    surveyed = settings.added_to(survey(read, workshop.files))
    followed = {slot.image for hub in fleet.hubs.values() for slot in hub.slots.values() if slot.track == NEWEST_BUILD}
    wants = find_wants(loaded, surveyed, homes.names, {image: Unknown(build_of=image) for image in followed})
    found: dict[Address, Spec] = {}
    wanted: dict[Address, Spec] = {}
    for address, site in surveyed.sites.items():
        before, of_site = applied.get(address), wants.by_site.get(address)
        if before is None or site.reference is None:
            continue
        found[address] = site.reference
        if of_site:
            after = wanted_at(site.reference, of_site[0])
            if of_site[0].unknown is not None and isinstance(before, SiteReference):
                after = SiteReference(image=after.image, tag=before.tag)
            wanted[address] = after
    lines = {address: line for address in found if (line := surveyed.sites[address].line) is not None}
    return _Sites(found, wanted, lines)
