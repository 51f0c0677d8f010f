"""`fleet force-unlock`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleet.config import load
from fleet.errors import ExitCode, UsageError
from fleet.pace import Pace
from fleet.services import Workshop
from fleet.state_place import open_git_store
from fleet.terminal import line, write


def run(options: argparse.Namespace) -> int:
    """Take the lease on the state from a run that is dead."""
    if not options.force and not sys.stdin.isatty():
        raise UsageError("force-unlock asks first, and there is no terminal to ask on: give -force")
    loaded = load(Path(options.file))
    store = open_git_store(Workshop(loaded.fleet, loaded.source.folder, Pace(), source=loaded.source))
    if not options.force and not _is_meant(options.run, str(store.place)):
        write([line("Nothing was unlocked.")], sys.stderr)
        return ExitCode.ERROR
    store.break_lease(options.run)
    write(
        [line(f"Run {options.run} does not hold {store.place} any more; if it lives, it stops before its next write.")]
    )
    return ExitCode.OK


def _is_meant(run: str, place: str) -> bool:
    sys.stderr.write(f"Take the lease on {place} from run {run}? Only 'yes' will be accepted: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"
