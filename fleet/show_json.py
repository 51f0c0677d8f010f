"""A plan as one JSON document in Terraform's names, so that policies and summarisers written for it work.

https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
Consumers ignore keys that they do not know; within format 1, keys are added and never changed.
"""

from __future__ import annotations

from typing import Any

from fleet import __version__
from fleet.model import Action, Change, canonical
from fleet.plan import FORMAT_VERSION, LeftOut, Plan, counts, hubs_reached

_ACTIONS = {
    Action.CREATE: ["create"],
    Action.UPDATE: ["update"],
    Action.ADOPT: ["update"],
    Action.ARCHIVE: ["update"],
    Action.DELETE: ["delete"],
    Action.FORGET: ["forget"],
}


def plan_document(plan: Plan) -> dict[str, Any]:
    """The document; equal plans give equal documents."""
    return {
        "format_version": FORMAT_VERSION,
        "fleet_version": __version__,
        "fleet": plan.fleet,
        "plan_hash": plan.hash,
        "applyable": bool(plan.changes),
        "complete": not (plan.partial or plan.unread or plan.told.left_out),
        "errored": False,
        "resource_changes": [_resource_change(plan, change) for change in plan.changes],
        "left_out": [_left_out(item) for item in plan.told.left_out],
        "unread": [str(address) for address in plan.unread],
        "summary": {**counts(plan), "hubs": len(hubs_reached(plan)), "hubs_total": plan.told.hubs},
        "requests": {"used": plan.told.requests_used, "needed": plan.told.requests_needed},
        "notes": list(plan.told.notes),
    }


def _resource_change(plan: Plan, change: Change) -> dict[str, Any]:
    place = plan.told.places.get(change.address)
    before, after = canonical(change.before), canonical(change.after)
    return {
        "address": str(change.address),
        "mode": "managed",
        "type": change.address.kind,
        "name": change.address.name,
        "provider_name": change.address.provider,
        "change": {
            "actions": _ACTIONS[change.action],
            "before": before,
            "after": after,
            "after_unknown": {},
            "before_sensitive": {},
            "after_sensitive": {},
        },
        "action_reason": change.removal or plan.told.reasons.get(change.address),
        "adopted": change.action is Action.ADOPT,
        "precondition": before,
        "needs": [str(address) for address in change.needs],
        "group": change.group,
        "hubs": list(change.reaches),
        "slots": list(place.slots) if place else [],
        "line": place.line if place else None,
    }


def _left_out(item: LeftOut) -> dict[str, Any]:
    return {
        "address": str(item.address),
        "before": canonical(item.before),
        "after": canonical(item.after),
        "reason": item.reason,
        "until": item.until,
    }
