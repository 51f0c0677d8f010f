"""`fleet plan`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet.commands.common import pace_of, question_of, state_of
from fleet.config import load
from fleet.errors import ExitCode
from fleet.planning import check_policy, make_plan
from fleet.services import Workshop
from fleet.show import plan_lines
from fleet.terminal import line, write


def run(options: argparse.Namespace) -> int:
    """Show what apply would change."""
    loaded = load(Path(options.file))
    workshop = Workshop(loaded.fleet, loaded.source.folder, pace_of(options), source=loaded.source)
    plan = make_plan(loaded, workshop, question_of(options, workshop, state_of(workshop, refresh=options.refresh)))
    write(plan_lines(plan), no_color=options.no_color)
    check_policy(plan, loaded)
    if options.out:
        from fleet.plan_file import save_plan

        save_plan(plan, Path(options.out))
        saved = f"Saved to {options.out} (sha256 {plan.hash[:12]}…). Apply it with: fleet apply {options.out}"
        write([line(saved)], no_color=options.no_color)
    return ExitCode.CHANGES if options.detailed_exitcode and plan.changes else ExitCode.OK
