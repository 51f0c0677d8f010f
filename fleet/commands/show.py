"""`fleet show`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fleet.pace import Pace
from fleet.plan_file import load_plan
from fleet.services import Workshop
from fleet.show import plan_lines
from fleet.show_json import plan_document
from fleet.terminal import write


def run(options: argparse.Namespace) -> int:
    """Show a saved plan, however old."""
    plan, _ = load_plan(Path(options.plan_file), lambda fleet: Workshop(fleet, Path(), Pace()).spec_type)
    if options.json:
        sys.stdout.write(json.dumps(plan_document(plan), ensure_ascii=False) + "\n")
    else:
        write(plan_lines(plan), no_color=options.no_color)
    return 0
