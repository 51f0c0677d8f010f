"""What plan and apply share: the pace, the question and the store that a command line and a fleet call for."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.model import Address, Spec
from fleet.pace import Budget, Pace
from fleet.planning import Question
from fleet.selection import Selection, selectors
from fleet.services import Workshop

if TYPE_CHECKING:
    from fleet.state import State
    from fleet.store import Store


def pace_of(options: argparse.Namespace) -> Pace:
    """The pace that the command line allows."""
    return Pace(Budget(options.max_requests, options.deadline))


def store_of(workshop: Workshop) -> Store:
    """Where the fleet keeps its state."""
    from fleet.state_place import open_store  # a first plan has no state, and does not pay for reading it

    return open_store(workshop)


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


def state_of(workshop: Workshop, *, refresh: bool) -> State | None:
    """What the fleet knows of its past; None when it has none yet, or when that is on a code host and nobody is to be
    asked."""
    folder = workshop.fleet.state_folder
    if folder is not None:
        return store_of(workshop).load() if (workshop.folder / folder).exists() else None
    from fleet.state_place import is_offline

    return store_of(workshop).load() if refresh or is_offline(workshop) else None


def _digests(state: State | None) -> dict[Address, str]:
    things = state.things if state else {}
    return {Address.parse(key): thing.digest for key, thing in things.items() if thing.digest}


def _owned(workshop: Workshop, state: State | None) -> dict[Address, Spec]:
    """What fleet made or adopted and still reaches, as it last wrote it."""
    reachable = {*workshop.fleet.registries, *workshop.fleet.code_hosts}
    owned: dict[Address, Spec] = {}
    for key, thing in (state.things if state else {}).items():
        address = Address.parse(key)
        if address.provider in reachable and thing.current.get("owner") == workshop.fleet.name:
            owned[address] = workshop.spec_type(address).model_validate_json(json.dumps(thing.current))
    return owned
