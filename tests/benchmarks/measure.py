"""How long a command takes and how much memory it needs, as a whole process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FLEET = (str(Path(sys.executable).with_name("fleet")),)
"""The installed command."""


class Cost(NamedTuple):
    """Seconds of wall time (the median of all runs) and MiB of peak memory (the highest)."""

    seconds: float
    mebibytes: float


def cost(command: Sequence[str], folder: Path | None = None, runs: int = 5, expect: int = 0) -> Cost:
    """What a command costs; raises RuntimeError when it ends with another exit code."""
    seconds, memory = [], 0.0
    # As on an operator's machine, compiled modules are kept.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != expect:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        memory = max(memory, usage.ru_maxrss / 1024)
    return Cost(statistics.median(seconds), memory)


def row(what: str, *cells: str) -> None:
    """Print one row of a table."""
    sys.stdout.write(f"{what:<58}" + "".join(f"{cell:>16}" for cell in cells) + "\n")
    sys.stdout.flush()
