"""Starts and stops the sandbox for a person: `fleet sandbox up`, `down` and `status`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from fleet.errors import FleetError
from fleet.sandbox.example import make_infrastructure
from fleet.sandbox.serving import READY

FOLDER = Path(".demo")
"""Where the sandbox keeps everything; the example's fleet.yaml names it."""

PORT = 8400
"""Where the sandbox's Quay is; the example's fleet.yaml names it."""

PATIENCE = 60.0
"""Seconds within which the sandbox answers, or something is wrong."""


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers: its process, and where its Quay is."""

    process: int
    quay: str


def up(folder: Path, port: int) -> Running:
    """Start the sandbox unless it is up, with a values repository and an example fleet.yaml where there is none."""
    running = status(folder)
    if running is None:
        running = _start(folder, port)
    if not (folder / "infrastructure/.git").exists():
        make_infrastructure(folder / "infrastructure")
    if not Path("fleet.yaml").exists():
        Path("fleet.yaml").write_text(example_fleet_file(), encoding="utf-8")
    return running


def down(folder: Path) -> bool:
    """Stop the sandbox and wait until it has ended; False when it was not up. What it holds stays in the folder."""
    running = status(folder)
    if running is None:
        return False
    os.kill(running.process, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while _is_alive(running.process):
        if time.monotonic() > deadline:
            raise FleetError(f"the sandbox (process {running.process}) does not end; see {folder}/sandbox.log")
        time.sleep(0.05)
    return True


def status(folder: Path) -> Running | None:
    """The sandbox of a folder, when it is up."""
    try:
        document = json.loads((folder / READY).read_text(encoding="utf-8"))
        running = Running(int(document["process"]), str(document["quay"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if _is_alive(running.process) else None


def example_fleet_file() -> str:
    """The example's fleet.yaml: the one at the root of a checkout, or the copy that the package brings."""
    packaged = resources.files("fleet.sandbox") / "fleet.yaml"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "fleet.yaml").read_text(encoding="utf-8")


def _start(folder: Path, port: int) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / READY).unlink(missing_ok=True)
    log = folder / "sandbox.log"
    process = _spawn([sys.executable, "-m", "fleet.sandbox.serving", str(folder), str(port)], log)
    deadline = time.monotonic() + PATIENCE
    while (running := status(folder)) is None:
        if not _is_alive(process) or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            raise FleetError(f"the sandbox did not start: {_last_line(log)} (all of it: {log})")
        time.sleep(0.05)
    return running


def _spawn(command: list[str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _is_alive(process: int) -> bool:
    """Whether a process runs; one of our own that has ended is collected first."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process, os.WNOHANG)[0] == process:
            return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
