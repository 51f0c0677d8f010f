"""Makes a plan: what fleet.yaml wants, what stands there, the difference, and the rules over it.

Longer than most modules, because all that a plan is made of comes together here, one question after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from fleet.builds import build_address
from fleet.config import Fleet, Loaded, unbuilt
from fleet.diagnostics import Diagnostic
from fleet.difference import Dispute, Wanted, differences
from fleet.errors import FleetError, InputError, PolicyRefusal, Stale
from fleet.hub_targets import find_settings
from fleet.images import Homes, find_homes, read_homes
from fleet.model import Address, Change, Spec, Unknown
from fleet.obstacles import Moves, find_obstacles
from fleet.plan import LeftOut, Place, Plan, Told, Track
from fleet.policy import departures, hold_of, refusals
from fleet.preflight import notices, preflight
from fleet.proposals import (
    Delivered,
    Scene,
    announced,
    is_proposed,
    unstarted,
    without_waiting_files,
    without_waiting_sites,
)
from fleet.provider import CodeHost
from fleet.reference import ImageReference
from fleet.resolution import Resolved
from fleet.rotation import Rotations, by_rule, holdings, rotations
from fleet.selection import Selection, Subject
from fleet.services import Workshop, local_path
from fleet.site import KIND, PROVIDER, is_local
from fleet.sites import HubFiles, Survey, survey
from fleet.tag_meanings import about_tags, ask_registries, freeze
from fleet.tracks import Following, Tracks, follow
from fleet.wants import Wants, find_wants, wanted_at
from fleet.withdrawal import withdraw
from fleet.world import read_all


@dataclass(frozen=True, slots=True)
class Question:
    """What a plan is asked for: everything or a part, with or without the network, as of which day.

    `owned` is what fleet knows to have made or adopted, with the digest that each reference last meant in `digests`.
    `reviewed` holds the builds that somebody agreed to, by image: they are followed, and no newer ones.
    """

    today: date
    selection: Selection = field(default_factory=Selection)
    refresh: bool = True
    owned: Mapping[Address, Spec] = field(default_factory=dict)
    digests: Mapping[Address, str] = field(default_factory=dict)
    reviewed: Mapping[str, Track] = field(default_factory=dict)


def make_plan(loaded: Loaded, workshop: Workshop, question: Question) -> Plan:
    """The plan for a fleet as of now.

    Raises InputError for what is wrong in fleet.yaml, in a values file or with a tag; Stale for a reviewed build that
    is no longer what it was.
    """
    fleet, made = loaded.fleet, _Making(loaded, workshop, question)
    _refuse(unbuilt(loaded))
    question.selection.check(_labels(fleet), fleet.images)
    homes = made.homes()
    surveyed, unread = _survey(loaded, workshop, question)
    things, not_read = made.of_resources(list(homes.wanted(fleet)))
    unread += not_read
    following = Following(question.refresh, question.reviewed, things.waiting)
    tracks = follow(loaded, homes, things.changes, workshop, following)
    if tracks.moved:
        raise Stale("; ".join(tracks.moved))
    wants = find_wants(loaded, surveyed, homes.names, tracks.tags)
    _refuse([*tracks.wrong, *wants.wrong])
    sites = made.of_sites(surveyed, wants, tracks)
    withdrawn = withdraw(things.changes, tracks.builds, things.waiting, workshop)
    rotated = made.rotations(homes, [*withdrawn.changes, *tracks.builds])
    changes, moves = (*withdrawn.changes, *tracks.builds, *rotated.changes), sites.changes
    resolved = ask_registries(loaded, workshop, wants, question.selection) if question.refresh else None
    moving = {move.address: wants.by_site[move.address][0] for move in moves}
    resolutions = freeze(loaded, workshop, moving, resolved)
    _refuse(find_obstacles(loaded, workshop, Moves(moves, wants, surveyed, resolutions)))
    said = [*tracks.notes, *sites.notes, *announced(workshop, [*changes, *moves])]
    return Plan(
        fleet=fleet.name,
        configuration=fleet.model_dump(mode="json", by_alias=True, exclude_none=True),
        changes=(*changes, *moves),
        resolutions=resolutions,
        tracks=_frozen(tracks, homes, resolved),
        blobs={oid: data for oid, data in homes.blobs.items() if changes},
        unread=tuple(unread),
        partial=question.selection.is_partial,
        told=Told(
            hubs=len(fleet.hubs),
            resources=len(wants.by_site) + len(_once(homes.wanted(fleet))),
            requests_used=workshop.pace.requests,
            requests_needed=made.cost([*changes, *moves]),
            places=_places(surveyed, moves),
            reasons=rotated.reasons,
            left_out=(*things.left_out, *withdrawn.left_out, *sites.left_out),
            notes=(
                *said,
                *homes.notes({change.address for change in changes}),
                *notices([one for one in (*things.changes, *moves) if one.after is not None], workshop, workshop.pace),
                *_warnings(workshop, surveyed, moves),
                *made.unread_note(unread),
                *about_tags(wants, moving, resolved, question.digests),
            ),
        ),
    )


def _survey(loaded: Loaded, workshop: Workshop, question: Question) -> tuple[Survey, list[Address]]:
    """What hubs say now, in files and in services, and what was not read of it."""
    read, unread = hub_files(loaded.fleet, question)
    settings = find_settings(loaded, workshop, question.selection, question.refresh)
    _refuse(settings.wrong)
    return settings.added_to(survey(read, workshop.files)), [*unread, *settings.unread]


def check_policy(plan: Plan, loaded: Loaded) -> None:
    """Raise PolicyRefusal, naming each rule and its line, when `protect` or `limits` forbids the plan."""
    refused = refusals(plan.changes, loaded.fleet, lambda keys, *text: loaded.source.diagnostic(keys, *text))
    if refused:
        raise PolicyRefusal(refused)


def _refuse(diagnostics: Sequence[Diagnostic]) -> None:
    if diagnostics:
        raise InputError(diagnostics)


def _labels(fleet: Fleet) -> Mapping[str, Mapping[str, str]]:
    return {name: hub.labels for name, hub in fleet.hubs.items()}


def hub_files(fleet: Fleet, question: Question) -> tuple[list[HubFiles], list[Address]]:
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
            unread[Address(PROVIDER, "repository", repository)] = None
    return read, list(unread)


def _frozen(tracks: Tracks, homes: Homes, resolved: Resolved | None) -> dict[str, Track]:
    """What each followed image's newest build is, with the digest of its tag where a registry was asked."""
    digests = resolved.digests if resolved else {}
    return {
        key: Track(build.commit, build.tag, digests.get(ImageReference(homes.names[key], build.tag), ""))
        for key, build in tracks.followed.items()
    }


