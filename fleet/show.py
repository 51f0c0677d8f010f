"""A plan as a person reads it: nothing for what does not change, identical changes as one, every place named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fleet.model import Action, Change, Spec, canonical
from fleet.plan import LeftOut, Plan, counts, hubs_reached
from fleet.site import KIND, SiteAddress, SiteReference
from fleet.terminal import Line, Span, Style, line

PLACES_SHOWN = 20
"""Places of one group of identical changes that are listed; the rest are counted. Removals are always listed."""

HUBS_SHOWN = 6

_SYMBOLS: dict[Action, Span] = {
    Action.CREATE: ("add", "+"),
    Action.UPDATE: ("change", "~"),
    Action.DELETE: ("remove", "-"),
    Action.FORGET: ("attention", "!"),
    Action.ARCHIVE: ("attention", "!"),
    Action.ADOPT: ("adopt", "="),
}


def plan_lines(plan: Plan) -> list[Line]:
    """The whole plan."""
    return [*_heading(plan), *_body(plan), *_left_out(plan.told.left_out), *_summary(plan)]


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 hub`, `2 hubs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _heading(plan: Plan) -> Iterator[Line]:
    told = plan.told
    spent = f" · {count(told.requests_used, 'request')} used" if told.requests_used else ""
    yield line(
        ("bold", f"fleet {plan.fleet}"), f": {count(told.hubs, 'hub')}, {count(told.resources, 'resource')}{spent}"
    )


def _body(plan: Plan) -> Iterator[Line]:
    by_group: dict[str, list[Change]] = {}
    for change in plan.changes:
        where = change.group if change.address.kind == KIND else change.address.provider
        by_group.setdefault(where, []).append(change)
    for where, changes in by_group.items():
        yield ()
        yield line("  ", ("bold", where))
        for alike in _identical(plan, changes):
            yield from _alike(plan, alike)


def _identical(plan: Plan, changes: Iterable[Change]) -> list[list[Change]]:
    """Changes that do the same thing, together, in the order of the first of each."""
    same: dict[tuple[Any, ...], list[Change]] = {}
    for change in changes:
        key = (change.address.kind, change.action, image_at(plan, change), repr(change.before), repr(change.after))
        same.setdefault(key, []).append(change)
    return list(same.values())


def image_at(plan: Plan, change: Change) -> str:
    """The image that hubs see at a site, wherever its name is written."""
    place = plan.told.places.get(change.address)
    return place.image if place else ""


def _alike(plan: Plan, changes: Sequence[Change]) -> Iterator[Line]:
    first = changes[0]
    symbol = _SYMBOLS[first.action]
    if isinstance(first.after, SiteReference) and isinstance(first.before, SiteReference):
        yield line("  ", symbol, " ", *_moved(first.before, first.after, image_at(plan, first)))
    else:
        names = count(len(changes), first.address.kind, f"{first.address.kind}s") if len(changes) > 1 else ""
        yield line("  ", symbol, " ", names or f"{first.address.kind} {first.address.name}", ("dim", _verb(first)))
        for text in _fields(first.before, first.after):
            yield line("      ", text)
        if len(changes) == 1:
            return
    bound = len(changes) if first.after is None else PLACES_SHOWN
    for change in changes[:bound]:
        yield line("      ", *_place(plan, change))
    if len(changes) > bound:
        yield line("      ", ("dim", f"… and {len(changes) - bound:,} more"))


def _moved(before: SiteReference, after: SiteReference, image: str = "") -> Sequence[Span]:
    if before.image == after.image:
        return (("", f"{after.image or image}  "), ("dim", before.tag), ("", " → "), ("bold", after.tag))
    return (("dim", str(before)), ("", " → "), ("bold", str(after)))


def _place(plan: Plan, change: Change) -> Sequence[Span]:
    if change.address.kind != KIND:
        hubs = f"  {hub_names(change.reaches)}" if change.reaches else ""
        return (("", change.address.name), ("", hubs))
    site = SiteAddress.parse(change.address.name)
    place = plan.told.places.get(change.address)
    where = f"{site.file}:{place.line}" if place and place.line else site.file
    slots = f"  {', '.join(place.slots)}" if place else ""
    return (("", where), ("dim", slots), ("", f"  {hub_names(change.reaches)}"))


def hub_names(hubs: Sequence[str]) -> str:
    """Hubs by name as far as they fit on a line, and how many there are."""
    shown = ", ".join(hubs[:HUBS_SHOWN])
    more = f", … {len(hubs) - HUBS_SHOWN:,} more" if len(hubs) > HUBS_SHOWN else ""
    return f"{count(len(hubs), 'hub')}: {shown}{more}" if hubs else "no hub"


def _verb(change: Change) -> str:
    verbs = {Action.FORGET: "  forgotten: it left the file", Action.ARCHIVE: "  archived", Action.ADOPT: "  adopted"}
    return verbs.get(change.action, "")


def _fields(before: Spec | None, after: Spec | None) -> Iterator[str]:
    """The fields that differ; of a new thing those that say something."""
    if after is None:
        return
    old, new = canonical(before) or {}, canonical(after)
    for name, value in new.items():
        if before is None and value not in (None, "", [], {}) and name != "owner":
            yield f"{name}: {_value(value)}"
        elif before is not None and old.get(name) != value and name != "owner":
            yield f"{name}: {_value(old.get(name))} → {_value(value)}"


def _value(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Line]:
    if not left_out:
        return
    yield ()
    for item in left_out:
        name = SiteAddress.parse(item.address.name).file if item.address.kind == KIND else item.address.name
        moved: Sequence[Span] = ()
        if isinstance(item.before, SiteReference) and isinstance(item.after, SiteReference):
            moved = _moved(item.before, item.after)
        until = f" until {item.until}" if item.until else ""
        yield line("  ", ("dim", "·"), " ", *moved, f"  {name}  ", ("attention", f"{item.reason}{until}"))


def _summary(plan: Plan) -> Iterator[Line]:
    yield ()
    if not plan.changes:
        yield line(("bold", "No changes."), " What fleet.yaml wants is what stands there.")
    else:
        yield line(("bold", "Plan: "), *_totals(plan))
    for note in plan.told.notes:
        yield line(("dim", note))


def _totals(plan: Plan) -> Sequence[Span]:
    total = counts(plan)
    style: dict[str, Style] = {"add": "add", "change": "change", "remove": "remove", "adopt": "adopt"}
    spans: list[Span] = []
    for name, number in total.items():
        spans.append((style[name] if number else "", f"{number:,} to {name}"))
        spans.append(("", ", "))
    spans[-1] = ("", ".")
    reached = hubs_reached(plan)
    if reached:
        spans.append(("", f" {count(len(reached), 'hub')} of {plan.told.hubs:,} will see it."))
    if plan.told.requests_needed:
        spans.append(("", f" Applying it takes about {count(plan.told.requests_needed, 'request')}."))
    return spans
