"""State: history and bookkeeping, folded from the journal. Losing it loses no resource.

It holds what the world cannot tell: which addresses fleet owns (to see what left the file), what stood at each
address before fleet's last write, what a killed run had begun, which of an identity's credentials was stored last, and
whose older credential is still to be revoked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from fleet.journal import Entry, GroupBegan, GroupDone, GroupFailed, GroupProposed, Intended, RunBegan, RunEnded, Step
from fleet.model import Frozen
from fleet.runner import By

FORMAT_VERSION = 1

RUNS_KEPT = 50

RETIREMENTS = "credentials:retirement:"
"""Begins the addresses of steps that revoke an identity's older credentials; the identity's address follows."""


REVOCATIONS = "credentials:standing:"
"""Begins the addresses of all credentials of an identity, which leave together; the identity's address follows."""


class Thing(Frozen):
    """What fleet last wrote at an address, what stood there before, when, under which plan, and what a tag meant."""

    current: dict[str, Any]
    previous: dict[str, Any] | None
    at: str
    plan: str
    digest: str | None = None
    receipt: dict[str, Any] | None = None


class Begun(Frozen):
    """A group that a run began and of which no end is known."""

    run: str
    provider: str
    steps: tuple[Step, ...]
    blobs: tuple[str, ...] = ()


class Waiting(Frozen):
    """A group that was written into a proposal: when it is merged it counts as written, with these receipts."""

    provider: str
    steps: tuple[Step, ...]
    url: str
    receipts: dict[str, dict[str, Any]]


class Run(Frozen):
    """One run: when it began, under which plan, by whom, and how it ended (None: it was killed)."""

    run: str
    began: str
    plan: str
    user: str
    exit_code: int | None = None
    by: By | None = None


class State(Frozen):
    """Everything the next run wants to know; `journal_offset` is how many bytes of the journal are folded in."""

    format_version: int = FORMAT_VERSION
    fleet: str
    things: dict[str, Thing] = Field(default_factory=dict)
    begun: dict[str, Begun] = Field(default_factory=dict)
    proposed: dict[str, Waiting] = Field(default_factory=dict)
    stored: dict[str, str] = Field(default_factory=dict)
    """Of each identity the credential that was stored last; empty where that is known to be gone."""
    retiring: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    journal_offset: int = 0


def fold(state: State, entries: Iterable[Entry]) -> State:
    """The state after these entries of the journal."""
    things, begun, runs = dict(state.things), dict(state.begun), list(state.runs)
    stored, retiring = dict(state.stored), dict.fromkeys(state.retiring)
    proposed = dict(state.proposed)
    for entry in entries:
        match entry:
            case RunBegan():
                runs.append(Run(run=entry.run, began=entry.at, plan=entry.plan, user=entry.user, by=entry.by))
            case GroupBegan():
                begun[entry.group] = Begun(run=entry.run, provider=entry.provider, steps=entry.steps)
            case Intended():
                began = begun[entry.group]
                begun[entry.group] = began.model_copy(update={"blobs": (*began.blobs, *entry.blobs)})
            case GroupProposed():
                of_group = begun.pop(entry.group)
                proposed[entry.group] = Waiting(
                    provider=of_group.provider, steps=of_group.steps, url=entry.url, receipts=entry.receipts
                )
            case GroupDone():
                begun.pop(entry.group, None)
                proposed.pop(entry.group, None)
                for step in entry.steps:
                    _settle(things, step, entry)
                    _settle_credentials(stored, retiring, step)
                stored.update(entry.stored)
                retiring.update(dict.fromkeys(entry.retiring))
            case GroupFailed():
                if not entry.open:
                    begun.pop(entry.group, None)
            case RunEnded():
                runs = [
                    run.model_copy(update={"exit_code": entry.exit_code}) if run.run == entry.run else run
                    for run in runs
                ]
    runs = runs[-RUNS_KEPT:]
    found = {"things": things, "begun": begun, "proposed": proposed, "stored": stored, "retiring": tuple(retiring)}
    return state.model_copy(update={**found, "runs": tuple(runs)})


def _settle(things: dict[str, Thing], step: Step, entry: GroupDone) -> None:
    if step.after is None:
        things.pop(step.address, None)
    else:
        things[step.address] = Thing(
            current=step.after,
            previous=step.before,
            at=entry.at,
            plan=entry.plan,
            digest=step.digest,
            receipt=entry.receipts.get(step.address) or _receipt(things, step.address),
        )


def _settle_credentials(stored: dict[str, str], retiring: dict[str, None], step: Step) -> None:
    """An identity that is gone, or made anew, has none of its credentials."""
    if step.after is None:
        stored.pop(step.address, None)
        retiring.pop(step.address, None)
    elif step.before is None and step.address in stored:
        stored[step.address] = ""
    if step.address.startswith(REVOCATIONS):
        source = step.address.removeprefix(REVOCATIONS)
        stored[source] = ""
        retiring.pop(source, None)
    if step.address.startswith(RETIREMENTS):
        retiring.pop(step.address.removeprefix(RETIREMENTS), None)


def _receipt(things: dict[str, Thing], address: str) -> dict[str, Any] | None:
    """What was found done keeps the receipt of when it was written."""
    return things[address].receipt if address in things else None
