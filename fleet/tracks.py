"""`newest-build`: the tag that an image's newest green build gave, or the build that this plan starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fleet.builds import FILES, WORKFLOW, Built, build_address, newest_success
from fleet.config import NEWEST_BUILD, BuiltImage, Fleet, Loaded
from fleet.diagnostics import Diagnostic
from fleet.images import Homes
from fleet.model import Address, Change, Resource, Unknown
from fleet.plan import Track
from fleet.provider import Build
from fleet.services import Workshop


@dataclass(frozen=True, slots=True)
class Tracks:
    """What `newest-build` means now for each image that is followed so, the builds to wait for, and what to say.

    `newer` holds, for each image, the tags of commits after the one that is followed: no slot is moved back from them.
    `moved` says which builds are no longer what they were when they were reviewed.
    """

    tags: Mapping[str, str | Unknown] = field(default_factory=dict)
    newer: Mapping[str, frozenset[str]] = field(default_factory=dict)
    followed: Mapping[str, Build] = field(default_factory=dict)
    builds: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    wrong: tuple[Diagnostic, ...] = ()
    moved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Following:
    """How builds are followed: by asking (`refresh`), or not at all; `reviewed` holds those that somebody agreed to,
    `waiting` the addresses of files that only a merge will write."""

    refresh: bool = True
    reviewed: Mapping[str, Track] = field(default_factory=dict)
    waiting: Collection[Address] = ()


def follow(loaded: Loaded, homes: Homes, changes: Sequence[Change], workshop: Workshop, how: Following) -> Tracks:
    """Find out, with two requests for each image that a slot follows by its builds.

    A build that was reviewed is followed as it was then, however many newer ones there are.
    """
    fleet = loaded.fleet
    awaited = dict(_awaited(fleet, homes, changes, workshop))
    tags: dict[str, str | Unknown] = {key: Unknown(build_of=change.address.name) for key, change in awaited.items()}
    newer: dict[str, frozenset[str]] = {}
    followed: dict[str, Build] = {}
    notes: list[str] = []
    wrong: list[Diagnostic] = []
    moved: list[str] = []
    for key, where in _followed(fleet).items():
        image = fleet.images[key]
        if key in tags or not how.refresh or not isinstance(image, BuiltImage) or image.repository is None:
            continue
        host = workshop.code_host(fleet.code_host_of(image.repository) or "")
        repository = image.repository
        unmade = _is_unmade(repository, changes, workshop)
        builds = () if unmade else workshop.pace.repeat(host.limits, partial(host.builds, repository, WORKFLOW))
        if key in how.reviewed:
            found, trouble = _reviewed(repository, builds, how.reviewed[key])
            if found is None:
                moved.append(trouble)
                continue
        else:
            found = newest_success(builds)
        if found is None and workshop.proposes(repository) and _may_come(homes.sources[key], builds, changes, how):
            tags[key] = Unknown(build_of=repository)
            continue
        if found is None:
            latest = f"; the newest is {builds[0].status} ({builds[0].url})" if builds and builds[0].url else ""
            wrong.append(loaded.source.diagnostic(where, f"{repository} has no green build to follow{latest}"))
            continue
        before = builds[: builds.index(found)]
        followed[key] = found
        tags[key], newer[key] = found.tag, frozenset(build.tag for build in before)
        notes.extend(_running(repository, before))
    return Tracks(tags, newer, followed, tuple(awaited.values()), tuple(notes), tuple(wrong), tuple(moved))


def _is_unmade(repository: str, changes: Sequence[Change], workshop: Workshop) -> bool:
    """Whether this plan makes a repository whose files it only proposes: nothing is built there before a merge."""
    made = {change.address.name for change in changes if change.address.kind != FILES and change.before is None}
    return repository in made and workshop.proposes(repository)


def _may_come(source: Sequence[Resource], builds: Sequence[Build], changes: Sequence[Change], how: Following) -> bool:
    """Whether a first build is on its way: it runs, or the files that start it are proposed."""
    files = source[-1].address
    is_running = any(build.status == "running" for build in builds)
    return is_running or files in how.waiting or any(change.address == files for change in changes)


def _reviewed(repository: str, builds: Sequence[Build], track: Track) -> tuple[Build | None, str]:
    """The build that was reviewed, or why it may not be used any more."""
    found = next((build for build in builds if build.commit == track.commit), None)
    what = f"the build of {repository} at {track.commit[:12]} was reviewed"
    if found is None:
        return None, f"{what}, and is not among the {len(builds)} newest commits of its branch"
    if found.status != "success":
        return None, f"{what}, and is {found.status} now: {found.url}".removesuffix(": ")
    if found.tag != track.tag:
        return None, f"{what} with the tag {track.tag}, and gives {found.tag}"
    return found, ""


def _running(repository: str, builds: Sequence[Build]) -> Iterator[str]:
    for build in builds:
        if build.status == "running":
            yield f"Notice: a newer build of {repository} is running: {build.url}."


def _followed(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The images that a slot follows by their builds, and where the first of these slots says so."""
    found: dict[str, tuple[str, ...]] = {}
    for hub, entry in fleet.hubs.items():
        for name, slot in entry.slots.items():
            if slot.track == NEWEST_BUILD:
                found.setdefault(slot.image, ("hubs", hub, "slots", name, "track"))
    return found


def _awaited(fleet: Fleet, homes: Homes, changes: Sequence[Change], workshop: Workshop) -> Iterator[tuple[str, Change]]:
    """The builds that this plan starts, or that a killed run was waiting for."""
    written = {change.address for change in changes if change.after is not None}
    for key, resources in homes.sources.items():
        image = fleet.images[key]
        assert isinstance(image, BuiltImage)
        assert image.repository is not None
        files = resources[-1].address
        address = build_address(image.repository)
        starts = files in written and not workshop.proposes(image.repository)
        if files.kind != FILES or not (starts or address in workshop.begun):
            continue
        needs: tuple[Address, ...] = (files,) if starts else ()
        wanted = Built(image=homes.names[key], host=files.provider)
        yield key, Change(address, None, wanted, needs=needs, group=str(address))
