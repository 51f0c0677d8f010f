"""Writes imported hubs as the text of a fleet.yaml that a person will go on editing.

Every string that some YAML reader could take for something else is quoted, tracks always are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from fleet.importers.image_keys import keys_for, spellings
from fleet.reference import ImageReference, split_host
from fleet.values import Site, paths
from fleet.values.quoting import can_stand_plain


@dataclass(frozen=True, slots=True)
class ImportedHub:
    """One hub as found: its files, and the sites of each of its slots."""

    name: str
    cluster: str
    wave: str
    url: str
    files: tuple[str, ...]
    unread: tuple[str, ...]
    slots: Mapping[str, tuple[Site, ...]]


@dataclass(frozen=True, slots=True)
class _Images:
    spellings: Mapping[tuple[str, str], str]
    keys: Mapping[tuple[str, str], str]

    def key(self, reference: ImageReference) -> str:
        return self.keys[split_host(reference.name)]


def write_fleet(folder: Path, hubs: Sequence[ImportedHub]) -> str:
    """The text of a fleet.yaml for hubs whose values lie in the local checkout `folder`."""
    chosen = {hub.name: dict(_choose_slots(hub.slots)) for hub in hubs}
    names = [site.reference.name for hub in hubs for sites in hub.slots.values() for site in sites]
    used = spellings(names)
    images = _Images(used, keys_for(used))
    lines = [
        "version: 1",
        f"name: {_scalar(_fleet_name(folder))}",
        "",
        "state: .fleet",
        "",
        "# Every image that a hub offers; one that this fleet shall build gets `repository`, `template`, `registry`.",
        *_section("images", _image_lines(images)),
        "",
        "# Each track is pinned to the tag that stands in the values files today, so the first plan changes nothing.",
        *_section("hubs", [line for hub in _by_cluster(hubs) for line in _hub_or_heading(hub, folder, chosen, images)]),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(key: str, lines: Sequence[str]) -> list[str]:
    return [f"{key}:", *lines] if lines else [f"{key}: {{}}"]


def _image_lines(images: _Images) -> list[str]:
    by_key = sorted((key, images.spellings[image]) for image, key in images.keys.items())
    return [f"  {_scalar(key)}: {{upstream: {_scalar(name)}}}" for key, name in by_key]


def _by_cluster(hubs: Sequence[ImportedHub]) -> Iterator[ImportedHub | str]:
    for cluster, members in groupby(hubs, key=lambda hub: hub.cluster):
        yield cluster
        yield from members


def _hub_or_heading(
    hub: ImportedHub | str, folder: Path, chosen: Mapping[str, Mapping[str, Site]], images: _Images
) -> Iterator[str]:
    if isinstance(hub, str):
        yield f"  # cluster {hub}"
        return
    yield f"  {_scalar(hub.name)}:"
    yield f"    url: {_scalar(hub.url)}"
    yield f"    labels: {{cluster: {_scalar(hub.cluster)}, wave: {hub.wave}}}"
    for file in hub.unread:
        yield f"    # {file} is left out: it is not YAML"
    yield "    values:"
    yield f"      path: {_scalar(folder.as_posix())}"
    yield from (f"      {line}" for line in _section_of_files(hub.files))
    yield from (f"    {line}" for line in _slot_lines(chosen[hub.name], images))
    yield ""


def _section_of_files(files: Sequence[str]) -> list[str]:
    return ["files:", *(f"- {_scalar(file)}" for file in files)] if files else ["files: []"]


def _slot_lines(slots: Mapping[str, Site], images: _Images) -> Iterator[str]:
    pinned = {slot: site for slot, site in slots.items() if site.reference.tag and not site.reference.digest}
    for slot, site in slots.items():
        if slot not in pinned:
            what = "a digest" if site.reference.digest else "no tag"
            yield f"# {slot} is left out: it has {what} ({site.file}:{site.line})"
    if not pinned:
        yield "slots: {}"
        return
    yield "slots:"
    for slot, site in pinned.items():
        track = json.dumps(site.reference.tag)
        yield f"  {_scalar(slot)}: {{image: {_scalar(images.key(site.reference))}, track: {track}}}"


def _choose_slots(slots: Mapping[str, tuple[Site, ...]]) -> Iterator[tuple[str, Site]]:
    """The fewest slots that reach every site: `choices.X` where several profiles offer one and the same X."""
    profiles_of: dict[str, set[str]] = defaultdict(set)
    for slot in slots:
        match paths.parse(slot):
            case ("profiles", profile, _, choice):
                profiles_of[choice].add(profile)
    together = {
        choice
        for choice, profiles in profiles_of.items()
        if len(profiles) > 1 and _agree(slots[f"choices{paths.step(choice)}"])
    }
    for slot, sites in slots.items():
        match paths.parse(slot):
            case ("choices", choice) if choice not in together:
                continue
            case ("profiles", _, _, choice) if choice in together:
                continue
        yield slot, sites[0]


def _agree(sites: Sequence[Site]) -> bool:
    return len({(split_host(site.reference.name), site.reference.tag, site.reference.digest) for site in sites}) == 1


def _fleet_name(folder: Path) -> str:
    from slugify import slugify

    return slugify(folder.resolve().name) or "fleet"


def _scalar(text: str) -> str:
    return text if text and can_stand_plain(text) else json.dumps(text)
