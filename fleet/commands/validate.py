"""`fleet validate`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fleet.config import validate
from fleet.diagnostics import report
from fleet.errors import ExitCode
from fleet.report import diagnostic_lines
from fleet.terminal import line, write


def run(options: argparse.Namespace) -> int:
    """Check fleet.yaml and say everything that is wrong with it."""
    diagnostics = validate(Path(options.file))
    document = report(diagnostics)
    if options.json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        write(diagnostic_lines(diagnostics), sys.stderr, no_color=options.no_color)
        if document["valid"]:
            write([line(("bold", "Success!"), f" {options.file} is valid.")], no_color=options.no_color)
    return ExitCode.OK if document["valid"] else ExitCode.ERROR
