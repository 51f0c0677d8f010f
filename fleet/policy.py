"""The rules of fleet.yaml over a plan: `hold`, `protect`, `limits` and `removed`. Pure: data in, verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from fleet.config import Fleet, Hold
from fleet.diagnostics import Diagnostic
from fleet.model import Action, Address, Change, Removal, Spec
from fleet.selection import Selector, Subject

Place = Callable[[Sequence[str | int], str, str], Diagnostic]
"""Makes a diagnostic from the keys that lead to a rule in fleet.yaml, a summary and a detail."""

REMOVALS = frozenset({Action.DELETE, Action.ARCHIVE, Action.FORGET})


def hold_of(hubs: Iterable[str], holds: Mapping[str, Hold], today: date) -> tuple[str, Hold] | None:
    """The first of these hubs that is held today, and its hold; a hold lasts through its last day."""
    for hub in hubs:
        hold = holds.get(hub)
        if hold is not None and today <= hold.until:
            return hub, hold
    return None


def departures(
    owned: Mapping[Address, Spec],
    fleet: Fleet,
    group: Callable[[Address], str] = str,
    repository_of: Callable[[Address], str] = lambda address: "",
    rests_on: Callable[[Address], Address | None] = lambda address: None,
) -> list[Change]:
    """How things leave that fleet owns and fleet.yaml no longer has: forgotten, unless `removed` says otherwise.

    What lies in a repository that is archived or destroyed leaves before it: afterwards nothing can be written there.
    So does what rests on something else that leaves.
    """
    ways: dict[str, Removal] = {entry.address.lower(): entry.then for entry in fleet.removed}
    ending = {(address.provider, address.name): address for address in owned if str(address).lower() in ways}

    def needs(address: Address) -> tuple[Address, ...]:
        last = (ending.get((address.provider, repository_of(address))), rests_on(address))
        return tuple(
            one for one in last if one is not None and one in owned and one != address
        )  # removals run the other way round

    return [
        Change(address, before, None, needs(address), group(address), ways.get(str(address).lower(), "forget"))
        for address, before in owned.items()
    ]


def refusals(changes: Sequence[Change], fleet: Fleet, place: Place) -> list[Diagnostic]:
    """Every rule that forbids the plan, by name and line; none when it may be applied."""
    return [*_protected(changes, fleet, place), *_over_limits(changes, fleet, place)]


def _protected(changes: Sequence[Change], fleet: Fleet, place: Place) -> Iterable[Diagnostic]:
    labels = {name: hub.labels for name, hub in fleet.hubs.items()}
    for index, pattern in enumerate(fleet.protect):
        selector = Selector(pattern)
        for change in changes:
            if _takes_away(change) and selector.matches(Subject(change.address, change.reaches), labels):
                summary = f"protect {pattern!r} forbids to {change.action} {change.address}"
                becomes = f"become {change.after}" if change.after else "be gone"
                yield place(("protect", index), summary, f"It would {becomes}.")


def _takes_away(change: Change) -> bool:
    """Whether what people rely on goes: a thing that is removed, or a reference that is replaced at a site."""
    return change.action in REMOVALS or (change.action is Action.UPDATE and bool(change.reaches))


def _over_limits(changes: Sequence[Change], fleet: Fleet, place: Place) -> Iterable[Diagnostic]:
    removed = [change for change in changes if change.action in REMOVALS]
    if fleet.limits.remove is not None and len(removed) > fleet.limits.remove:
        summary = f"limits.remove allows {fleet.limits.remove} and the plan removes {len(removed)}"
        yield place(("limits", "remove"), summary, ", ".join(str(change.address) for change in removed))
    reached = {hub for change in changes for hub in change.reaches}
    allowed = fleet.limits.hubs_allowed(len(fleet.hubs))
    if allowed is not None and len(reached) > allowed:
        summary = f"limits.hubs_per_run allows {allowed} of {len(fleet.hubs)} hubs and the plan reaches {len(reached)}"
        detail = "Take a part with -target, or raise the limit."
        yield place(("limits", "hubs_per_run"), summary, detail)
