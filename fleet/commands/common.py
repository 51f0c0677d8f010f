"""What plan and apply share: the pace, the question and the store that a command line and a fleet call for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.config import Loaded
from fleet.errors import FleetError, UsageError
from fleet.model import Address, Spec
from fleet.pace import Budget, Pace
from fleet.planning import Question
from fleet.selection import Selection, selectors
from fleet.services import Workshop
from fleet.telling import EventTeller, Format, MarkdownTeller, Teller, Telling

if TYPE_CHECKING:
    from fleet.reviewed import Reviewed
    from fleet.state import State
    from fleet.store import Store


def pace_of(options: argparse.Namespace) -> Pace:
    """The pace that the command line allows."""
    return Pace(Budget(options.max_requests, options.deadline))


def store_of(workshop: Workshop) -> Store:
    """Where the fleet keeps its state."""
    from fleet.state_place import open_store  # a first plan has no state, and does not pay for reading it

    return open_store(workshop)


def workshop_of(options: argparse.Namespace, loaded: Loaded) -> Workshop:
    """The providers of a run; raises UsageError for -without=NAME where fleet.yaml has no such registry."""
    for name in options.without:
        if name not in loaded.fleet.registries:
            raise UsageError(f"-without={name}: fleet.yaml has no registry of that name")
    without = frozenset(options.without)
    return Workshop(loaded.fleet, loaded.source.folder, pace_of(options), source=loaded.source, without=without)


def telling_of(command: str, options: argparse.Namespace) -> Telling:
    """How the command line wants to be told; raises UsageError for two formats at once."""
    if options.json and options.format != "text":
        raise UsageError(f"-json and -format={options.format} are two formats: give one of them")
    return Telling(
        command=command,
        format="json" if options.json else options.format,
        file=options.file,
        no_color=options.no_color,
        online=options.refresh,
        pull_request=options.comment,
        agreed=getattr(options, "expect_plan", None) or "",
    )


def tell(how: Telling, command: Callable[[Teller], int]) -> int:
    """Run a command with the teller that was asked for; returns its exit code, and lets its error go on."""
    teller = _teller(how.format)(how)
    teller.begin()
    try:
        code = command(teller)
    except FleetError as error:
        teller.failed(error)
        teller.ended(error.exit_code)
        raise
    teller.ended(code)
    return code


def _teller(format_: Format) -> type[Teller]:
    if format_ == "github":
        from fleet.telling_github import GitHubTeller

        return GitHubTeller
    return {"text": Teller, "markdown": MarkdownTeller, "json": EventTeller}[format_]


def question_of(
    options: argparse.Namespace, workshop: Workshop, state: State | None, reviewed: Reviewed | None = None
) -> Question:
    """What the command line asks for, with what the fleet knows of its past (which providers are told as well)."""
    if state is not None:
        workshop.remember(state)
    return Question(
        today=datetime.now().astimezone().date(),
        selection=Selection(selectors(options.target, "-target"), selectors(options.exclude, "-exclude")),
        refresh=options.refresh,
        owned=_owned(workshop, state),
        digests=_digests(state),
        reviewed=reviewed.tracks if reviewed else {},
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
        if address.provider in reachable:
            spec = workshop.spec_type(address).model_validate_json(json.dumps(thing.current))
            if spec.is_owned_by(workshop.fleet.name):
                owned[address] = spec
    return owned
