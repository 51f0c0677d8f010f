"""`fleet ci init github` and `fleet ci reviewed`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from fleet.config import Fleet, load
from fleet.errors import ExitCode, FleetError, Stale
from fleet.files import write_atomically
from fleet.posting import agreed
from fleet.runner import runner_of
from fleet.telling_github import file_in
from fleet.terminal import line, write
from fleet.workflow_commands import append_outputs
from fleet.workflow_file import (
    WORKFLOW,
    Asked,
    elsewhere,
    identities_of,
    logins_of,
    secret_of,
    variables_of,
    workflow_of,
)


def run(options: argparse.Namespace) -> int:
    """Write the workflow of a fleet repository, or find the plan that a merged pull request showed."""
    return _reviewed(options) if options.action == "reviewed" else _init(options)


def _init(options: argparse.Namespace) -> int:
    fleet = load(Path(options.file)).fleet
    unknown = [name for name in options.without if name not in fleet.registries]
    if unknown:
        raise FleetError(f"-without={unknown[0]}: {options.file} has no registry of that name")
    text = workflow_of(fleet, Asked(options.reference, options.file, options.branch, tuple(options.without)))
    path = Path(WORKFLOW)
    standing = path.read_text(encoding="utf-8") if path.is_file() else None
    if standing == text:
        write([line(f"{WORKFLOW} says so already.")])
        return ExitCode.OK
    if standing is not None and not options.overwrite:
        raise FleetError(f"{WORKFLOW} is there and says something else: look at it, then give -overwrite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise FleetError(f"{WORKFLOW} cannot be written: {error.strerror}") from None
    write([line(("bold", f"{WORKFLOW} is written"), f" for the fleet {fleet.name}. Next:")])
    write(line(f"  {number}. {step}") for number, step in enumerate(_steps(fleet), 1))
    write(line(("attention", "  !  "), trouble) for trouble in _troubles(fleet))
    return ExitCode.OK


def _steps(fleet: Fleet) -> Iterator[str]:
    """What a person does once, in order."""
    yield "Make the environments fleet-plan and fleet-apply (Settings, Environments)."
    secrets, identities = map(secret_of, variables_of(fleet)), identities_of(logins_of(fleet))
    if named := ", ".join(secrets):
        yield f"Give both these secrets, of which fleet-plan's can only read: {named}."
    if identities:
        yield f"Give both these variables, of which fleet-plan's name who can only read: {', '.join(identities)}."
    yield "Let only the default branch use fleet-apply, commit, and open a pull request."


def _troubles(fleet: Fleet) -> Iterator[str]:
    """What a runner lacks of what fleet.yaml counts on."""
    for other in elsewhere(fleet):
        yield f"fleet.yaml reads {other}, which no runner has: use `env:` instead."
    if fleet.state_folder is not None:
        yield f"State lies in {fleet.state_folder}, and a runner forgets it: write `state: git`."


def _reviewed(options: argparse.Namespace) -> int:
    runner = runner_of(os.environ)
    found = agreed(file_in(options.file, runner), runner)
    if found is None:
        raise Stale(
            f"no merged pull request that showed a plan of {options.file} brought the commit {runner.commit[:12]}: "
            "nothing was reviewed, so nothing is applied; open a pull request, or start this workflow by hand"
        )
    if runner.output is not None:
        append_outputs(runner.output, {"plan_hash": found.plan, "run": found.run, "pull_request": found.pull_request})
    write([line(f"Reviewed in pull request {found.pull_request}: plan {found.plan}, of run {found.run}.")])
    return ExitCode.OK
