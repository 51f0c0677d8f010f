"""Makes a plan: what fleet.yaml wants, what stands there, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from fleet.config import Fleet, Loaded, Slot, UpstreamImage, unbuilt
from fleet.diagnostics import Diagnostic
from fleet.errors import InputError, PolicyRefusal
from fleet.model import Address, Change
from fleet.plan import LeftOut, Place, Plan, Told
from fleet.policy import hold_of, refusals
from fleet.reference import ImageReference, split_host
from fleet.selection import Selection, Subject
from fleet.services import Workshop, is_local, local_path
from fleet.sites import FoundSite, HubFiles, SiteAddress, SiteReference, Survey, survey
from fleet.values import paste_lines


@dataclass(frozen=True, slots=True)
class Question:
    """What a plan is asked for: everything or a part, with or without the network, as of which day."""

    today: date
    selection: Selection = field(default_factory=Selection)
    refresh: bool = True


@dataclass(frozen=True, slots=True)
class Want:
    """What one slot of one hub wants a site to say, and where fleet.yaml says so."""

    hub: str
    slot: str
    image: str
    reference: SiteReference


def make_plan(loaded: Loaded, workshop: Workshop, question: Question) -> Plan:
    """The plan for a fleet as of now.

    Raises InputError for what is wrong in fleet.yaml or in a values file, PolicyRefusal when a rule forbids the plan.
    """
    fleet = loaded.fleet
    _refuse([item for item in unbuilt(loaded) if item.severity == "error"])
    labels = {name: hub.labels for name, hub in fleet.hubs.items()}
    question.selection.check(labels, fleet.images)
    read, unread = _hub_files(fleet, question)
    surveyed = survey(read, workshop.host)
    wants = _wants(loaded, surveyed)
    changes, left_out = _differences(loaded, surveyed, wants, question, workshop)
    plan = Plan(
        fleet=fleet.name,
        configuration=fleet.model_dump(mode="json", by_alias=True),
        changes=tuple(changes),
        unread=tuple(unread),
        partial=question.selection.is_partial,
        told=Told(
            hubs=len(fleet.hubs),
            resources=len(wants),
            requests_used=workshop.pace.requests,
            requests_needed=0,
            places={change.address: _place(surveyed.sites[change.address]) for change in changes},
            left_out=tuple(left_out),
            notes=tuple(_notes(changes, unread)),
        ),
    )
    refused = refusals(plan.changes, fleet, lambda keys, *text: loaded.source.diagnostic(keys, *text))
    if refused:
        raise PolicyRefusal(refused)
    return plan


def _refuse(diagnostics: Sequence[Diagnostic]) -> None:
    if diagnostics:
        raise InputError(diagnostics)


def _hub_files(fleet: Fleet, question: Question) -> tuple[list[HubFiles], list[Address]]:
    """Where the hubs' values lie, and the repositories that an offline plan does not read."""
    read: list[HubFiles] = []
    unread: dict[Address, None] = {}
    for name, hub in fleet.hubs.items():
        values = hub.values
        if values is None:
            continue
        repository = local_path(values.path) if values.path is not None else str(values.repository)
        if question.refresh or is_local(repository):
            read.append(HubFiles(name, repository, values.branch, values.files))
        else:
            unread[Address("values", "repository", repository)] = None
    return read, list(unread)


def _wants(loaded: Loaded, surveyed: Survey) -> dict[Address, list[Want]]:
    """What the slots of fleet.yaml want of each site; raises InputError for slots without a site, all together."""
    wants: dict[Address, list[Want]] = {}
    missing: list[Diagnostic] = []
    references: dict[tuple[str, str], SiteReference] = {}
    for hub, slots in surveyed.slots.items():
        for name, slot in loaded.fleet.hubs[hub].slots.items():
            key = (slot.image, slot.track)
            if key not in references:
                references[key] = _reference(loaded.fleet, slot)
            sites = slots.get(name)
            if not sites:
                missing.append(_no_site(loaded, hub, name, references[key], list(slots)))
                continue
            for address in sites:
                wants.setdefault(address, []).append(Want(hub, name, slot.image, references[key]))
    _refuse([*missing, *_conflicts(loaded, wants), *_named_elsewhere(loaded, surveyed, wants)])
    return wants


