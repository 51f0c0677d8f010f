"""One run of apply: the lock, what a killed run left, the journal, and the state afterwards.

A little longer than most modules, because what is written down and when is one thing to read.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fleet import __version__
from fleet.apply import Forbidden, Group, Outcome, Recorder, Result, Services, Status, carry_out
from fleet.builds import known
from fleet.errors import FleetError, Locked, OutOfBudget
from fleet.journal import (
    Entry,
    GroupBegan,
    GroupDone,
    GroupFailed,
    GroupProposed,
    Intended,
    RunBegan,
    RunEnded,
    Step,
)
from fleet.model import Address, Change, Spec
from fleet.plan import Plan
from fleet.proposal_text import describe
from fleet.provider import Provider
from fleet.reference import ImageReference, split_host
from fleet.resolution import resolve
from fleet.retirement import source_of
from fleet.runner import By, runner_of
from fleet.services import Workshop
from fleet.state import State
from fleet.store import Store
from fleet.world import is_done


def now() -> str:
    """This moment, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Run:
    """A run that holds the lock. `notes` is what a person should know of how it began, `begun` what a killed run was
    writing at each address and did not finish, `unsettled` its groups of which nobody could say what became of them,
    `by` the CI run that it is part of."""

    id: str
    store: Store
    workshop: Workshop
    state: State
    notes: list[str] = field(default_factory=list)
    begun: dict[Address, Spec | None] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)
    by: By | None = None

    def write_down(self, entry: Entry) -> None:
        """Add an entry to the journal."""
        self.store.append(self._signed(entry))

    def announce(self, entry: Entry) -> Future[None]:
        """Add an entry to the journal that must be kept before what it announces is done."""
        return self.store.keep(self._signed(entry))

    def intend(self, group: str, blobs: Collection[str]) -> None:
        """Write down what a group is about to write to a repository, and see it kept."""
        self.announce(Intended(run=self.id, at=now(), group=group, blobs=tuple(blobs))).result()

    def _signed(self, entry: Entry) -> Entry:
        return entry.model_copy(update={"by": self.by}) if self.by else entry


@contextlib.contextmanager
def open_run(store: Store, workshop: Workshop, lock_timeout: float) -> Iterator[Run]:
    """Take the lock and settle what a killed run left; raises Locked when somebody else is writing."""
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    by = runner_of(os.environ).by
    with store.lock(run_id, workshop.pace, lock_timeout, by) as note:
        run = Run(run_id, store, workshop, store.load(), [note] if note else [], by=by)
        workshop.intend = run.intend
        workshop.describe = partial(describe, workshop)
        workshop.remember(run.state)
        workshop.unfinished = [blob for begun in run.state.begun.values() for blob in begun.blobs]
        for provider in dict.fromkeys(begun.provider for begun in run.state.begun.values()):
            _settle(run, provider)
        for provider in dict.fromkeys(waiting.provider for waiting in run.state.proposed.values()):
            _see_what_was_merged(run, provider)
        yield run


def _settle(run: Run, name: str) -> None:
    """Finish the record of a provider's groups whose end is not known, with one read for all of them.

    One that is not written stays open, for this run to resume. A service that does not answer now leaves its groups
    open, and holds nothing else up.
    """
    groups = {group: begun for group, begun in run.state.begun.items() if begun.provider == name}
    is_reached = False
    try:
        provider = run.workshop[name]
        is_reached = True
        changes = {group: [_change(run.workshop, step) for step in begun.steps] for group, begun in groups.items()}
        run.workshop.wanted.update(_wanted(change for group in changes.values() for change in group))
        blobs = {group: begun.blobs for group, begun in groups.items()}
        found = run.workshop.pace.repeat(provider.limits, lambda: _settled(provider, changes, blobs))
    except (OutOfBudget, Locked):
        raise
    except FleetError as error:
        run.notes.extend(
            f"{group}: an earlier run did not finish this, and what became of it: {error}" for group in groups
        )
        run.unsettled.update(groups if is_reached else ())
        return
    for group, begun in groups.items():
        if all(is_done(found, change) for change in changes[group]):
            run.write_down(GroupDone(run=run.id, at=now(), group=group, plan="", steps=begun.steps, found=True))
            run.notes.append(f"{group}: an earlier run did not finish this; it is done now")
        else:
            run.begun |= {change.address: change.after for change in changes[group]}
    run.state = run.store.load()
    run.workshop.stored.update({Address.parse(source): key for source, key in run.state.stored.items()})


