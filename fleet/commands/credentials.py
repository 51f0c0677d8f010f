"""`fleet credentials list` and `fleet credentials rotate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.commands.apply import carry_out, check_terminal, is_approved, opened_run
from fleet.commands.common import pace_of, question_of, state_of
from fleet.config import load
from fleet.credentials import Login, find_logins
from fleet.errors import ExitCode, UsageError
from fleet.rotation import Limit, plan_rotation
from fleet.services import Workshop
from fleet.show import plan_lines
from fleet.terminal import Line, count, line, write


def run(options: argparse.Namespace) -> int:
    """List the logins that builds push with, or replace the credentials that fleet issued for them."""
    loaded = load(Path(options.file))
    workshop = Workshop(loaded.fleet, loaded.source.folder, pace_of(options), source=loaded.source)
    if options.action == "list":
        if options.older_than is not None or options.auto_approve:
            raise UsageError("-older-than and -auto-approve belong to `fleet credentials rotate`")
        state = state_of(workshop)
        question = question_of(options, workshop, state)
        _show(find_logins(loaded, workshop, question.selection, state), options)
        return ExitCode.OK
    if options.json:
        raise UsageError("-json belongs to `fleet credentials list`")
    check_terminal(options, "rotate asks before it writes")
    given = f" -older-than={options.older_than}d" if options.older_than else ""
    limit = Limit(timedelta(days=options.older_than or 0), f"fleet credentials rotate{given}")
    with opened_run(workshop, options) as opened:
        plan = plan_rotation(loaded, workshop, question_of(options, workshop, opened.state).selection, limit)
        write(plan_lines(plan), no_color=options.no_color)
        if not plan.changes:
            return ExitCode.OK
        return carry_out(opened, plan, options) if is_approved(options) else ExitCode.ERROR


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
