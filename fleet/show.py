"""A plan as a person reads it: nothing for what does not change, identical changes as one, every place named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleet.model import Action, Change, Spec, canonical
from fleet.plan import LeftOut, Place, Plan, counts, hubs_reached
from fleet.site import KIND, SiteAddress, SiteReference
from fleet.terminal import Line, Span, Style, count, line

_ID_DIGITS, _HEX = 40, frozenset("0123456789abcdef")
PLACES_SHOWN = 20
"""Places of one group of identical changes that are listed; the rest are counted. Removals are always listed."""

NAMES_WIDTH = 56
"""Characters of hub names on one line, so that it fits on a terminal of 80 columns."""

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
        for alike in identical(plan, changes):
            yield from _alike(plan, alike)


def identical(plan: Plan, changes: Iterable[Change]) -> list[list[Change]]:
    """Changes that do the same thing, together, in the order of the first of each."""
    same: dict[tuple[Any, ...], list[Change]] = {}
    for change in changes:
        key = (
            change.address.kind,
            change.action,
            image_at(plan, change),
            repr(change.before),
            repr(change.after),
            change.rotates,
        )
        same.setdefault(key, []).append(change)
    return list(same.values())


def image_at(plan: Plan, change: Change) -> str:
    """The image that hubs see at a site, wherever its name is written."""
    place = plan.told.places.get(change.address)
    return place.image if place else ""


def _alike(plan: Plan, changes: Sequence[Change]) -> Iterator[Line]:
    first = changes[0]
    symbol = _SYMBOLS[first.action]
    if isinstance(first.after, SiteReference) and isinstance(first.before, SiteReference | None):
        yield line("  ", symbol, " ", *_moved(first.before, first.after, image_at(plan, first)))
    else:
        names = count(len(changes), first.address.kind) if len(changes) > 1 else ""
        yield line("  ", symbol, " ", names or f"{first.address.kind} {first.address.name}", ("dim", _verb(first)))
        if first.address in plan.told.reasons:
            yield line("      ", plan.told.reasons[first.address])
        for text in field_lines(first.before, first.after):
            yield line("      ", text)
        if len(changes) == 1:
            return
    bound = len(changes) if first.after is None else PLACES_SHOWN
    for change in changes[:bound]:
        yield from _place(plan, change)
    if len(changes) > bound:
        yield line("      ", ("dim", f"… and {len(changes) - bound:,} more"))


def _moved(before: SiteReference | None, after: SiteReference, image: str = "") -> Sequence[Span]:
    if before is None:
        return (("dim", "the hub's own image"), ("", " → "), ("bold", str(after)))
    if before.image == after.image:
        return (("", f"{after.image or image}  "), ("dim", str(before.tag)), ("", " → "), ("bold", str(after.tag)))
    return (("dim", str(before)), ("", " → "), ("bold", str(after)))


def _place(plan: Plan, change: Change) -> Iterator[Line]:
    if change.address.kind != KIND:
        yield line("      ", change.address.name, f"  {hub_names(change.reaches)}" if change.reaches else "")
        return
    site = SiteAddress.parse(change.address.name)
    place = plan.told.places.get(change.address, Place())
    where = f"{site.file}:{place.line}" if place.line else site.file
    yield line("      ", where, ("dim", f"  {slot_names(place.slots)}"))
    yield line("        ", hub_names(change.reaches))


def slot_names(slots: Sequence[str]) -> str:
    """The slot that says most, and how many others there are: of one line's slots, the shortest names them all."""
    if not slots:
        return ""
    others = f" and {count(len(slots) - 1, 'more slot')}" if len(slots) > 1 else ""
    return f"{min(slots, key=len)}{others}"


def hub_names(hubs: Sequence[str]) -> str:
    """How many hubs there are, and their names as far as a line holds them."""
    shown: list[str] = []
    while len(shown) < len(hubs) and len(", ".join([*shown, hubs[len(shown)]])) <= NAMES_WIDTH:
        shown.append(hubs[len(shown)])
    more = f", … {len(hubs) - len(shown):,} more" if len(hubs) > len(shown) else ""
    return f"{count(len(hubs), 'hub')}: {', '.join(shown)}{more}" if hubs else "no hub"


def _verb(change: Change) -> str:
    verbs = {Action.FORGET: "  forgotten: it left the file", Action.ARCHIVE: "  archived", Action.ADOPT: "  adopted"}
    return verbs.get(change.action, "")


def field_lines(before: Spec | None, after: Spec | None) -> Iterator[str]:
    """The fields that differ; of a new thing those that say something."""
    if after is None:
        return
    if words := after.in_words():
        yield words
        return
    old, new = canonical(before) or {}, canonical(after)
    for name, value in new.items():
        if name in after.unshown or (before is not None and old.get(name) == value):
            continue
        if before is None:
            if _says_something(value):
                yield f"{name}: {_value(value)}"
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            yield f"{name}: {', '.join(_entries_that_differ(old[name], value))}"
        else:
            yield f"{name}: {_value(old.get(name))} → {_value(value)}"


def _says_something(value: Any) -> bool:
    return value not in (None, "", [], {}, False)


def _entries_that_differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        if key not in old or key not in new:
            yield f"{key} {'added' if key in new else 'removed'}"
        elif old[key] != new[key]:
            ids = _is_id(old[key]) and _is_id(new[key])
            yield f"{key} changed" if ids else f"{key}: {_value(old[key])} → {_value(new[key])}"


def _value(value: Any) -> str:
    """A value in words; contents are known by the id that git gives them, which says nothing to a person."""
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case {"source": source, "field": name, **rest} if not rest:
            return f"the {name} of {source}"
        case dict():
            entries = {key: held for key, held in value.items() if _says_something(held)}
            return ", ".join(key if _is_id(held) else f"{key} {_value(held)}" for key, held in entries.items())
        case list():
            return ", ".join(map(_value, value))
    return str(value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == _ID_DIGITS and set(value) <= _HEX


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Line]:
    if not left_out:
        return
    yield ()
    for item in left_out:
        name = SiteAddress.parse(item.address.name).file if item.address.kind == KIND else item.address.name
        if isinstance(item.before, SiteReference | None) and isinstance(item.after, SiteReference):
            yield line("  ", ("dim", "·"), " ", *_moved(item.before, item.after, item.image))
        until = f" until {item.until}" if item.until else ""
        yield line("      ", name, "  ", ("attention", f"{item.reason}{until}"))


def _summary(plan: Plan) -> Iterator[Line]:
    yield ()
    if not plan.changes:
        yield line(("bold", "No changes."), f" {_why_none(plan)}")
    else:
        yield line(("bold", "Plan: "), *_totals(plan))
    for note in plan.told.notes:
        yield line(("dim", note))


def _why_none(plan: Plan) -> str:
    """What having no changes means: of everything, of all but what was left out, or of the part that was looked at."""
    if plan.partial or plan.unread:
        return "What was looked at is as fleet.yaml wants it."
    if plan.told.left_out:
        return "All else is as fleet.yaml wants it."
    return "What fleet.yaml wants is what stands there."


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