def _see_what_was_merged(run: Run, name: str) -> None:
    """Record a provider's groups that were proposed and stand there now as written, with one read for all of them.

    Nothing depends on it but what fleet says of the past: a service that does not answer now is asked next time.
    """
    groups = {group: waiting for group, waiting in run.state.proposed.items() if waiting.provider == name}
    try:
        provider = run.workshop[name]
        changes = {group: [_change(run.workshop, step) for step in waiting.steps] for group, waiting in groups.items()}
        wanted = _wanted(change for group in changes.values() for change in group)
        run.workshop.wanted.update(wanted)
        found = run.workshop.pace.repeat(provider.limits, lambda: provider.read(list(wanted)))
    except (OutOfBudget, Locked):
        raise
    except FleetError:
        return
    for group, waiting in groups.items():
        if all(is_done(found, change) for change in changes[group]):
            steps, receipts = waiting.steps, waiting.receipts
            done = GroupDone(run=run.id, at=now(), group=group, plan="", steps=steps, found=True, receipts=receipts)
            run.write_down(done)
            run.workshop.receipts.update({Address.parse(address): receipt for address, receipt in receipts.items()})
            run.state = run.store.load()


def _settled(
    provider: Provider, changes: Mapping[str, Sequence[Change]], blobs: Mapping[str, Collection[str]]
) -> Mapping[Address, Spec]:
    """Clear away what earlier runs left half done, and read what stands there now."""
    for group, of_group in changes.items():
        provider.settle([change.address for change in of_group], blobs[group])
    return provider.read([change.address for of_group in changes.values() for change in of_group])


def close_what_is_no_longer_wanted(run: Run, plan: Plan) -> None:
    """End the record of groups that an earlier run left open and this whole plan does not want any more.

    Those that could not be looked at stay open, for the next run.
    """
    if plan.partial or plan.unread:
        return
    wanted = {change.group for change in plan.changes}
    for group, begun in run.store.load().begun.items():
        if begun.run != run.id and group not in wanted and group not in run.unsettled:
            run.write_down(
                GroupFailed(run=run.id, at=now(), group=group, error="not planned any more; left as it stands")
            )


def _change(workshop: Workshop, step: Step) -> Change:
    address = Address.parse(step.address)

    def spec(side: dict[str, Any] | None) -> Spec | None:
        return None if side is None else workshop.spec_type(address).model_validate_json(json.dumps(side))

    return Change(address, spec(step.before), spec(step.after), removal=step.removal)


def apply_plan(run: Run, plan: Plan, watcher: Recorder) -> Outcome:
    """Carry out a plan under the lock, with journal and state."""
    run.workshop.blobs.update(plan.blobs)
    run.workshop.wanted.update(_wanted(plan.changes))
    forbidden = dict(_recheck(plan, run.workshop))
    run.write_down(
        RunBegan(run=run.id, at=now(), plan=plan.hash, user=_user(), host=socket.gethostname(), version=__version__)
    )
    recorder = _Journalist(run, plan, watcher)
    receipts, hubs = run.workshop.receipts, run.workshop.fleet.hubs
    services = Services(
        run.workshop,
        run.workshop.pace,
        run.begun,
        forbidden,
        run.workshop.stored,
        retired_later=frozenset(filter(None, map(source_of, plan.changes))),
        known=lambda change: known(change, receipts.get, hubs),
        announce=recorder.announce,
        ahead=run.store.ahead,
    )
    outcome = carry_out(plan, services, recorder)
    close_what_is_no_longer_wanted(run, plan)
    run.write_down(RunEnded(run=run.id, at=now(), exit_code=outcome.exit_code))
    run.store.save(run.store.load())
    return outcome


