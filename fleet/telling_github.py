"""Tells GitHub Actions: text in the log, annotations on the very lines, summary, outputs, comment and check."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from fleet.apply import WRITTEN, Status
from fleet.errors import ExitCode
from fleet.posting import Post, plan_marker, post
from fleet.provider import Verdict
from fleet.report import diagnostics_of
from fleet.runner import Runner, runner_of
from fleet.show_markdown import report_markdown
from fleet.telling import Teller
from fleet.told import Told
from fleet.workflow_commands import (
    annotation,
    append_outputs,
    commands_again,
    diagnostic_annotation,
    only_text,
)


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
        is_agreeable = self.how.agreed or self.report.error is None
        body = f"{plan_marker(shown, run)}\n{document}" if shown and run and is_agreeable else document
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


def _verdict(report: Told, document: str, url: str) -> Verdict:
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


def outputs_of(report: Told) -> dict[str, str | int]:
    """A step's outputs: how many changes there are (or things that drifted), the plan's hash, and how it ended.

    `stale_partial` is an end with 5 after something else was written; `stale` is one with nothing written.
    """
    ending = CLASSES.get(report.exit_code, "error")
    if report.exit_code == ExitCode.STALE and report.outcome and report.outcome.of(*WRITTEN):
        ending = "stale_partial"
    changes = len(report.plan.changes) if report.plan else len(report.drift.drifted) if report.drift else 0
    return {"changes": changes, "plan_hash": report.plan.hash if report.plan else "", "exit_class": ending}
