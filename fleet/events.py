"""Plan, apply and drift as JSON lines in Terraform's envelope, so that what reads Terraform's reads these.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui
Consumers ignore types and keys that they do not know; within ui 1, keys are added and never changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any

from fleet import __version__
from fleet.apply import Group, Outcome, Result, Status
from fleet.diagnostics import Diagnostic
from fleet.drift import Drift, Drifted
from fleet.errors import FleetError
from fleet.model import Action, Address, Change, canonical
from fleet.plan import Plan, counts
from fleet.report import diagnostics_of

UI_VERSION = "1.0"

_ACTIONS = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.ADOPT: "import",
    Action.ARCHIVE: "update",
    Action.DELETE: "delete",
    Action.FORGET: "remove",
}


class Events:
    """Writes events to a stream, one JSON line each, and watches a run as `fleet.progress` does."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._began: dict[str, float] = {}

    def write(self, type_: str, message: str, /, level: str = "info", **fields: Any) -> None:
        """One event."""
        envelope = {
            "@level": level,
            "@message": message,
            "@module": "fleet.ui",
            "@timestamp": datetime.now(UTC).isoformat(),
            "type": type_,
        }
        self._stream.write(json.dumps({**envelope, **fields}, ensure_ascii=False) + "\n")
        self._stream.flush()

    def version(self) -> None:
        """The first line."""
        self.write("version", f"fleet {__version__}", fleet=__version__, ui=UI_VERSION)

    def plan(self, plan: Plan) -> None:
        """Each planned change, and how many there are."""
        for change in plan.changes:
            action = _ACTIONS[change.action]
            document = {"resource": _resource(change.address), "action": action, "hubs": list(change.reaches)}
            self.write("planned_change", f"{change.address}: Plan to {action}", change=document)
        for note in plan.told.notes:
            self.write("diagnostic", note, "warn", diagnostic=Diagnostic(note, severity="warning").to_json())
        self._summary(plan, "plan", _counted(plan))

    def outcome(self, outcome: Outcome, plan: Plan) -> None:
        """How many changes were made."""
        done = tuple(change for result in outcome.of(Status.DONE) for change in result.group.changes)
        statuses = {status.value: len(outcome.of(status)) for status in Status}
        self._summary(plan, "apply", _count(done), groups=statuses, stopped=outcome.stopped)

    def _summary(self, plan: Plan, operation: str, changes: Mapping[str, int], **more: Any) -> None:
        told = ", ".join(f"{number:,} to {name}" for name, number in changes.items())
        self.write(
            "change_summary",
            f"{operation.capitalize()}: {told}.",
            changes={**changes, "operation": operation},
            plan_hash=plan.hash,
            **more,
        )

    def drift(self, drift: Drift) -> None:
        """Each address that moved, and how many there are."""
        for item in drift.drifted:
            document = {"resource": _resource(item.address), "action": _drifted(item), **_sides(item)}
            self.write("resource_drift", f"{item.address}: Drift detected ({item.moved})", change=document)
        numbers = {moved: len(drift.of(moved)) for moved in ("world", "both", "file")}
        self.write("drift_summary", f"{len(drift.drifted):,} moved", drift={**numbers, "checked": drift.checked})

    def error(self, error: FleetError) -> None:
        """What is wrong, one event for each mistake."""
        for found in diagnostics_of(error):
            level = "error" if found.severity == "error" else "warn"
            self.write(
                "diagnostic", f"{found.severity.capitalize()}: {found.summary}", level, diagnostic=found.to_json()
            )

    def began(self, group: Group) -> None:
        """A group is being written."""
        self._began[group.key] = time.monotonic()
        for change, hook in _hooks(group):
            self.write("apply_start", f"{change.address}: {hook['action']}…", hook=hook)

    def ended(self, result: Result) -> None:
        """A group has ended."""
        began = self._began.pop(result.group.key, None)
        elapsed = round(time.monotonic() - began) if began is not None else 0
        good = result.status in (Status.DONE, Status.FOUND, Status.PROPOSED)
        for change, hook in _hooks(result.group):
            hook |= {"elapsed_seconds": elapsed, "status": result.status.value, "why": result.why}
            type_, level = ("apply_complete", "info") if good else ("apply_errored", "error")
            self.write(type_, f"{change.address}: {result.status}", level, hook=hook)

    def waiting(self, reason: str, seconds: float) -> None:
        """Something is being waited for."""
        self.write("waiting", f"waiting {seconds:.0f} s: {reason}", reason=reason, seconds=seconds)


def _hooks(group: Group) -> Iterator[tuple[Change, dict[str, Any]]]:
    for change in group.changes:
        yield change, {"resource": _resource(change.address), "action": _ACTIONS[change.action]}


def _resource(address: Address) -> dict[str, Any]:
    return {
        "addr": str(address),
        "module": "",
        "resource": str(address),
        "implied_provider": address.provider,
        "resource_type": address.kind,
        "resource_name": address.name,
        "resource_key": None,
    }


def _counted(plan: Plan) -> dict[str, int]:
    total = counts(plan)
    return {"add": total["add"], "change": total["change"], "import": total["adopt"], "remove": total["remove"]}


def _count(changes: tuple[Change, ...]) -> dict[str, int]:
    return _counted(Plan("", {}, changes))


def _drifted(item: Drifted) -> str:
    if item.moved == "file":
        return "noop"
    return "delete" if item.found is None else "update"


def _sides(item: Drifted) -> dict[str, Any]:
    return {
        "moved": item.moved,
        "applied": canonical(item.applied),
        "found": canonical(item.found),
        "wanted": canonical(item.wanted),
        "applied_at": item.at,
        "authors": dict(item.authors),
        "commits": {part: asdict(last) for part, last in item.commits.items()},
    }
