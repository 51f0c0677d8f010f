"""A plan, an outcome or drift as one Markdown comment: worst first, alike as one, never longer than GitHub takes.

Removals stand at the top and are all shown; then credentials; then everything else; then the images that hubs will
see. What does not fit is counted, and stands in the run's log and in the plan's file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fleet.apply import Outcome, Status
from fleet.drift import Drift
from fleet.errors import FleetError, InputError, PolicyRefusal
from fleet.markdown import Item, Page, Section, block, code
from fleet.model import Action, Change
from fleet.plan import LeftOut, Place, Plan, counts, hubs_reached
from fleet.policy import REMOVALS
from fleet.report import diagnostic_lines
from fleet.show import field_lines, hub_names, identical, image_at, slot_names
from fleet.show_drift import TITLES, details, place
from fleet.site import KIND, SiteAddress, SiteReference
from fleet.terminal import count
from fleet.told import Told

LIMIT = 60_000
"""Characters of a comment; GitHub takes 65,536, and counts some of them otherwise."""

PLACES_FOLDED = 200
"""Places of one group of changes that are listed in its fold."""

ERRORS_SHOWN = 50
"""Diagnostics of one error that are shown."""

_WORDS = {
    Action.CREATE: "add",
    Action.UPDATE: "change",
    Action.ADOPT: "adopt",
    Action.DELETE: "**destroy**",
    Action.FORGET: "**forget**",
    Action.ARCHIVE: "**archive**",
}


def report_markdown(report: Told, limit: int = LIMIT) -> str:
    """The whole comment, at most `limit` characters long."""
    sections = [
        *_error(report.error),
        *(_outcome(report.outcome) if report.outcome else ()),
        *(_drift(report.drift) if report.drift else ()),
        *(_plan(report.plan) if report.plan else ()),
    ]
    more = f"[the log of the run]({report.run_url})" if report.run_url else "the log of the run"
    more = f"{more} and the plan's artefact" if report.is_saved else more
    return Page(limit, tuple(_top(report)), tuple(sections), tuple(_bottom(report)), more).render()


def _top(report: Told) -> list[str]:
    fleet = report.plan.fleet if report.plan else report.drift.fleet if report.drift else ""
    name = f" · {code(fleet)}" if fleet else ""
    lines = [f"### fleet {report.command}{name}: {_verdict(report)}"]
    if report.plan is not None and report.plan.changes:
        lines += ["", *_table(report.plan)]
        reached = hubs_reached(report.plan)
        if reached:
            lines += ["", f"{count(len(reached), 'hub')} of {report.plan.told.hubs:,} will see it."]
    for note in report.notes:
        lines += ["", code(note)]
    return lines


def _verdict(report: Told) -> str:
    if report.error is not None:
        return f"**stopped** (exit code {int(report.exit_code)})"
    if report.outcome is not None:
        totals = [f"{len(report.outcome.of(status)):,} {status}" for status in Status if report.outcome.of(status)]
        return ", ".join(totals) or "nothing to do"
    if report.drift is not None:
        return f"{len(report.drift.drifted):,} moved" if report.drift.drifted else "no drift"
    if report.plan is None or not report.plan.changes:
        return "no changes"
    return ", ".join(f"{number:,} to {name}" for name, number in counts(report.plan).items() if number)


def _table(plan: Plan) -> list[str]:
    """How many changes of each sort there are, by kind of thing."""
    cells: Counter[tuple[str, str]] = Counter()
    for change in plan.changes:
        sort = "remove" if change.action in REMOVALS else _WORDS[change.action]
        cells[_kind(change), sort] += 1
    columns = ("remove", "add", "change", "adopt")
    rows = [
        f"| {kind} | " + " | ".join(f"{cells[kind, column]:,}" if cells[kind, column] else "" for column in columns)
        for kind in dict.fromkeys(kind for kind, _ in cells)
    ]
    return [f"| | {' | '.join(columns)} |", "| --- | --: | --: | --: | --: |", *(f"{row} |" for row in rows)]


def _kind(change: Change) -> str:
    return "image of a hub" if change.address.kind == KIND else change.address.kind


def _plan(plan: Plan) -> list[Section]:
    removals = [change for change in plan.changes if change.action in REMOVALS]
    staying = [change for change in plan.changes if change.action not in REMOVALS]
    credentials = [change for change in staying if _is_credential(change)]
    images = [change for change in staying if change.address.kind == KIND]
    things = [change for change in staying if change.address.kind != KIND and not _is_credential(change)]
    return [
        Section("Removals", tuple(_removals(removals))),
        Section("Credentials", tuple(_items(plan, credentials))),
        Section("Images that hubs will see", tuple(_items(plan, images))),
        Section("Everything else", tuple(_items(plan, things))),
        Section("Left out", tuple(_left_out(item) for item in plan.told.left_out)),
        Section("Notes", tuple(Item(code(note)) for note in plan.told.notes)),
    ]


def _is_credential(change: Change) -> bool:
    spec = change.after or change.before
    return spec is not None and spec.is_credential


def _removals(changes: Sequence[Change]) -> Iterable[Item]:
    """Every removal by its address: each on a line of its own, or several on one where there are very many."""
    lines = [f"{_WORDS[change.action]} {code(str(change.address))}" for change in changes]
    if sum(len(text) + 3 for text in lines) <= LIMIT * 3 // 4:
        return [Item(text, must=True) for text in lines]
    by_word: dict[str, list[str]] = {}
    for change in changes:
        by_word.setdefault(f"{_WORDS[change.action]} {change.address.kind}", []).append(code(change.address.name, 80))
    return [
        Item(f"{word} {', '.join(names[start : start + 20])}", must=True)
        for word, names in by_word.items()
        for start in range(0, len(names), 20)
    ]


def _items(plan: Plan, changes: Sequence[Change]) -> Iterable[Item]:
    """Changes that do the same as one entry, those with most places first."""
    groups = sorted(identical(plan, changes), key=len, reverse=True)
    return [_item(plan, alike) for alike in groups]


def _item(plan: Plan, alike: Sequence[Change]) -> Item:
    first = alike[0]
    text = _moved(first, image_at(plan, first))
    if text is None:
        what = code(first.address.name) if len(alike) == 1 else f"{len(alike):,} alike"
        text = f"{_WORDS[first.action]} {code(first.address.kind)} {what}"
        folded = [*block(field_lines(first.before, first.after)), *_places(plan, alike if len(alike) > 1 else ())]
        return Item(text, tuple(folded), "what it will be")
    hubs = {hub for change in alike for hub in change.reaches}
    places = count(len(alike), "place")
    return Item(f"{text} · {places}, {count(len(hubs), 'hub')}", tuple(_places(plan, alike)), "where")


def _moved(change: Change, image: str) -> str | None:
    before, after = change.before, change.after
    if not isinstance(after, SiteReference):
        return None
    if not isinstance(before, SiteReference):
        return f"{code(str(after))} for the first time"
    if before.image != after.image:
        return f"{code(str(before))} → {code(str(after))}"
    return f"{code(after.image or image)} {code(str(before.tag))} → {code(str(after.tag))}"


def _places(plan: Plan, changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    lines = [_place(plan, change) for change in changes[:PLACES_FOLDED]]
    more = len(changes) - PLACES_FOLDED
    return block([*lines, *([f"… and {more:,} more"] if more > 0 else [])])


def _place(plan: Plan, change: Change) -> str:
    if change.address.kind != KIND or "#" not in change.address.name:
        return change.address.name
    site, found = SiteAddress.parse(change.address.name), plan.told.places.get(change.address, Place())
    where = f"{site.file}:{found.line}" if found.line else site.file
    return f"{site.repository} {where}  {slot_names(found.slots)}  {hub_names(change.reaches)}"


def _left_out(item: LeftOut) -> Item:
    until = f" until {item.until}" if item.until else ""
    return Item(f"{code(item.address.name)}: {code(f'{item.reason}{until}')}")


def _outcome(outcome: Outcome) -> list[Section]:
    bad = [result for status in (Status.FAILED, Status.STALE, Status.SKIPPED) for result in outcome.of(status)]
    stopped = (Item(code(outcome.stopped)),) if outcome.stopped else ()
    return [
        Section("Why it stopped", stopped),
        Section(
            "Proposed",
            tuple(Item(f"{code(result.group.key)}: {code(result.why)}") for result in outcome.of(Status.PROPOSED)),
        ),
        Section(
            "Not applied",
            tuple(Item(f"**{result.status}** {code(result.group.key)}: {code(result.why)}") for result in bad),
        ),
    ]


def _drift(drift: Drift) -> list[Section]:
    return [
        Section(
            title,
            tuple(Item(code(place(item)), tuple(block(details(item))), "what moved") for item in drift.of(moved)),
        )
        for moved, title in TITLES.items()
    ]


def _error(error: FleetError | None) -> list[Section]:
    if error is None:
        return []
    if not isinstance(error, InputError | PolicyRefusal):
        return [Section("Why", tuple(Item(code(text, 1000)) for text in str(error).splitlines()[:ERRORS_SHOWN]))]
    items = []
    for found in error.diagnostics[:ERRORS_SHOWN]:
        where = f" at {code(str(found.range))}" if found.range else ""
        lines = ["".join(text for _, text in spans) for spans in diagnostic_lines([found])]
        items.append(Item(f"{code(found.summary, 1000)}{where}", tuple(block(lines)), "the place"))
    more = len(error.diagnostics) - ERRORS_SHOWN
    return [Section("What is wrong", (*items, *([Item(f"… and {more:,} more")] if more > 0 else ())))]


def _bottom(report: Told) -> list[str]:
    parts = [f"plan {code(report.plan.hash)}"] if report.plan is not None else []
    parts += [f"[run]({report.run_url})"] if report.run_url else []
    return ["", f"<sub>{' · '.join(parts)}</sub>"] if parts else []
