"""`fleet plan`."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

from fleet.commands.common import pace_of, question_of, store_of
from fleet.config import load
from fleet.errors import ExitCode
from fleet.planning import make_plan
from fleet.services import Workshop
from fleet.show import plan_lines
from fleet.terminal import line, write


def run(options: argparse.Namespace) -> int:
    """Show what apply would change."""
    # A plan builds much and drops little: the collector would walk the growing heap again and again for nothing.
    gc.disable()
    loaded = load(Path(options.file))
    workshop = Workshop(loaded.fleet, loaded.source.folder, pace_of(options), source=loaded.source)
    plan = make_plan(loaded, workshop, question_of(options, workshop, store_of(workshop).load()))
    lines = plan_lines(plan)
    if options.out:
        from fleet.plan_file import save_plan

        save_plan(plan, Path(options.out))
        lines.append(
            line(f"Saved to {options.out} (sha256 {plan.hash[:12]}…). Apply it with: fleet apply {options.out}")
        )
    write(lines, no_color=options.no_color)
    return ExitCode.CHANGES if options.detailed_exitcode and plan.changes else ExitCode.OK
