"""`fleet version`."""

from __future__ import annotations

import argparse
import sys

from fleet import __version__


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    if options.json:
        import json

        sys.stdout.write(json.dumps({"fleet_version": __version__, "python_version": sys.version.split()[0]}) + "\n")
    else:
        sys.stdout.write(f"fleet {__version__}\n")
    return 0
