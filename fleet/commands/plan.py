"""`fleet plan`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet.commands.common import question_of, state_of, tell, telling_of, workshop_of
from fleet.config import load
from fleet.errors import ExitCode
from fleet.planning import check_policy, make_plan
from fleet.telling import Teller
from fleet.terminal import line


def run(options: argparse.Namespace) -> int:
    """Show what apply would change."""
    return tell(telling_of("plan", options), lambda teller: _plan(options, teller))


def _plan(options: argparse.Namespace, teller: Teller) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    plan = make_plan(loaded, workshop, question_of(options, workshop, state_of(workshop, refresh=options.refresh)))
    teller.plan(plan, options.out or "")
    check_policy(plan, loaded)
    if options.out:
        from fleet.plan_file import save_plan

        save_plan(plan, Path(options.out))
        teller.lines([line(f"Saved to {options.out} (sha256 {plan.hash}). Apply it with: fleet apply {options.out}")])
    return ExitCode.CHANGES if options.detailed_exitcode and plan.changes else ExitCode.OK
