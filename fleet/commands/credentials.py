"""`fleet credentials list`, `check`, `rotate` and `revoke`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.commands.apply import carry_out, check_terminal, is_approved, opened_run
from fleet.commands.common import question_of, state_of, tell, workshop_of
from fleet.config import Loaded, load
from fleet.credential_plans import Asked
from fleet.credentials import Login, Pushing, find_logins, find_pushing, worst_first
from fleet.errors import ExitCode, InputError, UsageError
from fleet.images import read_homes
from fleet.login_proofs import prove_logins
from fleet.plan import Plan
from fleet.progress import counting
from fleet.rotation import Limit
from fleet.selection import Selection
from fleet.services import Workshop
from fleet.telling import Teller, Telling
from fleet.terminal import Line, count, line, write

WRITES = ("rotate", "revoke")


def run(options: argparse.Namespace) -> int:
    """Look at the logins that builds push with, or replace or revoke the credentials that fleet issued for them."""
    _check_options(options)
    if options.action not in WRITES:
        return _look(options)
    check_terminal(options, f"{options.action} asks before it writes")
    how = Telling(f"credentials {options.action}", file=options.file, no_color=options.no_color)
    return tell(how, lambda teller: _write(options, teller))


def _check_options(options: argparse.Namespace) -> None:
    """Raise UsageError for an option that belongs to another action."""
    if options.json and options.action in WRITES:
        raise UsageError("-json belongs to `fleet credentials list` and `check`")
    if options.older_than is not None and options.action != "rotate":
        raise UsageError("-older-than belongs to `fleet credentials rotate`")
    if options.auto_approve and options.action not in WRITES:
        raise UsageError("-auto-approve belongs to `fleet credentials rotate` and `revoke`")
    if options.action == "revoke" and not options.target:
        raise UsageError("revoke takes no whole fleet: say which with -target, such as -target=image:NAME")


def _look(options: argparse.Namespace) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    state = state_of(workshop, refresh=True)
    selection = question_of(options, workshop, state).selection
    found = _pushing(loaded, workshop, selection)
    logins = find_logins(found, workshop, state)
    if options.action == "check":
        logins = _checked(found, logins, workshop, options)
    _show(worst_first(logins), options)
    is_well = options.action == "list" or not any(login.trouble for login in logins)
    return ExitCode.OK if is_well else ExitCode.ERROR


def _pushing(loaded: Loaded, workshop: Workshop, selection: Selection) -> list[Pushing]:
    homes, wrong = read_homes(loaded, workshop, workshop.pace, lambda item: True)
    if wrong:
        raise InputError(wrong)
    return find_pushing(loaded, homes, selection)


def _checked(
    found: Sequence[Pushing], logins: Sequence[Login], workshop: Workshop, options: argparse.Namespace
) -> list[Login]:
    with counting("checking", len(found), no_color=options.no_color) as progress:
        workshop.pace.tell = progress.waiting
        return prove_logins(
            list(zip(found, logins, strict=True)),
            workshop,
            lambda login: progress.ended(f"{login.image}: {login.trouble or login.seen}"),
        )


def _write(options: argparse.Namespace, teller: Teller) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    with opened_run(workshop, options) as opened:
        selection = question_of(options, workshop, opened.state).selection
        plan = _plan(Asked(loaded, workshop, selection), options)
        teller.plan(plan)
        if not plan.changes:
            return ExitCode.OK
        return carry_out(opened, plan, options, teller).exit_code if is_approved(options) else ExitCode.ERROR


def _plan(asked: Asked, options: argparse.Namespace) -> Plan:
    if options.action == "revoke":
        return asked.plan_revocation()
    given = f" -older-than={options.older_than}d" if options.older_than else ""
    return asked.plan_rotation(Limit(timedelta(days=options.older_than or 0), f"fleet credentials rotate{given}"))


def _show(logins: Sequence[Login], options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    if options.json:
        document = {"credentials": [login.document(now) for login in logins]}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
        return
    lines = [shown for login in logins for shown in _lines(login, now)]
    write(lines or [line("fleet.yaml has no image whose builds push.")], no_color=options.no_color)


def _lines(login: Login, now: datetime) -> Iterator[Line]:
    yield line(("bold", login.image), f"  {login.scope}")
    if login.trouble:
        yield line("    ", ("error", login.trouble))
    if login.seen:
        yield line("    ", ("add", login.seen))
    age = login.age(now)
    since = f", {count(age.days, 'day')} old" if age is not None else ""
    yield line("    ", f"{login.kind}{f' {login.key}' if login.key else ''}{since}{_use(login, now)}")
    for place in login.stored_in:
        yield line("    ", ("dim", f"stored in {place}"), ("dim", f" on {login.stored_at}" if login.stored_at else ""))
    if login.proved_at:
        yield line("    ", ("dim", f"proved on {login.proved_at}"))


def _use(login: Login, now: datetime) -> str:
    if not (login.tells_use and login.key):
        return ""
    if login.last_used is None:
        return ", never used"
    days = (now - login.last_used).days
    return f", last used {count(days, 'day')} ago" if days > 0 else ", last used today"
