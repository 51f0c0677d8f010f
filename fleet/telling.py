"""How a command tells what it has come to: text, Markdown, or JSON lines; `fleet.telling_github` has the fourth way.

A command says each thing once, to a teller; which of them listens is the command line's choice. What only one of them
needs is imported by it alone.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from fleet.progress import Watcher, watch
from fleet.show import plan_lines
from fleet.terminal import Line, line, write
from fleet.told import Told

if TYPE_CHECKING:
    from fleet.apply import Outcome
    from fleet.drift import Drift
    from fleet.errors import FleetError
    from fleet.events import Events
    from fleet.plan import Plan

Format = Literal["text", "markdown", "github", "json"]


@dataclass(frozen=True, slots=True)
class Telling:
    """What is asked for: the command, the format, where fleet.yaml lies, and whether the network may be used."""

    command: str
    format: Format = "text"
    file: str = "fleet.yaml"
    no_color: bool = False
    online: bool = True
    pull_request: int | None = None
    agreed: str = ""
    """The hash of the plan that was reviewed, where one was."""


@dataclass(slots=True)
class Teller:
    """Plain text, for people; the other formats are its subclasses. `report` is all that was told so far."""

    how: Telling
    report: Told = field(init=False)

    def __post_init__(self) -> None:
        self.report = Told(self.how.command)

    def begin(self) -> None:
        """Before anything is told."""

    def plan(self, plan: Plan, saved: str = "") -> None:
        """What would be done; `saved` is the file that holds it, if any."""
        self.report = replace(self.report, plan=plan, is_saved=bool(saved))
        self.lines(plan_lines(plan))

    def outcome(self, outcome: Outcome, lines: Iterable[Line]) -> None:
        """What was done, and how a person is told so."""
        self.report = replace(self.report, outcome=outcome)
        self.lines(lines)

    def drift(self, drift: Drift) -> None:
        """What moved."""
        from fleet.show_drift import drift_lines

        self.report = replace(self.report, drift=drift)
        self.lines(drift_lines(drift))

    def note(self, text: str) -> None:
        """What should be known beside the result."""
        self.report = replace(self.report, notes=(*self.report.notes, text))
        write([line(text)], sys.stderr, no_color=self.how.no_color)

    def lines(self, lines: Iterable[Line]) -> None:
        """Text for a person who reads along."""
        write(lines, no_color=self.how.no_color)

    def watching(self, total: int) -> AbstractContextManager[Watcher]:
        """Who is told how a run of so many groups goes on."""
        return watch(total, no_color=self.how.no_color)

    def failed(self, error: FleetError) -> None:
        """Why the command ends; the command line prints it as well."""
        self.report = replace(self.report, error=error)

    def ended(self, code: int) -> None:
        """The command has ended with this exit code."""
        self.report = replace(self.report, exit_code=code)


class MarkdownTeller(Teller):
    """One Markdown document on standard output."""

    def lines(self, lines: Iterable[Line]) -> None:
        """Nothing: the document says it."""

    def ended(self, code: int) -> None:
        """Print the document."""
        from fleet.show_markdown import report_markdown

        Teller.ended(self, code)
        sys.stdout.write(report_markdown(self.report))


class EventTeller(Teller):
    """JSON lines on standard output, in Terraform's envelope."""

    def begin(self) -> None:
        """The first line tells the versions."""
        self._events.version()

    @property
    def _events(self) -> Events:
        from fleet.events import Events

        return Events(sys.stdout)

    def plan(self, plan: Plan, saved: str = "") -> None:
        """One line for each change."""
        self.report = replace(self.report, plan=plan)
        self._events.plan(plan)

    def outcome(self, outcome: Outcome, lines: Iterable[Line]) -> None:
        """How many changes were made."""
        assert self.report.plan is not None
        self._events.outcome(outcome, self.report.plan)

    def drift(self, drift: Drift) -> None:
        """One line for each address that moved."""
        self._events.drift(drift)

    def note(self, text: str) -> None:
        """One line."""
        self._events.write("log", text, "warn")

    def lines(self, lines: Iterable[Line]) -> None:
        """One line for each that says something."""
        for spans in lines:
            text = "".join(text for _, text in spans).strip()
            if text:
                self._events.write("log", text)

    def watching(self, total: int) -> AbstractContextManager[Watcher]:
        """One line for each beginning and end."""
        return contextlib.nullcontext(self._events)

    def failed(self, error: FleetError) -> None:
        """One line for each mistake."""
        self._events.error(error)
