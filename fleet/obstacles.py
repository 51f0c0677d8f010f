"""What speaks against writing an image to a hub, known beforehand: its branch, its nodes, another fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fleet.blame import last_changes
from fleet.commit_message import TRAILER, trailer_of
from fleet.config import Loaded
from fleet.diagnostics import Diagnostic
from fleet.model import Address, Change
from fleet.plan import Resolution
from fleet.reference import ImageReference, split_host
from fleet.services import Workshop
from fleet.site import KIND, SiteAddress
from fleet.sites import Survey
from fleet.wants import Wants


@dataclass(frozen=True, slots=True)
class Moves:
    """The references that a plan would write: the changes, what each place is wanted to say, and what tags mean."""

    changes: Sequence[Change]
    wants: Wants
    surveyed: Survey
    resolutions: Mapping[Address, Resolution]


def find_obstacles(loaded: Loaded, workshop: Workshop, moves: Moves) -> list[Diagnostic]:
    """Everything that speaks against these moves, each with its place in fleet.yaml."""
    refused = list(_branches(loaded, workshop, moves))
    return refused or [*_platforms(loaded, workshop, moves), *_other_fleets(loaded, workshop, moves)]


def _branches(loaded: Loaded, workshop: Workshop, moves: Moves) -> Iterator[Diagnostic]:
    """Repositories that are sure to refuse the commit."""
    first = {moves.surveyed.refusals[change.reaches[0]]: change.reaches[0] for change in moves.changes}
    for reason, hub in first.items():
        if reason:
            yield loaded.source.diagnostic(("hubs", hub, "values"), reason, "Nothing was written.")
    for (repository, branch), hub in _with_rules(workshop, moves).items():
        host = workshop.host(repository)
        reason = workshop.pace.repeat(host.limits, partial(host.obstacle, repository, branch))
        if reason:
            yield loaded.source.diagnostic(("hubs", hub, "values"), reason, "Nothing was written.")


def _with_rules(workshop: Workshop, moves: Moves) -> dict[tuple[str, str], str]:
    """The branches with rules that would be written to, each with a hub that it serves."""
    found: dict[tuple[str, str], str] = {}
    for change in moves.changes:
        hub = change.reaches[0]
        if change.address.kind == KIND and moves.surveyed.warnings.get(hub):
            site = SiteAddress.parse(change.address.name)
            if workshop.proposes(site.repository):
                continue  # rules of the branch are for whoever merges
            found.setdefault((site.repository, site.branch), hub)
    return found


def _platforms(loaded: Loaded, workshop: Workshop, moves: Moves) -> Iterator[Diagnostic]:
    """Images that the nodes of a hub could not run."""
    references = {
        address: ImageReference(found.image, found.tag, found.digest) for address, found in moves.resolutions.items()
    }
    known = platforms_of(list(dict.fromkeys(references.values())), workshop)
    said: set[tuple[str, ImageReference]] = set()
    for change in moves.changes:
        reference = references.get(change.address)
        platforms = known.get(reference, ()) if reference else ()
        unfit = next((hub for hub in change.reaches if not loaded.fleet.hubs[hub].can_run(platforms)), None)
        if reference is None or unfit is None or (unfit, reference) in said:
            continue
        said.add((unfit, reference))
        needed = loaded.fleet.hubs[unfit].platform
        want = next(want for want in moves.wants.by_site[change.address] if want.hub == unfit)
        yield loaded.source.diagnostic(
            want.keys("track"),
            f"{want.reference} is for {', '.join(platforms)}, and the nodes of {unfit} need {needed}",
            f"Follow a tag that was built for {needed}, or write `platform:` at the hub if its nodes are others.",
        )


def platforms_of(references: Sequence[ImageReference], workshop: Workshop) -> Mapping[ImageReference, Sequence[str]]:
    """What each image runs on, by its digest; one that the registry does not describe has no entry."""
    by_host: dict[str, list[ImageReference]] = defaultdict(list)
    for reference in references:
        by_host[split_host(reference.name)[0]].append(reference)
    known: dict[ImageReference, Sequence[str]] = {}
    for host, asked in by_host.items():
        registry = workshop.registry_at(host)
        known.update(workshop.pace.repeat(registry.limits, lambda: registry.platforms(asked)))  # noqa: B023 - called here
    return known


def _other_fleets(loaded: Loaded, workshop: Workshop, moves: Moves) -> Iterator[Diagnostic]:
    """Lines that another fleet wrote last: two that write one line would undo each other for ever."""
    hubs = {change.address: change.reaches[0] for change in moves.changes if change.address.kind == KIND}
    found = {address: moves.surveyed.sites[address].line for address in hubs}
    lines = {address: line for address, line in found.items() if line is not None}
    for address, last in last_changes(workshop, lines).items():
        other = trailer_of(last.message)
        if other not in (None, loaded.fleet.name):
            site = SiteAddress.parse(address.name)
            yield loaded.source.diagnostic(
                ("hubs", hubs[address], "values"),
                f"{site.file}:{lines[address]} of {site.repository} was last set by the fleet {other}",
                f"Two fleets that write one line undo each other: take it out of that fleet's file, and commit any "
                f"edit of the line without the trailer `{TRAILER}:`.",
            )
