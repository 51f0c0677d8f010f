"""What plan and apply share: the pace, the question and the store that a command line and a fleet call for."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.errors import FleetError
from fleet.model import Address, Spec
from fleet.pace import Budget, Pace
from fleet.planning import Question
from fleet.selection import Selection, selectors
from fleet.services import Workshop

if TYPE_CHECKING:
    from fleet.state import State
    from fleet.store import FolderStore


def pace_of(options: argparse.Namespace) -> Pace:
    """The pace that the command line allows."""
    return Pace(Budget(options.max_requests, options.deadline))


def store_of(workshop: Workshop) -> FolderStore:
    """Where the fleet keeps its state."""
    if workshop.fleet.state == "git":
        raise FleetError("state: git is not built yet; use a folder")
    from fleet.store import FolderStore  # a first plan has no state, and does not pay for reading it

    return FolderStore(workshop.folder / workshop.fleet.state, workshop.fleet.name)


def question_of(options: argparse.Namespace, workshop: Workshop, state: State | None) -> Question:
    """What the command line asks for, with what the fleet knows of its past (which providers are told as well)."""
    if state is not None:
        workshop.remember(state)
    return Question(
        today=datetime.now().astimezone().date(),
        selection=Selection(selectors(options.target, "-target"), selectors(options.exclude, "-exclude")),
        refresh=options.refresh,
        owned=_owned(workshop, state),
        digests=_digests(state),
    )


def state_of(workshop: Workshop) -> State | None:
    """What the fleet knows of its past; None when it has none yet."""
    if workshop.fleet.state != "git" and not (workshop.folder / workshop.fleet.state).exists():
        return None
    return store_of(workshop).load()


def _digests(state: State | None) -> dict[Address, str]:
    things = state.things if state else {}
    return {Address.parse(key): thing.digest for key, thing in things.items() if thing.digest}


def _owned(workshop: Workshop, state: State | None) -> dict[Address, Spec]:
    """What fleet made or adopted and still reaches, as it last wrote it."""
    reachable = {*workshop.fleet.registries, *workshop.fleet.code_hosts}
    owned: dict[Address, Spec] = {}
    for key, thing in (state.things if state else {}).items():
        address = Address.parse(key)
        if address.provider in reachable:
            spec = workshop.spec_type(address).model_validate_json(json.dumps(thing.current))
            if spec.is_owned_by(workshop.fleet.name):
                owned[address] = spec
    return owned
