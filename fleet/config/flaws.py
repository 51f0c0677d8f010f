"""Mistakes in the text of a YAML file, and the parser's own errors in these words."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from fleet.config.wording import quoted

_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Flaw:
    """A mistake in the text between two positions, counted in characters from 0."""

    summary: str
    start: int
    end: int
    detail: str = ""


def syntax_flaw(error: yaml.MarkedYAMLError, text: str) -> Flaw:
    """What the parser stumbled over."""
    mark = error.problem_mark or error.context_mark
    at = min(mark.index if mark else 0, len(text))
    context = error.context_mark
    detail = f"It began in line {text.count(chr(10), 0, context.index) + 1}." if context and context.index < at else ""
    if text[at : at + 1] == "\t":
        return Flaw("a tab is used as white space; YAML takes spaces only", at, at + 1, detail)
    said = f"{error.context or ''}{': ' if error.context and error.problem else ''}{error.problem or ''}"
    return Flaw(f"this is not YAML: {said}", at, at + 1, detail)


def character_flaw(error: yaml.reader.ReaderError, text: str) -> Flaw:
    """A character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return Flaw(f"this is not YAML: {error.reason}", 0, 1)
    return Flaw(f"the character {quoted(found.group())} is not allowed in YAML", found.start(), found.end())