def _reference(fleet: Fleet, slot: Slot) -> SiteReference:
    image = fleet.images[slot.image]
    assert isinstance(image, UpstreamImage), "built images are refused before"
    return SiteReference(image="/".join(split_host(image.upstream)), tag=slot.track)


def _no_site(loaded: Loaded, hub: str, slot: str, wanted: SiteReference, others: list[str]) -> Diagnostic:
    values = loaded.fleet.hubs[hub].values
    assert values is not None
    lines = paste_lines(slot, ImageReference(wanted.image, wanted.tag), "jupyterhub.")
    has = f"It has: {', '.join(others)}." if others else "It sets no user image at all."
    return loaded.source.diagnostic(
        ("hubs", hub, "slots", slot),
        f"no values file of the hub {hub} sets an image for the slot {slot}",
        f"{has}\nIf it is to have one, add these lines to {values.files[-1]}:\n{lines}",
        of="key",
    )


def _conflicts(loaded: Loaded, wants: Mapping[Address, list[Want]]) -> Iterator[Diagnostic]:
    """Slots that share a site and want different things of it."""
    for address, of_site in wants.items():
        first = of_site[0]
        for other in of_site[1:]:
            if other.reference == first.reference:
                continue
            site = SiteAddress.parse(address.name)
            where = loaded.source.range(("hubs", first.hub, "slots", first.slot, "track"))
            yield loaded.source.diagnostic(
                ("hubs", other.hub, "slots", other.slot, "track"),
                f"{other.hub} {other.slot} wants {other.reference}, but one line decides it and {first.hub} "
                f"{first.slot} alike",
                f"That one wants {first.reference} ({where}). The line is in {site.file}, at {site.path}: write the "
                "same track for both, or give one hub a line of its own.",
            )
            break


def _named_elsewhere(loaded: Loaded, surveyed: Survey, wants: Mapping[Address, list[Want]]) -> Iterator[Diagnostic]:
    """Slots that want another image at a site that holds the tag alone."""
    for address, of_site in wants.items():
        found, first = surveyed.sites[address], of_site[0]
        if found.site.name_line is not None and found.image != first.reference.image:
            file, number = found.site.name_line
            yield loaded.source.diagnostic(
                ("hubs", first.hub, "slots", first.slot, "image"),
                f"{first.hub} {first.slot} wants the image {first.reference.image}, but {found.site.file} sets its tag "
                f"only; the name {found.image} stands in {file}:{number}",
                f"Write the name beside the tag in {found.site.file}:{found.site.line}, or change it there by hand.",
            )


def _differences(
    loaded: Loaded,
    surveyed: Survey,
    wants: Mapping[Address, list[Want]],
    question: Question,
    workshop: Workshop,
) -> tuple[list[Change], list[LeftOut]]:
    """The changes, and what would be one but is held or excluded."""
    fleet = loaded.fleet
    labels = {name: hub.labels for name, hub in fleet.hubs.items()}
    holds = {name: hub.hold for name, hub in fleet.hubs.items() if hub.hold is not None}
    changes: list[Change] = []
    left_out: list[LeftOut] = []
    for address, of_site in wants.items():
        found = surveyed.sites[address]
        before, after = found.reference, of_site[0].reference
        if not before.image:
            after = SiteReference(image="", tag=after.tag)
        if before == after:
            continue
        subject = Subject(address, found.hubs, tuple(dict.fromkeys(want.image for want in of_site)))
        if not question.selection.is_targeted(subject, labels):
            continue
        excluded = question.selection.excluded_by(subject, labels)
        held = hold_of(found.hubs, holds, question.today)
        if excluded:
            left_out.append(LeftOut(address, before, after, f"excluded by -exclude={excluded.text}"))
        elif held:
            hub, hold = held
            left_out.append(LeftOut(address, before, after, f"{hub} is held: {hold.reason}", hold.until.isoformat()))
        else:
            group = f"values {workshop['values'].together(address)}"
            changes.append(Change(address, before, after, group=group, reaches=found.hubs))
    return changes, left_out


def _place(found: FoundSite) -> Place:
    return Place(found.site.line, found.image, found.slots)


def _notes(changes: Sequence[Change], unread: Sequence[Address]) -> Iterator[str]:
    if unread:
        names = ", ".join(address.name for address in unread)
        yield f"Not read (offline): {names}. What stands there is not part of this plan."
    if any(isinstance(change.after, SiteReference) for change in changes):
        yield "No registry was asked: whether these tags exist was not checked."
