"""The plan that somebody reviewed, and what has moved since.

A reviewed plan comes as a file that anybody may have written, and as a hash that a person agreed to. The file counts
for nothing unless it has that very hash; and even then only its resolutions are used, each verified against the
services again. The rest of it says, in sentences, what moved when a new plan comes to another hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, StringConstraints, ValidationError

from fleet.builds import PROVIDER as BUILDS
from fleet.errors import FleetError
from fleet.model import Address, Spec, canonical
from fleet.plan import FORMAT_VERSION, Plan, Track, canonical_json, decided
from fleet.site import KIND
from fleet.state import State

LARGEST_FILE = 64 << 20
"""Bytes that a reviewed plan may have; that of 100,000 changes has half as many."""

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A plan as it was reviewed: its hash, the builds it froze, what it could not read, and all that it decided."""

    hash: str
    tracks: Mapping[str, Track]
    unread: tuple[Address, ...]
    decided: Mapping[str, Any]


def is_hash(text: str) -> bool:
    """Whether a text is written as a plan's hash is."""
    return _HASH.fullmatch(text) is not None


def read_reviewed(path: Path, expected: str) -> Reviewed:
    """The plan that was reviewed, out of a file of `fleet plan -out`.

    Raises FleetError, in one sentence, for a file that is none, is too large, or holds another plan than `expected`.
    """
    document = _document(path)
    plan = document.get("plan")
    if document.get("format_version") != FORMAT_VERSION or not isinstance(plan, dict):
        raise FleetError(f"{path} is no reviewed plan: write one with `fleet plan -out`")
    try:
        text = canonical_json(plan).encode()
        shape = _Decided.model_validate(plan)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:4])
        raise FleetError(f"{path} is no reviewed plan: {where[:100]} is wrong ({first['msg']})") from None
    except (ValueError, RecursionError):
        raise FleetError(f"{path} is no reviewed plan: it holds what no plan holds") from None
    found = hashlib.sha256(text).hexdigest()
    if found != expected:
        raise FleetError(f"{path} holds the plan {found[:12]}…, and the one that was reviewed is {expected[:12]}…")
    tracks = {image: Track(*track) for image, track in shape.tracks.items()}
    return Reviewed(found, tracks, tuple(Address.parse(address) for address in shape.unread), plan)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FleetError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise FleetError(f"{path} is larger than {LARGEST_FILE >> 20} MiB: it is no reviewed plan")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise FleetError(f"{path} is no reviewed plan: it is not JSON") from None
    if not isinstance(document, dict):
        raise FleetError(f"{path} is no reviewed plan: it is not a JSON object")
    return document


def _is_address(text: str) -> str:
    Address.parse(text)
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


_Address = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_is_address)]
_Name = Annotated[str, StringConstraints(max_length=4096)]
_Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,64}$")]
_Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
_Digest = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]+:[0-9a-f]{32,128})?$")]


class _ChangeOf(_Strict):
    """One change of a plan's file."""

    address: _Address
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    needs: list[_Address]
    group: _Name
    removal: str | None
    reaches: list[_Name]


class _Decided(_Strict):
    """What a plan decided, as its file holds it: every part in its type, and nothing else."""

    format_version: str
    fleet: _Name
    configuration: dict[str, Any]
    changes: list[_ChangeOf]
    resolutions: dict[_Address, Annotated[tuple[_Name, _Tag, _Digest], Strict(False)]]
    tracks: dict[_Name, Annotated[tuple[_Commit, _Tag, _Digest], Strict(False)]]
    blobs: dict[_Name, str]
    unread: list[_Address]
    partial: bool


def as_reviewed(plan: Plan, reviewed: Reviewed) -> Plan:
    """The part of a plan that the reviewed one could see: both hashes speak of the same things then."""
    hidden = set(reviewed.unread)
    changes = tuple(change for change in plan.changes if change.address not in hidden)
    writes_files = any(change.address.kind != KIND for change in changes)
    return replace(plan, changes=changes, unread=reviewed.unread, blobs=plan.blobs if writes_files else {})


def completed(reviewed: Reviewed, plan: Plan, state: State, begun: Mapping[Address, Spec | None]) -> dict[str, Any]:
    """What a plan decides, with everything added back that a run of the reviewed plan did before it was killed.

    Fleet's own record says so: a thing needs no change any more, and fleet was the last to write it, as it is wanted.
    `begun` is what a killed run was about to write. Without such a run this is what the plan decides, and nothing else.
    """
    document: dict[str, Any] = json.loads(canonical_json(decided(as_reviewed(plan, reviewed))))
    new = {change["address"]: change for change in document["changes"]}
    unfinished = {str(address): canonical(after) for address, after in begun.items()}
    built = dict(_built(reviewed, state))
    ours = {
        change["address"]
        for change in reviewed.decided["changes"]
        if unfinished.get(change["address"], ...) == change["after"]
        or (change["address"] not in new and _is_done(change, state))
    }
    changes = []
    for change in reviewed.decided["changes"]:
        now = new.pop(change["address"], None)
        if change["address"] in ours or (now is not None and _is_a_consequence(change, now, ours, built)):
            now = change
        if now is not None:
            changes.append(now)
    if changes != document["changes"] or built:
        _add_what_came_with_them(document, reviewed, {change["address"] for change in changes}, set(built.values()))
    return {**document, "changes": [*changes, *new.values()]}


def _is_done(change: Mapping[str, Any], state: State) -> bool:
    """Whether a change that is not needed any more is one that fleet made or proposed; what left is in no record."""
    thing = state.things.get(change["address"])
    steps = (step for waiting in state.proposed.values() for step in waiting.steps)
    if any((step.address, step.after) == (change["address"], change["after"]) for step in steps):
        return True
    return thing is None if change["after"] is None else thing is not None and thing.current == change["after"]


def _built(reviewed: Reviewed, state: State) -> Iterator[tuple[str, str]]:
    """The tag that each build of the reviewed plan has come to already, by source repository."""
    for change in reviewed.decided["changes"]:
        address = Address.parse(change["address"])
        thing = state.things.get(change["address"])
        if address.provider == BUILDS and thing is not None and thing.receipt is not None:
            yield address.name, str(thing.receipt["tag"])


def _is_a_consequence(
    change: Mapping[str, Any], now: Mapping[str, Any], ours: set[str], built: Mapping[str, str]
) -> bool:
    """Whether a change differs only by what the reviewed plan itself has done: made what it stands in, or built it."""
    if change["before"] is None and now["after"] == change["after"] and ours & set(change["needs"]):
        return True
    match change["after"], now["after"]:
        case {"tag": {"build_of": repository}}, {"tag": tag}:
            return bool(change["before"] == now["before"] and built.get(repository) == tag)
    return False


def _add_what_came_with_them(
    document: dict[str, Any], reviewed: Reviewed, addresses: Collection[str], built: Collection[str]
) -> None:
    """The tags and contents of what is done already, and none of those that builds of the plan itself came to."""
    frozen = reviewed.decided["resolutions"]
    kept = {key: value for key, value in document["resolutions"].items() if value[1] not in built or key in frozen}
    document["resolutions"] = {**kept, **{key: value for key, value in frozen.items() if key in addresses}}
    tracks = reviewed.decided["tracks"]
    document["tracks"] = {
        key: value for key, value in document["tracks"].items() if value[1] not in built or key in tracks
    }
    contents = reviewed.decided["blobs"]
    if document["blobs"].items() <= contents.items():
        document["blobs"] = contents


def hash_of(document: Mapping[str, Any]) -> str:
    """The hash of what a plan decides."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
