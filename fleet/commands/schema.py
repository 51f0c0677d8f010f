"""`fleet schema`."""

from __future__ import annotations

import argparse
import json
import sys

from fleet.config.json_schema import schema


def run(options: argparse.Namespace) -> int:
    """Print the JSON Schema of fleet.yaml."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    return 0
