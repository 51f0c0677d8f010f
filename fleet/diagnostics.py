"""What is wrong, where, and what would be right: one diagnostic per mistake.

The JSON form is that of `terraform validate -json`, so that editors and CI actions made for it work:
https://developer.hashicorp.com/terraform/cli/commands/validate#json-output-format
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file: `line` and `column` count from 1 (in characters), `byte` from 0."""

    line: int
    column: int
    byte: int


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of one file; `end` is the place behind its last character."""

    filename: str
    start: Position
    end: Position

    def __str__(self) -> str:
        return f"{self.filename}:{self.start.line}:{self.start.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: a sentence (`summary`), more where it helps (`detail`), its place and the line it stands on."""

    summary: str
    detail: str = ""
    range: Range | None = None
    snippet: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.range}: " if self.range else ""
        if not self.detail:
            return f"{place}{self.summary}"
        stop = "" if self.summary.endswith((".", "?", "!", ":")) else "."
        return f"{place}{self.summary}{stop} {self.detail}"

    def to_json(self) -> dict[str, Any]:
        """The diagnostic as Terraform writes it."""
        document: dict[str, Any] = {
            "severity": self.severity,
            "summary": self.summary,
            "detail": self.detail,
        }
        if self.range:
            document["range"] = {
                "filename": self.range.filename,
                "start": _position(self.range.start),
                "end": _position(self.range.end),
            }
            document["snippet"] = {
                "context": None,
                "code": self.snippet,
                "start_line": self.range.start.line,
                "highlight_start_offset": self.range.start.column - 1,
                "highlight_end_offset": self._highlight_end(),
                "values": [],
            }
        return document

    def _highlight_end(self) -> int:
        assert self.range is not None
        if self.range.end.line == self.range.start.line:
            return self.range.end.column - 1
        return len(self.snippet)


def report(diagnostics: list[Diagnostic]) -> dict[str, Any]:
    """Terraform's validate document for a list of diagnostics."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    return {
        "format_version": "1.0",
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": len(diagnostics) - errors,
        "diagnostics": [diagnostic.to_json() for diagnostic in diagnostics],
    }


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column, "byte": position.byte}
