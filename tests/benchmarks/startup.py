"""Start-up: `fleet --help` and `fleet version` against a bare interpreter, and `terraform version` where it is."""

from __future__ import annotations

import shutil
import sys

from tests.benchmarks.measure import FLEET, cost, row

RUNS = 15


def main() -> None:
    """Print the table."""
    bare = cost([sys.executable, "-c", "pass"], runs=RUNS)
    row("start-up", "seconds", "MiB", "x bare python")
    row("python -c pass", f"{bare.seconds:.3f}", f"{bare.mebibytes:.0f}", "1.0")
    commands = [(*FLEET, "--help"), (*FLEET, "version")]
    terraform = shutil.which("terraform")
    if terraform:
        commands.append((terraform, "version"))
    for command in commands:
        spent = cost(command, runs=RUNS)
        name = " ".join(("fleet" if command[0] == FLEET[0] else "terraform", *command[1:]))
        row(name, f"{spent.seconds:.3f}", f"{spent.mebibytes:.0f}", f"{spent.seconds / bare.seconds:.1f}")


if __name__ == "__main__":
    main()
