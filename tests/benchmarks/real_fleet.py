"""A real fleet: import, and offline plan of what was imported, as whole processes. The aim is 2 seconds for both.

`FLEET_REAL_FLEET` names the folder of a checkout of the 2i2c layout; without it, a small generated one is measured.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.measure import FLEET, cost, row
from tests.corpus import real_fleet, write_corpus


def main() -> None:
    """Print the table."""
    row("a fleet of the 2i2c layout", "seconds", "MiB")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = real_fleet()
        layout = found or write_corpus(folder / "layout")
        what = "real" if found else "generated"
        importing = (*FLEET, "import", "2i2c", os.path.relpath(layout, folder))
        imported = cost(importing, folder)
        (folder / "fleet.yaml").write_bytes(subprocess.run(importing, cwd=folder, check=True, stdout=-1).stdout)
        planned = cost((*FLEET, "plan", "-refresh=false", "-detailed-exitcode"), folder)
    row(f"import ({what})", f"{imported.seconds:.2f}", f"{imported.mebibytes:.0f}")
    row(f"offline plan ({what}), no changes", f"{planned.seconds:.2f}", f"{planned.mebibytes:.0f}")
    row("both", f"{imported.seconds + planned.seconds:.2f}")


if __name__ == "__main__":
    main()