def _wanted(changes: Iterable[Change]) -> dict[Address, Spec]:
    return {change.address: change.after for change in changes if change.after is not None}


def _recheck(plan: Plan, workshop: Workshop) -> Iterator[tuple[Address, Forbidden]]:
    """The sites whose new tag is gone, or means another image than it did when the plan was made."""
    frozen = {address: ImageReference(found.image, found.tag) for address, found in plan.resolutions.items()}
    resolved = resolve(list(dict.fromkeys(frozen.values())), workshop.registry_at, workshop.pace)
    for address, reference in frozen.items():
        digest, planned = resolved.digests.get(reference), plan.resolutions[address].digest
        if digest == planned:
            continue
        if split_host(reference.name)[0] in resolved.unreachable:
            yield address, Forbidden(Status.FAILED, str(resolved.trouble(reference)))
        elif digest is None:
            yield (
                address,
                Forbidden(Status.STALE, f"{resolved.trouble(reference)}; it was there when the plan was made"),
            )
        else:
            yield address, Forbidden(Status.STALE, f"{reference} was pushed again: planned as {planned}, now {digest}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"


@dataclass(frozen=True, slots=True)
class _Journalist:
    """Writes each group's beginning and end into the journal, then tells the watcher."""

    run: Run
    plan: Plan
    watcher: Recorder
    announced: set[str] = field(default_factory=set)
    """The groups that the journal says are begun, and that wait for their turn."""

    def announce(self, group: Group) -> Future[None]:
        steps = self._steps(group)
        self.announced.add(group.key)
        return self.run.announce(
            GroupBegan(run=self.run.id, at=now(), group=group.key, provider=group.provider, steps=steps)
        )

    def began(self, group: Group) -> None:
        self.announced.discard(group.key)
        self.run.workshop.begun |= {change.address for change in group.changes}
        self.watcher.began(group)

    def ended(self, result: Result) -> None:
        group, run = result.group, self.run
        if result.status in (Status.DONE, Status.FOUND):
            steps = self._steps(group)
            found = result.status is Status.FOUND
            run.write_down(
                GroupDone(
                    run=run.id,
                    at=now(),
                    group=group.key,
                    plan=self.plan.hash,
                    steps=steps,
                    found=found,
                    receipts={str(address): dict(receipt) for address, receipt in result.receipts.items()},
                    stored={str(address): key for address, key in result.stored.items()},
                    retiring=tuple(map(str, result.retiring)),
                )
            )
            run.workshop.receipts.update(result.receipts)
            run.workshop.stored.update(result.stored)
            run.workshop.begun -= {change.address for change in group.changes}
        elif result.status is Status.PROPOSED:
            receipts = {str(address): dict(receipt) for address, receipt in result.receipts.items()}
            run.write_down(GroupProposed(run=run.id, at=now(), group=group.key, url=result.why, receipts=receipts))
            run.workshop.begun -= {change.address for change in group.changes}
        elif result.status in (Status.FAILED, Status.STALE):
            may_be_half_written = result.status is Status.FAILED
            run.write_down(
                GroupFailed(run=run.id, at=now(), group=group.key, error=result.why, open=may_be_half_written)
            )
        elif group.key in self.announced:
            was_open = any(change.address in run.begun for change in group.changes)
            why = result.why or "its turn did not come"
            run.write_down(GroupFailed(run=run.id, at=now(), group=group.key, error=why, open=was_open))
        self.watcher.ended(result)

    def _steps(self, group: Group) -> tuple[Step, ...]:
        resolutions = self.plan.resolutions
        return tuple(
            Step.of(change, resolutions[change.address].digest if change.address in resolutions else None)
            for change in group.changes
        )
