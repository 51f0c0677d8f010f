"""What plan and apply share: the pace, the question and the store that a command line and a fleet call for."""

from __future__ import annotations

import argparse
import json
from datetime import datetime

from fleet.errors import FleetError
from fleet.model import Address, Spec
from fleet.pace import Budget, Pace
from fleet.planning import Question
from fleet.selection import Selection, selectors
from fleet.services import Workshop
from fleet.state import State
from fleet.store import FolderStore


def pace_of(options: argparse.Namespace) -> Pace:
    """The pace that the command line allows."""
    return Pace(Budget(options.max_requests, options.deadline))


def store_of(workshop: Workshop) -> FolderStore:
    """Where the fleet keeps its state."""
    if workshop.fleet.state == "git":
        raise FleetError("state: git is not built yet; use a folder")
    return FolderStore(workshop.folder / workshop.fleet.state, workshop.fleet.name)


def question_of(options: argparse.Namespace, workshop: Workshop, state: State) -> Question:
    """What the command line asks for, with what the fleet knows of its past."""
    return Question(
        today=datetime.now().astimezone().date(),
        selection=Selection(selectors(options.target, "-target"), selectors(options.exclude, "-exclude")),
        refresh=options.refresh,
        owned=dict(_owned(workshop, state)),
        digests={Address.parse(key): thing.digest for key, thing in state.things.items() if thing.digest},
    )


def _owned(workshop: Workshop, state: State) -> list[tuple[Address, Spec]]:
    """What fleet made or adopted and still reaches, as it last wrote it."""
    reachable = {*workshop.fleet.registries, *workshop.fleet.code_hosts}
    owned = []
    for key, thing in state.things.items():
        address = Address.parse(key)
        if address.provider in reachable and thing.current.get("owner") == workshop.fleet.name:
            spec = workshop.spec_type(address).model_validate_json(json.dumps(thing.current))
            owned.append((address, spec))
    return owned
