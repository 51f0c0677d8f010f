"""`fleet sandbox up|down|status|visit`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.errors import ExitCode, UsageError
from fleet.plugins import missing_package
from fleet.terminal import line, write

if TYPE_CHECKING:
    from fleet.sandbox.control import Running


def run(options: argparse.Namespace) -> int:
    """Start, stop or look at the sandbox, or at one of its hubs as a user does."""
    try:
        from fleet.sandbox import control
    except ModuleNotFoundError as error:
        raise missing_package("the sandbox", error) from None
    folder = Path(options.folder)
    if options.action == "visit":
        return _visit(folder, options.hub, options.choice)
    if options.hub:
        raise UsageError(f"fleet sandbox {options.action} takes no hub")
    if options.action == "down":
        stopped = control.down(folder)
        write([line("The sandbox is stopped." if stopped else "The sandbox was not up.")])
        return ExitCode.OK
    if options.action == "up" and control.status(folder) is None:
        write(
            [line("Starting registries, GitHub and three JupyterHubs; some seconds, a little more the first time.")],
            sys.stderr,
        )
    running = control.up(folder, options.port, options.registry) if options.action == "up" else control.status(folder)
    if running is None:
        write([line("The sandbox is not up. Start it with: fleet sandbox up")])
        return ExitCode.ERROR
    _show(running, folder)
    return ExitCode.OK


def _show(running: Running, folder: Path) -> None:
    from fleet.sandbox.registries import QUAY

    there = "" if running.registry == QUAY else f"-chdir={folder} "
    places = {**running.services, **running.hubs, "values repository": f"{folder}/infrastructure"}
    width = max(20, *(len(name) + 2 for name in places))
    write(
        [
            line(("bold", "The sandbox is up"), f" (process {running.process}, folder {folder})."),
            *(line(f"  {name:<{width}}{place}") for name, place in places.items()),
            line(f"On a hub, log in as ada; the password is in {folder}/hubs/HUB-password."),
            *([line(f"What fleet needs in its environment: source {folder}/environment")] if there else []),
            line(f"Try: fleet {there}plan. Stop it with: fleet sandbox down"),
        ]
    )


def _visit(folder: Path, hub: str | None, choice: str | None) -> int:
    from fleet.sandbox import control

    if hub is None:
        raise UsageError("fleet sandbox visit takes the name of a hub")
    image = control.visit(folder, hub, choice, lambda event: write([line(("dim", f"  {event.message}"))], sys.stderr))
    write([line(f"{hub}: a kernel in a fresh server of ada sees ", ("bold", image))])
    return ExitCode.OK
