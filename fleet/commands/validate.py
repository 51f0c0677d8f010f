"""`fleet validate`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fleet.config import validate
from fleet.diagnostics import Diagnostic, report
from fleet.errors import ExitCode
from fleet.report import diagnostic_lines
from fleet.runner import runner_of
from fleet.terminal import line, write
from fleet.workflow_commands import append_outputs, diagnostic_annotation


def run(options: argparse.Namespace) -> int:
    """Check fleet.yaml and say everything that is wrong with it."""
    diagnostics = validate(Path(options.file))
    document = report(diagnostics)
    if options.json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif options.format == "github":
        _annotate(diagnostics)
    else:
        write(diagnostic_lines(diagnostics), sys.stderr, no_color=options.no_color)
        if document["valid"]:
            write([line(("bold", "Success!"), f" {options.file} is valid.")], no_color=options.no_color)
    return ExitCode.OK if document["valid"] else ExitCode.ERROR


def _annotate(diagnostics: Sequence[Diagnostic]) -> None:
    """Each mistake at its very line, as GitHub shows it in the pull request."""
    runner = runner_of(os.environ)
    for found in diagnostics:
        sys.stdout.write(diagnostic_annotation(found, runner.workspace) + "\n")
    if runner.output is not None:
        append_outputs(runner.output, {"exit_class": "error" if diagnostics else "ok"})
