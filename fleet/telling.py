"""How a command tells what it has come to: text, Markdown, JSON lines, or all that GitHub Actions takes.

A command says each thing once, to a teller; which of them listens is the command line's choice.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Literal

from fleet.apply import Outcome, Status
from fleet.drift import Drift
from fleet.errors import ExitCode, FleetError
from fleet.events import Events
from fleet.plan import Plan
from fleet.posting import Post, plan_marker, post
from fleet.progress import Watcher, watch
from fleet.provider import Verdict
from fleet.report import diagnostics_of
from fleet.runner import Runner, runner_of
from fleet.show import plan_lines
from fleet.show_drift import drift_lines
from fleet.show_markdown import Report, report_markdown
from fleet.terminal import Line, line, write
from fleet.workflow_commands import (
    annotation,
    append_outputs,
    commands_again,
    diagnostic_annotation,
    only_text,
)

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
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report(self.how.command)

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
        Teller.ended(self, code)
        sys.stdout.write(report_markdown(self.report))


class EventTeller(Teller):
    """JSON lines on standard output, in Terraform's envelope."""

    def begin(self) -> None:
        """The first line tells the versions."""
        self._events.version()

    @property
    def _events(self) -> Events:
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


@dataclass(slots=True)
class GitHubTeller(Teller):
    """Text in the log, annotations on the very lines, the summary, the outputs, and the comment and check."""

    runner: Runner = field(default_factory=lambda: runner_of(os.environ))
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    def begin(self) -> None:
        """From here on a line that looks like a command to the runner is text."""
        _say(only_text(self._token))

    def ended(self, code: int) -> None:
        """Write everything; what cannot be written is said, and changes no exit code.

        The command line prints an error after this: it is text again.
        """
        Teller.ended(self, code)
        sys.stdout.flush()
        _say(commands_again(self._token))
        self.report = replace(self.report, run_url=self.runner.run_url)
        for command in self._annotations():
            _say(command)
        document = report_markdown(self.report)
        for trouble in [*self._files(document), *self._posts(document)]:
            _say(annotation("warning", trouble, {"title": "fleet"}))
        _say(only_text(self._token))

    def _annotations(self) -> Iterator[str]:
        for found in diagnostics_of(self.report.error) if self.report.error else ():
            yield diagnostic_annotation(found, self.runner.workspace)
        for result in self.report.outcome.of(Status.FAILED, Status.STALE) if self.report.outcome else ():
            yield annotation("error", f"{result.group.key}: {result.status}: {result.why}", {"title": "fleet"})
        for note in self.report.plan.told.notes if self.report.plan else ():
            yield annotation("warning", note, {"title": "fleet"})

    def _files(self, document: str) -> Iterator[str]:
        try:
            if self.runner.summary is not None:
                with self.runner.summary.open("a", encoding="utf-8") as file:
                    file.write(document)
            if self.runner.output is not None:
                append_outputs(self.runner.output, outputs_of(self.report))
        except OSError as error:
            yield f"summary or outputs could not be written: {error.strerror}"

    def _posts(self, document: str) -> list[str]:
        pull, number = self.runner.pull_request, self.how.pull_request
        if self.how.command == "drift" or not self.how.online or (number is None and (pull is None or pull.from_fork)):
            return []
        shown = self.how.agreed or (self.report.plan.hash if self.report.plan else "")
        run = self.runner.plan_run if self.how.agreed else self.runner.run
        body = f"{plan_marker(shown, run)}\n{document}" if shown and run else document
        posted = Post(
            file=self._file(),
            number=number or (pull.number if pull else 0),
            body=body,
            commit=pull.head if pull and number is None else self.runner.commit,
            verdict=_verdict(self.report, document, self.runner.run_url),
        )
        return post(posted, self.runner)

    def _file(self) -> str:
        return file_in(self.how.file, self.runner)


def file_in(file: str, runner: Runner) -> str:
    """A fleet.yaml as its repository knows it."""
    relative = os.path.relpath(file, runner.workspace) if runner.workspace else file
    return file if relative.startswith("..") else relative


def _say(command: str) -> None:
    sys.stdout.write(f"{command}\n")
    sys.stdout.flush()


def _verdict(report: Report, document: str, url: str) -> Verdict:
    first = document.partition("\n")[0].removeprefix("### ").replace("`", "").replace("**", "")
    code = report.exit_code
    conclusion = "success" if code == ExitCode.OK else "neutral" if code == ExitCode.CHANGES else "failure"
    return Verdict(f"fleet {report.command}", conclusion, first[:250], document, url)


CLASSES: Mapping[int, str] = {
    ExitCode.OK: "ok",
    ExitCode.ERROR: "error",
    ExitCode.CHANGES: "changes",
    ExitCode.PARTIAL: "partial",
    ExitCode.REFUSED: "refused",
    ExitCode.STALE: "stale",
    ExitCode.LOCKED: "locked",
    ExitCode.BUDGET: "budget",
    ExitCode.HALTED: "halted",
    ExitCode.USAGE: "usage",
    ExitCode.INTERRUPTED: "interrupted",
}
"""What each exit code is called in `exit_class`."""


def outputs_of(report: Report) -> dict[str, str | int]:
    """A step's outputs: how many changes there are (or things that drifted), the plan's hash, and how it ended.

    `stale_partial` is an end with 5 after something else was written; `stale` is one with nothing written.
    """
    ending = CLASSES.get(report.exit_code, "error")
    if report.exit_code == ExitCode.STALE and report.outcome and report.outcome.of(Status.DONE):
        ending = "stale_partial"
    changes = len(report.plan.changes) if report.plan else len(report.drift.drifted) if report.drift else 0
    return {"changes": changes, "plan_hash": report.plan.hash if report.plan else "", "exit_class": ending}


_TELLERS: Mapping[Format, type[Teller]] = {
    "text": Teller,
    "markdown": MarkdownTeller,
    "github": GitHubTeller,
    "json": EventTeller,
}


def tell(how: Telling, command: Callable[[Teller], int]) -> int:
    """Run a command with the teller that was asked for; returns its exit code, and lets its error go on."""
    teller = _TELLERS[how.format](how)
    teller.begin()
    try:
        code = command(teller)
    except FleetError as error:
        teller.failed(error)
        teller.ended(error.exit_code)
        raise
    teller.ended(code)
    return code
