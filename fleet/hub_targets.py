"""Asks the hubs that set an image themselves what they are set to, for a plan that treats them and files alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fleet.config import Loaded
from fleet.diagnostics import Diagnostic
from fleet.errors import FleetError
from fleet.model import Address
from fleet.selection import Selection, Subject
from fleet.services import CONFIGURATOR, Workshop
from fleet.site import SiteReference
from fleet.sites import FoundSetting, Survey
from fleet.world import read_all


@dataclass(frozen=True, slots=True)
class FoundSettings:
    """What was found, what an offline plan does not read, and which hubs did not answer."""

    found: Mapping[Address, FoundSetting]
    unread: tuple[Address, ...] = ()
    wrong: tuple[Diagnostic, ...] = ()

    def added_to(self, surveyed: Survey) -> Survey:
        """The sites of files and these, for a plan that treats them alike."""
        slots = {found.hub: {found.slot: (address,)} for address, found in self.found.items()}
        nothing = dict.fromkeys(slots, "")
        return replace(
            surveyed,
            sites={**surveyed.sites, **self.found},
            slots={**surveyed.slots, **slots},
            refusals={**surveyed.refusals, **nothing},
            warnings={**surveyed.warnings, **nothing},
        )


def find_settings(loaded: Loaded, workshop: Workshop, selection: Selection, refresh: bool) -> FoundSettings:
    """Ask the hubs with a configurator, all at once, as far as they are selected."""
    hubs = loaded.fleet.hubs
    labels = {name: hub.labels for name, hub in hubs.items()}
    asked: dict[Address, tuple[str, str]] = {}
    for name, hub in hubs.items():
        if hub.configurator is None:
            continue
        for slot, address in workshop.target(name).slots().items():
            wanted = hub.slots.get(slot)
            subject = Subject(address, (name,), (wanted.image,) if wanted else ())
            selected = selection.is_targeted(subject, labels) and not selection.excluded_by(subject, labels)
            if wanted and selected:
                asked[address] = (name, slot)
    if not refresh:
        return FoundSettings({}, tuple(asked))
    found: dict[Address, FoundSetting] = {}
    wrong: list[Diagnostic] = []
    answers = read_all(asked, workshop, workshop.pace)
    for address, (name, slot) in asked.items():
        answer = answers[address.provider]
        if isinstance(answer, FleetError):
            keys = ("hubs", name, CONFIGURATOR)
            wrong.append(loaded.source.diagnostic(keys, f"the image of the hub {name} cannot be read: {answer}"))
            continue
        reference = answer.get(address)
        assert reference is None or isinstance(reference, SiteReference)
        found[address] = FoundSetting(address, name, slot, reference)
    return FoundSettings(found, (), tuple(wrong))
