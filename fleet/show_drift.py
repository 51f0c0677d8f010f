"""Drift as a person reads it: what the world changed first, then both, then what waits for an apply."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.drift import Drift, Drifted, Moved
from fleet.model import Spec
from fleet.show import field_lines
from fleet.site import KIND, SiteAddress
from fleet.terminal import Line, Style, count, line

TITLES: dict[Moved, str] = {
    "world": "The world changed",
    "both": "Both the world and the file changed",
    "file": "The file changed, and waits for an apply",
}

_STYLES: dict[Moved, Style] = {"world": "attention", "both": "attention", "file": "dim"}


def drift_lines(drift: Drift) -> list[Line]:
    """The whole report."""
    return [*_heading(drift), *(shown for moved in TITLES for shown in _section(drift, moved)), *_end(drift)]


def _heading(drift: Drift) -> Iterator[Line]:
    looked_at = count(drift.checked, "thing")
    yield line(("bold", f"fleet {drift.fleet}"), f": {looked_at} that fleet applied {_were(drift.checked)} looked at")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _section(drift: Drift, moved: Moved) -> Iterator[Line]:
    items = drift.of(moved)
    if not items:
        return
    yield ()
    yield line("  ", (_STYLES[moved], TITLES[moved]))
    for item in items:
        yield line("    ", str(item.address), ("dim", f"  applied {item.at}"))
        for text in details(item):
            yield line("      ", text)


def place(item: Drifted) -> str:
    """Where it is, shortly."""
    if item.address.kind != KIND or "#" not in item.address.name:
        return str(item.address)
    site = SiteAddress.parse(item.address.name)
    return f"{site.file} of {site.repository} at {site.path}"


def details(item: Drifted) -> Iterator[str]:
    """What moved, as `field: applied → now`, and who moved it."""
    if item.moved != "file":
        yield from _side("now", item.applied, item.found)
    if item.moved != "world":
        yield from _side("fleet.yaml", item.applied, item.wanted)
    for part, who in sorted(item.authors.items()):
        last = item.commits.get(part)
        where = f" in {last.commit[:12]} of {last.day}: {last.subject}" if last else ""
        yield f"{part} was last changed by {who}{where}"
    if item.moved == "both" and item.agrees:
        yield "what stands there is what fleet.yaml wants: nothing is left to do"


def _side(name: str, applied: Spec, other: Spec | None) -> Iterator[str]:
    if other is None:
        yield f"{name}: it is gone" if name == "now" else f"{name}: it left the file"
        return
    for text in field_lines(applied, other):
        yield f"{name}: {text}"
    if applied != other and not list(field_lines(applied, other)):
        yield f"{name}: owner: it carries another marker than fleet's"


def _end(drift: Drift) -> Iterator[Line]:
    yield ()
    if drift.unread:
        yield line(("dim", f"Not read (without its login): {count(len(drift.unread), 'thing')}."))
    waits = len(drift.of("file"))
    if not drift.has_drifted:
        yield line(("bold", "No drift."), f" {count(waits, 'change')} of the file not applied yet." if waits else "")
        return
    numbers = ", ".join(f"{len(drift.of(moved)):,} {moved}" for moved in TITLES if drift.of(moved))
    yield line(("bold", "Drift: "), f"{numbers}. See what an apply would do about it with: fleet plan")