def _places(surveyed: Survey, moves: Iterable[Change]) -> dict[Address, Place]:
    found = {change.address: surveyed.sites[change.address] for change in moves}
    return {address: Place(site.line, site.image, site.slots) for address, site in found.items()}


@dataclass(frozen=True, slots=True)
class _Making:
    """A plan in the making: what it is made from."""

    loaded: Loaded
    workshop: Workshop
    question: Question

    def homes(self) -> Homes:
        """Where the images live, with their contents at hand; offline without asking for default branches."""
        if self.question.refresh:
            labels = _labels(self.loaded.fleet)
            homes, wrong = read_homes(
                self.loaded, self.workshop, self.workshop.pace, lambda item: self._is_selected(_subject(item), labels)
            )
        else:
            homes, wrong = find_homes(self.loaded, self.workshop)
        _refuse(wrong)
        self.workshop.blobs.update(homes.blobs)
        return homes

    def of_resources(self, wanted: Sequence[Wanted]) -> tuple[Delivered, list[Address]]:
        """The changes to what services hold, what waits in proposals, and the addresses that were not read."""
        fleet, selection = self.loaded.fleet, self.question.selection
        labels = _labels(fleet)
        selected = _once(item for item in wanted if self._is_selected(_subject(item), labels))
        gone = {} if selection.is_partial else self._gone({item.resource.address for item in wanted})
        addresses = [*(item.resource.address for item in selected), *gone]
        if not self.question.refresh:
            return Delivered(), addresses
        unread = [address for address in addresses if address.provider in self.workshop.without]
        addresses = [address for address in addresses if address.provider not in self.workshop.without]
        self.workshop.wanted.update({item.resource.address: item.resource.spec for item in selected})
        world: dict[Address, Spec] = {}
        for answer in read_all(addresses, self.workshop, self.workshop.pace).values():
            if isinstance(answer, FleetError):
                raise answer
            world.update(answer)
        hidden = set(unread)
        seen = [item for item in selected if item.resource.address not in hidden]
        groups = {item.resource.address: self._group(item.resource.address) for item in seen}
        changes, disputes = differences(seen, world, groups)
        self._refuse_all(disputes)
        self._refuse_all(preflight(changes, seen, self.workshop, self.workshop.pace))
        left = {address: world[address] for address in gone if address in world}
        still_ours = {address: spec for address, spec in left.items() if spec.is_owned_by(fleet.name)}
        changes += departures(still_ours, fleet, self._group, self._repository, self._rests_on)
        return without_waiting_files(self.workshop, changes), unread

    def rotations(self, homes: Homes, changes: Sequence[Change]) -> Rotations:
        """The credentials that are too old, and the older ones that are still to be revoked."""
        if not self.question.refresh:
            return Rotations()
        labels = _labels(self.loaded.fleet)
        held = [
            one
            for one in holdings(self.loaded, homes)
            if self._is_selected(Subject(one.secret.address, images=(one.image,)), labels)
            and self.workshop.without.isdisjoint((one.secret.address.provider, one.source.provider))
        ]
        return rotations(held, changes, self.workshop, by_rule(self.loaded), datetime.now(UTC))

    def _refuse_all(self, disputes: Sequence[Dispute]) -> None:
        diagnostic = self.loaded.source.diagnostic
        _refuse([diagnostic(("images", one.wanted.image), one.reason, one.remedy, of="key") for one in disputes])

    def _is_selected(self, subject: Subject, labels: Mapping[str, Mapping[str, str]]) -> bool:
        selection = self.question.selection
        return selection.is_targeted(subject, labels) and not selection.excluded_by(subject, labels)

    def _gone(self, wanted: set[Address]) -> dict[Address, Spec]:
        """What fleet owns, fleet.yaml no longer has, and a provider of fleet.yaml can still reach."""
        reachable = {*self.loaded.fleet.registries, *self.loaded.fleet.code_hosts}
        return {
            address: spec
            for address, spec in self.question.owned.items()
            if address not in wanted and address.provider in reachable
        }

    def _repository(self, address: Address) -> str:
        """The source repository that something lies in; empty where that is no code host's."""
        host = self.workshop[address.provider]
        return host.repository_of(address) if isinstance(host, CodeHost) else ""

    def _rests_on(self, address: Address) -> Address | None:
        host = self.workshop[address.provider]
        return host.rests_on(address) if isinstance(host, CodeHost) else None

    def _group(self, address: Address) -> str:
        together = self.workshop[address.provider].together(address)
        return together if together == str(address) else f"{address.provider} {together}"

    def of_sites(self, surveyed: Survey, wants: Wants, tracks: Tracks) -> Delivered:
        """The sites that move, and those that would but are held, excluded, or wait in proposals."""
        moves, left_out = self._moves(surveyed, wants, tracks)
        scene = Scene(surveyed, wants, self.question.selection.is_partial)
        found = without_waiting_sites(self.workshop, moves, scene)
        return replace(found, left_out=[*left_out, *found.left_out])

    def _moves(self, surveyed: Survey, wants: Wants, tracks: Tracks) -> tuple[list[Change], list[LeftOut]]:
        """The sites that move, and those that would but are held or excluded."""
        fleet, selection = self.loaded.fleet, self.question.selection
        labels = _labels(fleet)
        holds = {name: hub.hold for name, hub in fleet.hubs.items() if hub.hold is not None}
        changes: list[Change] = []
        left_out: list[LeftOut] = []
        for address, of_site in wants.by_site.items():
            found = surveyed.sites[address]
            before = found.reference
            after = wanted_at(before, of_site[0])
            if before == after or (before is not None and before.tag in tracks.newer.get(of_site[0].image, ())):
                continue
            subject = Subject(address, found.hubs, wants.images(address))
            if not selection.is_targeted(subject, labels):
                continue
            excluded = selection.excluded_by(subject, labels)
            held = hold_of(found.hubs, holds, self.question.today)
            if excluded:
                reason = f"excluded by -exclude={excluded.text}"
                left_out.append(LeftOut(address, before, after, reason, image=found.image))
            elif unbuilt := unstarted(after, tracks.builds):
                reason = f"waits for the first build of {unbuilt}"
                left_out.append(LeftOut(address, before, after, reason, image=found.image))
            elif held:
                hub, hold = held
                reason = f"{hub} is held: {hold.reason}"
                left_out.append(LeftOut(address, before, after, reason, hold.until.isoformat(), found.image))
            else:
                needs = (build_address(after.tag.build_of),) if isinstance(after.tag, Unknown) else ()
                group = self._group(address)
                changes.append(Change(address, before, after, needs=needs, group=group, reaches=found.hubs))
        return changes, left_out

    def cost(self, changes: Iterable[Change]) -> int:
        """How many requests applying these changes takes, about; the sites of one group are one commit or proposal."""
        single = {change.group if change.address.kind == KIND else str(change.address): change for change in changes}
        return sum(self.workshop[change.address.provider].cost(change) for change in single.values())

    def unread_note(self, unread: Sequence[Address]) -> Iterator[str]:
        """What was not read, and why."""
        if unread:
            shown = ", ".join(str(address) for address in unread[:5])
            more = f" and {len(unread) - 5:,} more" if len(unread) > 5 else ""
            why = "without its login" if self.question.refresh else "offline"
            yield f"Not read ({why}): {shown}{more}. What stands there is not part of this plan."


def _warnings(workshop: Workshop, surveyed: Survey, moves: Iterable[Change]) -> Iterator[str]:
    """Rules of branches that are committed to; those of others are for whoever merges."""
    committed = [move for move in moves if not is_proposed(workshop, move.address)]
    for warning in dict.fromkeys(surveyed.warnings[change.reaches[0]] for change in committed):
        if warning:
            yield f"Notice: {warning}."


def _once(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Each resource once, though several images may want it: an account's trust in a code host, for one."""
    first: dict[Address, Wanted] = {}
    for item in wanted:
        first.setdefault(item.resource.address, item)
    return list(first.values())


def _subject(item: Wanted) -> Subject:
    return Subject(item.resource.address, images=(item.image,))
