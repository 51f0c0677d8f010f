"""`fleet drift`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet.commands.common import question_of, state_of, tell, telling_of, workshop_of
from fleet.config import load
from fleet.drift import Drift, find_drift
from fleet.errors import ExitCode
from fleet.telling import Teller


def run(options: argparse.Namespace) -> int:
    """Say what moved in the world, and in the file, since fleet last applied."""
    return tell(telling_of("drift", options), lambda teller: _drift(options, teller))


def _drift(options: argparse.Namespace, teller: Teller) -> int:
    loaded = load(Path(options.file))
    workshop = workshop_of(options, loaded)
    state = state_of(workshop, refresh=options.refresh)
    question = question_of(options, workshop, state)
    found = find_drift(loaded, workshop, state, question) if state else Drift(loaded.fleet.name, 0)
    if state is None:
        teller.note("Fleet has applied nothing yet that it knows of: there is no state to compare with.")
    for note in found.notes:
        teller.note(note)
    teller.drift(found)
    return ExitCode.CHANGES if found.has_drifted else ExitCode.OK
