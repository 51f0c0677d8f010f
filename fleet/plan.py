"""A plan: frozen data that decides everything apply will do, with one canonical JSON form and a hash over it.

The hash covers what was decided (format, fleet, configuration, changes with their preconditions and groups, what each
tag means, what could not be read); what is only told (requests, places, notes) stands beside it, not covered.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from fleet.model import Address, Change, Spec, canonical

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What wants to change and does not: a hub that it reaches is held, it was excluded, or it waits for something."""

    address: Address
    before: Spec | None
    after: Spec | None
    reason: str
    until: str | None = None
    image: str = ""
    """The image that hubs see there."""


class Resolution(NamedTuple):
    """What a site's new tag means: the image's full name, the tag, and the digest, frozen when the plan was made."""

    image: str
    tag: str
    digest: str


class Track(NamedTuple):
    """What `newest-build` meant for an image when the plan was made: a commit, the tag that its build gave, the digest.

    The digest is empty where no registry was asked about the tag.
    """

    commit: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change is rooted: the line of the file it edits (for a site), the image that hubs
    see there, and the slots that it serves."""

    line: int | None = None
    image: str = ""
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a plan says beside what it decides: for people, not for the hash."""

    hubs: int = 0
    resources: int = 0
    requests_used: int = 0
    requests_needed: int = 0
    places: Mapping[Address, Place] = field(default_factory=dict)
    reasons: Mapping[Address, str] = field(default_factory=dict)
    """Why a change is made that no field of its spec tells."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What apply will do: nothing else, and everything in it."""

    fleet: str
    configuration: Mapping[str, Any]
    changes: tuple[Change, ...]
    resolutions: Mapping[Address, Resolution] = field(default_factory=dict)
    tracks: Mapping[str, Track] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    """Contents of files that the plan writes, by git blob id."""
    unread: tuple[Address, ...] = ()
    partial: bool = False
    told: Told = field(default_factory=Told)

    @cached_property
    def hash(self) -> str:
        """The sha256 of the decided part's canonical JSON, in hex."""
        return hashlib.sha256(canonical_json(decided(self)).encode()).hexdigest()


Counts = dict[Literal["add", "change", "adopt", "remove"], int]


def counts(plan: Plan) -> Counts:
    """How many changes of each sort the plan holds."""
    sorts: dict[str, Literal["add", "change", "adopt", "remove"]] = {
        "create": "add",
        "update": "change",
        "adopt": "adopt",
    }
    result: Counts = {"add": 0, "change": 0, "adopt": 0, "remove": 0}
    for change in plan.changes:
        result[sorts.get(change.action, "remove")] += 1
    return result


def hubs_reached(plan: Plan) -> set[str]:
    """The hubs whose users will see something of the plan."""
    return {hub for change in plan.changes for hub in change.reaches}


def canonical_json(document: Any) -> str:
    """One text for one meaning: sorted keys, no white space, no escapes that are not needed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decided(plan: Plan) -> dict[str, Any]:
    """The part of the plan that the hash covers."""
    return {
        "format_version": FORMAT_VERSION,
        "fleet": plan.fleet,
        "configuration": plan.configuration,
        "changes": [_change(change) for change in plan.changes],
        "resolutions": {str(address): list(resolution) for address, resolution in plan.resolutions.items()},
        "tracks": {image: list(track) for image, track in plan.tracks.items()},
        "blobs": {oid: base64.b64encode(data).decode() for oid, data in plan.blobs.items()},
        "unread": [str(address) for address in plan.unread],
        "partial": plan.partial,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "address": str(change.address),
        "before": canonical(change.before),
        "after": canonical(change.after),
        "needs": [str(address) for address in change.needs],
        "group": change.group,
        "removal": change.removal,
        "reaches": list(change.reaches),
        **({"rotates": {"source": str(change.rotates.source), "key": change.rotates.key}} if change.rotates else {}),
    }
