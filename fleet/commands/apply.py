"""`fleet apply`."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.apply import Group, Outcome, Result, Status, grouped
from fleet.commands.common import pace_of, question_of, store_of, tell, telling_of, workshop_of
from fleet.config import Loaded, load
from fleet.errors import ExitCode, InputError, Stale, UsageError
from fleet.model import Spec, Unknown
from fleet.pace import Pace
from fleet.plan import Plan
from fleet.plan_difference import what_moved
from fleet.plan_file import load_plan
from fleet.planning import Question, check_policy, make_plan
from fleet.progress import Watcher
from fleet.reviewed import Reviewed, as_reviewed, completed, hash_of, is_hash, read_reviewed
from fleet.run import Run, apply_plan, close_what_is_no_longer_wanted, open_run
from fleet.services import Workshop
from fleet.site import SiteReference
from fleet.telling import Teller
from fleet.terminal import Line, count, line, write

_GO_ON = "To go on, review the plan of now: open a pull request, or start this workflow by hand (`fleet apply`)."


def run(options: argparse.Namespace) -> int:
    """Make the world as fleet.yaml says, or carry out a saved plan."""
    _check(options)
    command = _apply_saved if options.plan_file else _apply
    return tell(telling_of("apply", options), lambda teller: command(options, teller))


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together, before anything is asked or read."""
    if options.plan_file:
        if options.target or options.exclude or options.without:
            raise UsageError("a saved plan is applied whole: -target, -exclude and -without belong to `fleet plan`")
        if options.expect_plan or options.resolutions or options.on_stale == "replan":
            raise UsageError("-expect-plan, -resolutions and -on-stale=replan plan again: they take no plan file")
        return
    if options.resolutions and not options.expect_plan:
        raise UsageError("-resolutions holds a reviewed plan: give the hash that was reviewed with -expect-plan")
    if options.expect_plan and not is_hash(options.expect_plan):
        raise UsageError("-expect-plan takes a plan's whole hash: 64 digits of 0-9 and a-f")
    asks = not (options.auto_approve or options.expect_plan)
    if asks and (options.json or options.format != "text"):
        raise UsageError("apply asks before it writes, and only text can be asked about: give -auto-approve")
    if asks:
        check_terminal(options, "apply asks before it writes", "or a plan file")


def _apply(options: argparse.Namespace, teller: Teller) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    reviewed = read_reviewed(Path(options.resolutions), options.expect_plan) if options.resolutions else None
    with opened_run(workshop, options) as opened:
        question = question_of(options, workshop, opened.state, reviewed)
        plan = _planned(loaded, workshop, question, agreed=bool(options.expect_plan))
        teller.plan(plan)
        if options.expect_plan:
            _compare(opened, plan, options.expect_plan, reviewed, teller)
        check_policy(plan, loaded)
        if not plan.changes:
            close_what_is_no_longer_wanted(opened, plan)
            return ExitCode.OK
        if not (options.expect_plan or is_approved(options)):
            return ExitCode.ERROR
        outcome = carry_out(opened, plan, options, teller)
        if outcome.of(Status.STALE) and options.on_stale == "replan" and not outcome.interrupted:
            teller.note("Some changes were stale: planning again, and applying that.")
            workshop.pace.no_more = ""
            plan = make_plan(loaded, workshop, question_of(options, workshop, opened.store.load(), reviewed))
            teller.plan(plan)
            check_policy(plan, loaded)
            outcome = carry_out(opened, plan, options, teller)
        return outcome.exit_code


def _planned(loaded: Loaded, workshop: Workshop, question: Question, *, agreed: bool) -> Plan:
    """The plan as of now; what makes it impossible has come about since a plan was agreed to."""
    try:
        return make_plan(loaded, workshop, question)
    except InputError as error:
        if not agreed:
            raise
        raise Stale(f"nothing was written, for what was reviewed cannot be planned any more: {error}") from None


def _compare(opened: Run, plan: Plan, expected: str, reviewed: Reviewed | None, teller: Teller) -> None:
    """Raise Stale, with what moved in between, unless this is the plan that was reviewed, or the rest of it."""
    if reviewed is None:
        if plan.hash != expected:
            more = "give the reviewed plan's file with -resolutions to learn what moved"
            raise Stale(f"nothing was written: the plan is {plan.hash[:12]}…, reviewed was {expected[:12]}… ({more})")
        return
    document = completed(reviewed, plan, opened.state, opened.begun)
    if hash_of(document) != expected:
        moved = what_moved(reviewed.decided, document)
        raise Stale("\n".join(["nothing was written, because this is not the plan that was reviewed:", *moved, _GO_ON]))
    shown = len(as_reviewed(plan, reviewed).changes)
    if shown < len(plan.changes):
        number = count(len(plan.changes) - shown, "change")
        teller.note(f"{number} of what the review could not read (it had no login for it) is applied as well.")


def _apply_saved(options: argparse.Namespace, teller: Teller) -> int:
    folder = Path(options.file).parent
    plan, fleet = load_plan(Path(options.plan_file), lambda fleet: Workshop(fleet, folder, Pace()).spec_type)
    with opened_run(Workshop(fleet, folder, pace_of(options)), options) as opened:
        teller.report = replace(teller.report, plan=plan)
        return carry_out(opened, plan, options, teller).exit_code


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


def carry_out(opened: Run, plan: Plan, options: argparse.Namespace, teller: Teller) -> Outcome:
    """Carry out a plan, and tell of it."""
    gc.enable()  # from here on a run may last for hours
    pace = opened.workshop.pace
    with _stopping_cleanly(pace), teller.watching(len(grouped(plan.changes))) as watcher:
        pace.tell = watcher.waiting
        recorder = _StopsAtStale(watcher, pace) if options.on_stale == "fail" else watcher
        outcome = apply_plan(opened, plan, recorder)
    teller.outcome(outcome, _report(outcome, plan, options))
    return outcome


@dataclass(frozen=True, slots=True)
class _StopsAtStale:
    """Lets nothing more begin once a change was found stale."""

    watcher: Watcher
    pace: Pace

    def began(self, group: Group) -> None:
        self.watcher.began(group)

    def ended(self, result: Result) -> None:
        if result.status is Status.STALE:
            self.pace.no_more = "a change is stale, and -on-stale=fail begins nothing more then"
        self.watcher.ended(result)


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
    for result in outcome.of(Status.PROPOSED):
        lines.append(line("  ", ("change", "proposed in"), f" {result.why}  {result.group.key}"))
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
