"""`fleet credentials list` and `fleet credentials rotate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.commands.apply import carry_out, check_terminal, is_approved, opened_run
from fleet.commands.common import question_of, state_of, tell, workshop_of
from fleet.config import load
from fleet.credentials import Login, find_logins
from fleet.errors import ExitCode, UsageError
from fleet.rotation import Limit, plan_rotation
from fleet.telling import Teller, Telling
from fleet.terminal import Line, count, line, write


def run(options: argparse.Namespace) -> int:
    """List the logins that builds push with, or replace the credentials that fleet issued for them."""
    if options.action == "list":
        return _list(options)
    if options.json:
        raise UsageError("-json belongs to `fleet credentials list`")
    check_terminal(options, "rotate asks before it writes")
    how = Telling("credentials rotate", file=options.file, no_color=options.no_color)
    return tell(how, lambda teller: _rotate(options, teller))


def _list(options: argparse.Namespace) -> int:
    if options.older_than is not None or options.auto_approve:
        raise UsageError("-older-than and -auto-approve belong to `fleet credentials rotate`")
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    state = state_of(workshop, refresh=True)
    question = question_of(options, workshop, state)
    _show(find_logins(loaded, workshop, question.selection, state), options)
    return ExitCode.OK


def _rotate(options: argparse.Namespace, teller: Teller) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    given = f" -older-than={options.older_than}d" if options.older_than else ""
    limit = Limit(timedelta(days=options.older_than or 0), f"fleet credentials rotate{given}")
    with opened_run(workshop, options) as opened:
        plan = plan_rotation(loaded, workshop, question_of(options, workshop, opened.state).selection, limit)
        teller.plan(plan)
        if not plan.changes:
            return ExitCode.OK
        return carry_out(opened, plan, options, teller).exit_code if is_approved(options) else ExitCode.ERROR


def _show(logins: list[Login], options: argparse.Namespace) -> None:
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
    age = login.age(now)
    since = f", {count(age.days, 'day')} old" if age is not None else ""
    yield line("    ", f"{login.kind}{f' {login.key}' if login.key else ''}{since}")
    for place in login.stored_in:
        yield line("    ", ("dim", f"stored in {place}"), ("dim", f" on {login.stored_at}" if login.stored_at else ""))
    if login.proved_at:
        yield line("    ", ("dim", f"proved on {login.proved_at}"))
