"""`fleet apply`."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.apply import Outcome, Status, grouped
from fleet.commands.common import pace_of, question_of, store_of
from fleet.config import load
from fleet.errors import ExitCode, UsageError
from fleet.model import Spec, Unknown
from fleet.pace import Pace
from fleet.plan import Plan
from fleet.plan_file import load_plan
from fleet.planning import check_policy, make_plan
from fleet.progress import watch
from fleet.run import Run, apply_plan, close_what_is_no_longer_wanted, open_run
from fleet.services import Workshop
from fleet.show import plan_lines
from fleet.site import SiteReference
from fleet.terminal import Line, count, line, write


def run(options: argparse.Namespace) -> int:
    """Make the world as fleet.yaml says, or carry out a saved plan."""
    if options.plan_file:
        return _apply_saved(options)
    check_terminal(options, "apply asks before it writes", "or a plan file")
    loaded = load(Path(options.file))
    workshop = Workshop(loaded.fleet, loaded.source.folder, pace_of(options), source=loaded.source)
    with opened_run(workshop, options) as opened:
        plan = make_plan(loaded, workshop, question_of(options, workshop, opened.state))
        write(plan_lines(plan), no_color=options.no_color)
        check_policy(plan, loaded)
        if not plan.changes:
            close_what_is_no_longer_wanted(opened, plan)
            return ExitCode.OK
        return carry_out(opened, plan, options) if is_approved(options) else ExitCode.ERROR


def _apply_saved(options: argparse.Namespace) -> int:
    if options.target or options.exclude:
        raise UsageError("a saved plan is applied whole: -target and -exclude belong to `fleet plan`")
    folder = Path(options.file).parent
    plan, fleet = load_plan(Path(options.plan_file), lambda fleet: Workshop(fleet, folder, Pace()).spec_type)
    with opened_run(Workshop(fleet, folder, pace_of(options)), options) as opened:
        return carry_out(opened, plan, options)


def check_terminal(options: argparse.Namespace, why: str, *otherwise: str) -> None:
    """Raise UsageError where a person is to be asked, and there is none."""
    if not options.auto_approve and not sys.stdin.isatty():
        remedy = ", ".join(("give -auto-approve", *otherwise))
        raise UsageError(f"{why}, and there is no terminal to ask on: {remedy}")


@contextmanager
def opened_run(workshop: Workshop, options: argparse.Namespace) -> Iterator[Run]:
    """A run that holds the lock; what it has to say of how it began is said."""
    with open_run(store_of(workshop), workshop, options.lock_timeout) as opened:
        write([line(note) for note in opened.notes], sys.stderr)
        yield opened


def is_approved(options: argparse.Namespace) -> bool:
    """Whether a plan that was shown may be applied, asked of a person unless the command line says so."""
    if options.auto_approve:
        return True
    sys.stderr.write("\nApply these changes? Only 'yes' will be accepted: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() == "yes":
        return True
    write([line("Nothing was applied.")], sys.stderr)
    return False


def carry_out(opened: Run, plan: Plan, options: argparse.Namespace) -> int:
    """Carry out a plan, tell of it, and answer with the exit code."""
    gc.enable()  # from here on a run may last for hours
    pace = opened.workshop.pace
    with _stopping_cleanly(pace), watch(len(grouped(plan.changes)), no_color=options.no_color) as watcher:
        pace.tell = watcher.waiting
        outcome = apply_plan(opened, plan, watcher)
    write(_report(outcome, plan, options), no_color=options.no_color)
    return outcome.exit_code


@contextmanager
def _stopping_cleanly(pace: Pace) -> Iterator[None]:
    """The first interrupt lets what is being written end and starts nothing more; the second ends at once."""

    def stop(number: int, frame: object) -> None:
        sys.stderr.write("\nStopping: what is being written is finished first. Interrupt again to end at once.\n")
        pace.stop.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(outcome: Outcome, plan: Plan, options: argparse.Namespace) -> list[Line]:
    """What is done, failed and not attempted, and the command that goes on."""
    lines: list[Line] = [()]
    for status in (Status.FAILED, Status.STALE, Status.SKIPPED):
        for result in outcome.of(status):
            why = f": {result.why}" if result.why else ""
            lines.append(line("  ", ("error", status), f"  {result.group.key}{why}"))
    totals = [f"{len(outcome.of(status)):,} {status}" for status in Status if outcome.of(status)]
    lines.append(line(("bold", "Applied: "), f"{', '.join(totals) or 'the plan has no changes'}."))
    moved = [
        change
        for result in outcome.of(Status.DONE)
        for change in result.group.changes
        if isinstance(change.after, SiteReference)
    ]
    if moved:
        hubs = {hub for change in moved for hub in change.reaches}
        lines.append(
            line(
                f"{count(len(moved), 'reference')} written, which {count(len(hubs), 'hub')} will read. "
                "fleet did not start a server with the new image: try it on one hub."
            )
        )
        if any(change.address not in plan.resolutions and not _is_built(change.after) for change in moved):
            lines.append(line("No registry was asked: whether these tags exist was not checked."))
    if outcome.exit_code is not ExitCode.OK:
        lines.append(line(f"What is done is done. Go on with: {_next_command(outcome, options)}"))
    return lines


def _is_built(after: Spec | None) -> bool:
    """Whether a build of this very plan gave the tag, which was looked up when the build had ended."""
    return isinstance(after, SiteReference) and isinstance(after.tag, Unknown)


def _next_command(outcome: Outcome, options: argparse.Namespace) -> str:
    saved = options.plan_file if options.plan_file and not outcome.of(Status.STALE) else ""
    return f"fleet apply {saved}".strip() if saved or not options.plan_file else "fleet plan"
