"""`fleet import LAYOUT PATH`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleet.importers.two_i2c import import_2i2c


def run(options: argparse.Namespace) -> int:
    """Print a fleet.yaml for an existing configuration."""
    importers = {"2i2c": import_2i2c}
    sys.stdout.write(importers[options.layout](Path(options.path)))
    return 0
