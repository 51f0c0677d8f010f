"""A plan as a file: one self-contained JSON document, with the hash that tells whether it was changed since."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet import __version__
from fleet.config import Fleet
from fleet.errors import FleetError
from fleet.files import write_atomically
from fleet.model import Address, Change, Rotation, Spec, canonical
from fleet.plan import FORMAT_VERSION, LeftOut, Place, Plan, Resolution, Told, Track, decided

Kinds = Callable[[Address], type[Spec]]
"""Finds the type of the specs at an address."""


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan to a file, whole or not at all; raises FleetError when it cannot be written."""
    document = {
        "format_version": FORMAT_VERSION,
        "fleet_version": __version__,
        "hash": plan.hash,
        "plan": decided(plan),
        "told": _told(plan.told),
    }
    try:
        write_atomically(path, json.dumps(document, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise FleetError(f"{path} cannot be written: {error.strerror}") from None


def load_plan(path: Path, kinds: Callable[[Fleet], Kinds]) -> tuple[Plan, Fleet]:
    """Read a plan back, with its configuration; raises FleetError for one that is damaged, newer or tampered with."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FleetError(f"{path} cannot be read: {error.strerror}") from None
    try:
        document = json.loads(data)
        if document["format_version"] != FORMAT_VERSION:
            raise FleetError(
                f"{path} has format {document['format_version']!r}; this fleet reads {FORMAT_VERSION}: plan again"
            )
        configuration = Fleet.model_validate_json(json.dumps(document["plan"]["configuration"]))
        plan = _plan(document["plan"], document["told"], kinds(configuration))
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise FleetError(f"{path} is not a plan file, or it is damaged ({reason}): plan again") from None
    if plan.hash != document["hash"]:
        raise FleetError(f"{path} was changed after it was written (its hash does not match): plan again")
    return plan, configuration


def _plan(document: Mapping[str, Any], told: Mapping[str, Any], kinds: Kinds) -> Plan:
    return Plan(
        fleet=document["fleet"],
        configuration=document["configuration"],
        changes=tuple(_change(change, kinds) for change in document["changes"]),
        resolutions={Address.parse(key): Resolution(*parts) for key, parts in document["resolutions"].items()},
        tracks={image: Track(*parts) for image, parts in document["tracks"].items()},
        blobs={oid: base64.b64decode(data) for oid, data in document["blobs"].items()},
        unread=tuple(Address.parse(address) for address in document["unread"]),
        partial=document["partial"],
        told=_told_back(told, kinds),
    )


def _change(document: Mapping[str, Any], kinds: Kinds) -> Change:
    address = Address.parse(document["address"])
    return Change(
        address,
        _spec(document["before"], address, kinds),
        _spec(document["after"], address, kinds),
        needs=tuple(Address.parse(need) for need in document["needs"]),
        group=document["group"],
        removal=document["removal"],
        reaches=tuple(document["reaches"]),
        rotates=_rotation(document.get("rotates")),
    )


def _rotation(document: Any) -> Rotation | None:
    return None if document is None else Rotation(Address.parse(document["source"]), document["key"])


def _spec(document: Any, address: Address, kinds: Kinds) -> Spec | None:
    return None if document is None else kinds(address).model_validate_json(json.dumps(document))


def _told(told: Told) -> dict[str, Any]:
    return {
        "hubs": told.hubs,
        "resources": told.resources,
        "requests_used": told.requests_used,
        "requests_needed": told.requests_needed,
        "places": {
            str(key): {"line": place.line, "image": place.image, "slots": list(place.slots)}
            for key, place in told.places.items()
        },
        "reasons": {str(key): reason for key, reason in told.reasons.items()},
        "left_out": [
            {
                "address": str(item.address),
                "before": canonical(item.before),
                "after": canonical(item.after),
                "reason": item.reason,
                "until": item.until,
                "image": item.image,
            }
            for item in told.left_out
        ],
        "notes": list(told.notes),
    }


def _told_back(document: Mapping[str, Any], kinds: Kinds) -> Told:
    return Told(
        hubs=document["hubs"],
        resources=document["resources"],
        requests_used=document["requests_used"],
        requests_needed=document["requests_needed"],
        places={
            Address.parse(key): Place(place["line"], place["image"], tuple(place["slots"]))
            for key, place in document["places"].items()
        },
        reasons={Address.parse(key): reason for key, reason in document.get("reasons", {}).items()},
        left_out=tuple(_left_out(item, kinds) for item in document["left_out"]),
        notes=tuple(document["notes"]),
    )


def _left_out(document: Mapping[str, Any], kinds: Kinds) -> LeftOut:
    address = Address.parse(document["address"])
    return LeftOut(
        address,
        _spec(document["before"], address, kinds),
        _spec(document["after"], address, kinds),
        document["reason"],
        document["until"],
        document["image"],
    )
