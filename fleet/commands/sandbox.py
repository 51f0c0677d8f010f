"""`fleet sandbox up|down|status`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet.errors import ExitCode
from fleet.plugins import missing_package
from fleet.terminal import line, write


def run(options: argparse.Namespace) -> int:
    """Start, stop or look at the sandbox."""
    try:
        from fleet.sandbox import control
    except ModuleNotFoundError as error:
        raise missing_package("the sandbox", error) from None
    folder = Path(options.folder)
    if options.action == "down":
        stopped = control.down(folder)
        write([line("The sandbox is stopped." if stopped else "The sandbox was not up.")])
        return ExitCode.OK
    running = control.up(folder, options.port) if options.action == "up" else control.status(folder)
    if running is None:
        write([line("The sandbox is not up. Start it with: fleet sandbox up")])
        return ExitCode.ERROR
    write(
        [
            line(("bold", "The sandbox is up"), f" (process {running.process}, folder {folder})."),
            line(f"  Quay                {running.quay}"),
            line(f"  values repository   {folder}/infrastructure"),
            line("Try: fleet plan. Stop it with: fleet sandbox down"),
        ]
    )
    return ExitCode.OK
