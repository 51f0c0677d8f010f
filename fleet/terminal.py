"""Lines of styled text, and how they reach a person: with colours on a terminal, plain everywhere else.

Whatever came from outside (names, messages of services) goes through `printable` when a line is made, so that no text
can move the cursor, colour the screen or hide a line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import IO, Literal

Style = Literal["", "bold", "dim", "add", "change", "remove", "adopt", "attention", "error"]

Span = tuple[Style, str]
Line = tuple[Span, ...]

_RICH_STYLES = {
    "": "",
    "bold": "bold",
    "dim": "dim",
    "add": "green",
    "change": "yellow",
    "remove": "red",
    "adopt": "cyan",
    "attention": "bold magenta",
    "error": "bold red",
}


def printable(text: str) -> str:
    """The text with every character that is not simply shown (control, format, separators) written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def line(*spans: str | Span) -> Line:
    """A line from pieces: plain strings, or (style, text)."""
    pairs: list[Span] = [("", span) if isinstance(span, str) else span for span in spans]
    return tuple((style, printable(text)) for style, text in pairs)


def count(number: int, noun: str) -> str:
    """`1 hub`, `2 hubs`, `2 repositories`, `2 days`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def wants_colour(stream: IO[str], *, no_color: bool) -> bool:
    """Whether a stream is a terminal that takes colours (https://no-color.org)."""
    return stream.isatty() and not (no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")


def write(lines: Iterable[Line], stream: IO[str] | None = None, *, no_color: bool = False) -> None:
    """Write lines to a stream (standard output unless given)."""
    stream = stream or sys.stdout
    if not wants_colour(stream, no_color=no_color):
        stream.writelines("".join(text for _, text in spans) + "\n" for spans in lines)
        stream.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    for spans in lines:
        console.print(Text.assemble(*((text, _RICH_STYLES[style]) for style, text in spans)))
