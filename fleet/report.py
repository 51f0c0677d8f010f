"""Errors and diagnostics as a person reads them, in Terraform's manner: what, where, the line itself, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.diagnostics import Diagnostic
from fleet.errors import FleetError, InputError, PolicyRefusal
from fleet.terminal import Line, Style, line


def error_lines(error: FleetError) -> list[Line]:
    """What is printed for an error."""
    if isinstance(error, InputError | PolicyRefusal):
        return diagnostic_lines(error.diagnostics)
    first, *more = str(error).splitlines() or [""]
    return [line(("error", "Error: "), first), *(line("  ", text) for text in more)]


def diagnostics_of(error: FleetError) -> Sequence[Diagnostic]:
    """What is wrong, mistake by mistake; an error without places is one mistake."""
    return error.diagnostics if isinstance(error, InputError | PolicyRefusal) else (Diagnostic(str(error)),)


def diagnostic_lines(diagnostics: Iterable[Diagnostic]) -> list[Line]:
    """What is printed for diagnostics, one after another."""
    return [shown for diagnostic in diagnostics for shown in _diagnostic(diagnostic)]


def _diagnostic(diagnostic: Diagnostic) -> Iterator[Line]:
    style: Style = "error" if diagnostic.severity == "error" else "attention"
    yield line((style, f"{diagnostic.severity.capitalize()}: "), ("bold", diagnostic.summary))
    if diagnostic.range:
        yield line("  on ", str(diagnostic.range))
        if diagnostic.snippet:
            number = str(diagnostic.range.start.line)
            yield line(("dim", f"  {number} | "), diagnostic.snippet)
            width = max(1, diagnostic.to_json()["snippet"]["highlight_end_offset"] - diagnostic.range.start.column + 1)
            yield line(" " * (len(number) + 5 + diagnostic.range.start.column - 1), (style, "^" * min(width, 60)))
    for text in diagnostic.detail.splitlines():
        yield line("  ", text)
