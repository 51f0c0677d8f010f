"""Markdown from names that anybody may have chosen: what came from outside stands in code, and never ends it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet.terminal import printable

LONGEST = 300
"""Characters of one piece of text; a longer one is cut."""

_FENCES = re.compile(r"`+")


def code(text: str, longest: int = LONGEST) -> str:
    """Text as code of one line: no markup, no mention, no link and no control character in it means anything.

    The fence is longer than any run of backticks inside (https://spec.commonmark.org/0.31.2/#code-spans).
    """
    shown = printable(text)
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    if not shown.strip():
        return "(empty)" if not shown else "(blank)"
    fence = "`" * (max((len(run) for run in _FENCES.findall(shown)), default=0) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(lines: Iterable[str], indent: str = "") -> list[str]:
    """Lines as one block of code, fenced so that no line ends it."""
    shown = [printable(line)[: 4 * LONGEST] for line in lines]
    longest = max((len(run) for line in shown for run in _FENCES.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{indent}{line}" for line in (f"{fence}text", *shown, fence)]


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list, and what is folded under it. `must` says that it is never left out for want of room."""

    text: str
    folded: tuple[str, ...] = ()
    summary: str = ""
    must: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A headed list; an empty one is not shown."""

    title: str
    items: tuple[Item, ...] = ()


@dataclass(slots=True)
class Page:
    """A document of at most `limit` characters: the top, then sections, of which the last ones give way first."""

    limit: int
    top: tuple[str, ...]
    sections: tuple[Section, ...] = ()
    bottom: tuple[str, ...] = ()
    more: str = "the log of the run"
    """Where what is left out can be read."""
    _folded: set[tuple[int, int]] = field(default_factory=set)

    def render(self) -> str:
        """The document. Entries go before folded details do, and nothing goes that must be seen."""
        shown = self._entries()
        room = self.limit - len(self._assemble(shown, frozenset()))
        for number, section in enumerate(self.sections):
            for index, item in enumerate(section.items[: shown[number]]):
                size = len("\n".join(_details(item))) + 1 if item.folded else 0
                if 0 < size <= room:
                    room -= size
                    self._folded.add((number, index))
        return self._assemble(shown, frozenset(self._folded))

    def _entries(self) -> list[int]:
        """How many entries of each section there is room for."""
        room = self.limit - len("\n".join((*self.top, *self.bottom))) - 120 * (len(self.sections) + 1)
        reserved = sum(len(item.text) + 3 for section in self.sections for item in section.items if item.must)
        room, fits = (room - reserved, True) if reserved <= room else (room, False)
        shown = []
        for section in self.sections:
            number = 0
            for item in section.items:
                size = 0 if item.must and fits else len(item.text) + 3
                if size > room:
                    break
                room -= size
                number += 1
            shown.append(number)
        return shown

    def _assemble(self, shown: list[int], folded: frozenset[tuple[int, int]]) -> str:
        lines = list(self.top)
        for number, section in enumerate(self.sections):
            if not section.items:
                continue
            lines += ["", f"#### {section.title}", ""]
            for index, item in enumerate(section.items[: shown[number]]):
                lines.append(f"- {item.text}")
                if (number, index) in folded:
                    lines += _details(item)
            left = len(section.items) - shown[number]
            if left:
                lines.append(f"- … and {left:,} more, in {self.more}")
        return "\n".join([*lines, *self.bottom]) + "\n"


def _details(item: Item) -> list[str]:
    return [
        "",
        f"  <details><summary>{item.summary}</summary>",
        "",
        *(f"  {line}" for line in item.folded),
        "",
        "  </details>",
        "",
    ]
