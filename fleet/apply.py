"""Carries out a plan: groups in dependency order, at once where they may be, each within its provider's limits.

One failure is one failure: it stops the groups that need it and no others. Everything is re-read in bulk first, so
that what is done already is found done, and what has moved since the plan was made is left alone.

Longer than most modules, because the way of a group from ready to ended is one thing to read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any, NamedTuple, Protocol

from fleet.errors import ExitCode, FleetError, Locked, OutOfBudget, Stale, TryAgain, Unsure
from fleet.issuing import Issuing
from fleet.model import Address, Change, Spec
from fleet.pace import Pace
from fleet.plan import Plan
from fleet.proposal import Proposed
from fleet.provider import Provider, Receipts
from fleet.world import Providers, is_at, is_done, read_all

AT_ONCE = 32
"""Groups that are written at once over all providers; each provider's own limit is below it."""


class Status(StrEnum):
    """How a group ended."""

    DONE = "done"
    FOUND = "found done"
    PROPOSED = "proposed"
    FAILED = "failed"
    STALE = "stale"
    SKIPPED = "not attempted"


WRITTEN = (Status.DONE, Status.PROPOSED)
"""The ends after which the world is another than before."""


@dataclass(frozen=True, slots=True)
class Group:
    """The changes that are one write, and the groups that must be done before it."""

    key: str
    provider: str
    changes: tuple[Change, ...]
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """How one group ended, and why where it did not end well, or where it is proposed; `stored` names each issued
    credential that it stored."""

    group: Group
    status: Status
    why: str = ""
    receipts: Receipts = field(default_factory=dict)
    stored: Mapping[Address, str] = field(default_factory=dict)
    retiring: tuple[Address, ...] = ()


class Written(NamedTuple):
    """What comes of writing a group: the provider's receipts, the credentials that were issued for it by source, the
    sources whose older credential is left for another step, and where the group is proposed if it is not written."""

    receipts: Receipts
    stored: Mapping[Address, str]
    retiring: tuple[Address, ...]
    proposed_in: str = ""


class Forbidden(NamedTuple):
    """Why a change is not made: what was reviewed no longer holds (STALE), or whether it does is not known (FAILED)."""

    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: every group's result, in the order of the plan, and what stopped it early, if anything did."""

    results: tuple[Result, ...]
    stopped: str = ""
    interrupted: bool = False
    stop_code: ExitCode = ExitCode.BUDGET
    """What the run would end with if what stopped it were all there is to say."""

    def of(self, *statuses: Status) -> list[Result]:
        """The results with one of these statuses."""
        return [result for result in self.results if result.status in statuses]

    @property
    def exit_code(self) -> ExitCode:
        """The documented exit code; when several would fit, the one that says most about the world."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.stopped and self.stop_code is ExitCode.LOCKED:
            return ExitCode.LOCKED
        if self.of(Status.FAILED):
            return ExitCode.PARTIAL if self.of(*WRITTEN) else ExitCode.ERROR
        if self.of(Status.STALE):
            return ExitCode.STALE
        if not self.stopped:
            return ExitCode.OK
        return ExitCode.PARTIAL if self.stop_code is ExitCode.ERROR and self.of(*WRITTEN) else self.stop_code


class Recorder(Protocol):
    """Is told of each group before it is written and when it has ended; what it writes down outlives a kill."""

    def began(self, group: Group) -> None:
        """The group is about to be written."""
        ...

    def ended(self, result: Result) -> None:
        """The group has ended."""
        ...


def _announced(group: Group) -> Future[None]:
    """Nobody writes anything down."""
    done: Future[None] = Future()
    done.set_result(None)
    return done


@dataclass(frozen=True, slots=True)
class Services:
    """What a plan is carried out with: the providers by name, the pace of the run, what a killed run had begun (each
    address with what it was to become), which changes may no longer be made, with the reason, the credential that was
    stored last of each identity, of which identities a step of the plan revokes the older one, and what makes of a
    change the one that it is known to be when it is written.

    `announce` writes a group down before it is written; the group begins when the result is there. `ahead` says how
    many groups of a provider may be announced beyond those that it takes at once.
    """

    providers: Providers
    pace: Pace
    begun: Mapping[Address, Spec | None] = field(default_factory=dict)
    forbidden: Mapping[Address, Forbidden] = field(default_factory=dict)
    stored: Mapping[Address, str] = field(default_factory=dict)
    retired_later: Collection[Address] = ()
    known: Callable[[Change], Change] = lambda change: change
    announce: Callable[[Group], Future[None]] = _announced
    ahead: int = 0


def grouped(changes: Iterable[Change]) -> dict[str, Group]:
    """The groups of a plan in its order, with the order among them; removals run the other way round."""
    members: dict[str, list[Change]] = {}
    home: dict[Address, str] = {}
    for change in changes:
        members.setdefault(change.group, []).append(change)
        home[change.address] = change.group
    removed = {change.address for group in members.values() for change in group if change.after is None}
    needs: dict[str, set[str]] = {key: set() for key in members}
    for key, group in members.items():
        for change in group:
            for address in change.needs:
                other = home.get(address, key)
                if other == key:
                    continue
                if change.address in removed and address in removed:
                    needs[other].add(key)
                else:
                    needs[key].add(other)
    return {
        key: Group(key, group[0].address.provider, tuple(group), frozenset(needs[key]))
        for key, group in members.items()
    }


def carry_out(plan: Plan, services: Services, recorder: Recorder) -> Outcome:
    """Carry out a plan, telling the recorder (from this thread) of each group's beginning and end."""
    groups = grouped(plan.changes)
    try:
        decided = dict(_decide(groups, services))
    except (OutOfBudget, Locked) as error:
        skipped = tuple(Result(group, Status.SKIPPED) for group in groups.values())
        return Outcome(skipped, str(error), stop_code=error.exit_code)
    run = _Run(groups, services, recorder)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fleet") as pool:
        run.work(pool, decided)
    results = tuple(run.results[key] for key in groups)
    return Outcome(results, run.stopped, services.pace.stop.is_set(), run.stop_code)


def _decide(groups: Mapping[str, Group], services: Services) -> Iterator[tuple[str, Result | None]]:
    """For each group: None where it is to be written, else the result that it has without a write."""
    addresses = [change.address for group in groups.values() for change in group.changes]
    found = read_all(addresses, services.providers, services.pace)
    for key, group in groups.items():
        trouble = found.get(group.provider)
        if isinstance(trouble, FleetError):
            yield key, Result(group, Status.FAILED, str(trouble))
            continue
        world: Mapping[Address, Spec] = trouble if isinstance(trouble, Mapping) else {}
        yield key, _settled(group, world, services)


def _settled(group: Group, world: Mapping[Address, Spec], services: Services) -> Result | None:
    begun = services.begun
    if all(_is_done(world, change, services) for change in group.changes):
        return Result(group, Status.FOUND)
    for change in group.changes:
        if change.address in services.forbidden:
            return Result(group, *services.forbidden[change.address])
        was_ours = change.address in begun and begun[change.address] == change.after
        if not (was_ours or is_at(world, change.address, change.before) or is_done(world, change)):
            return Result(group, Status.STALE, f"{change.address} is no longer what the plan found there")
    return None


def _is_done(world: Mapping[Address, Spec], change: Change, services: Services) -> bool:
    """Of a credential that is to be replaced only the journal tells whether it was: the world looks the same."""
    if change.rotates is not None:
        return services.stored.get(change.rotates.source) not in (None, change.rotates.key)
    return is_done(world, change)


class _Run:
    """The groups of one run, on their way: ready, announced, at their turn, running, ended. All of it happens in one
    thread but the writes."""

    def __init__(self, groups: Mapping[str, Group], services: Services, recorder: Recorder) -> None:
        self.groups = groups
        self.services = services
        self.recorder = recorder
        self.results: dict[str, Result] = {}
        self.stopped = ""
        self.stop_code = ExitCode.BUDGET
        self._order = TopologicalSorter({key: group.needs for key, group in groups.items()})
        self._order.prepare()
        self._ready: list[str] = []
        self._announced: dict[Future[Any], str] = {}
        self._turn: list[str] = []
        self._running: dict[Future[Any], str] = {}

    def work(self, pool: ThreadPoolExecutor, decided: Mapping[str, Result | None]) -> None:
        """Go through all groups."""
        while self._order.is_active():
            self._ready.extend(self._order.get_ready())
            self._start_what_may_start(pool)
            self._announce_what_may_be(decided)
            waited_for = [*self._announced, *self._running]
            if waited_for:
                ended, _ = wait(waited_for, return_when=FIRST_COMPLETED)
                for future in ended:
                    if future in self._running:
                        self._end(self._running.pop(future), future)
                    else:
                        self._begin(self._announced.pop(future), future)

    def _announce_what_may_be(self, decided: Mapping[str, Result | None]) -> None:
        held_back: list[str] = []
        for key in self._ready:
            group = self.groups[key]
            settled = self._blocked(group) or decided[key] or self._stopping(group)
            if settled:
                self._finish(settled)
            elif self._room(group.provider, *self._running.values(), *self._turn, *self._announced.values()) > 0:
                self._announced[self.services.announce(group)] = key
            else:
                held_back.append(key)
        self._ready = held_back

    def _room(self, provider: str, *keys: str) -> int:
        limit = self.services.providers[provider].limits.at_once + self.services.ahead
        return limit - sum(self.groups[key].provider == provider for key in keys)

    def _begin(self, key: str, announced: Future[Any]) -> None:
        """A group is written down, so that it may be written when its turn comes."""
        error = announced.exception()
        if error is None:
            self._turn.append(key)
        elif isinstance(error, FleetError):
            self._stop(error)
            self._finish(Result(self.groups[key], Status.SKIPPED, str(error)))
        else:
            raise error

    def _start_what_may_start(self, pool: ThreadPoolExecutor) -> None:
        held_back: list[str] = []
        for key in self._turn:
            group = self.groups[key]
            settled = self._stopping(group)
            if settled:
                self._finish(settled)
            elif self._room(group.provider, *self._running.values()) > self.services.ahead:
                self.recorder.began(group)
                self._running[pool.submit(write_group, group, self.services)] = key
            else:
                held_back.append(key)
        self._turn = held_back

    def _stop(self, error: FleetError) -> None:
        if not self.stopped:
            self.stopped, self.stop_code = str(error), error.exit_code

    def _blocked(self, group: Group) -> Result | None:
        for key in sorted(group.needs):
            before = self.results[key]
            if before.status not in (Status.DONE, Status.FOUND):
                return Result(group, Status.SKIPPED, f"needs {key}, which is {before.status}")
        return None

    def _stopping(self, group: Group) -> Result | None:
        if self.services.pace.stop.is_set() and not self.stopped:
            self.stopped = "the run was asked to stop"
        self.stopped = self.stopped or self.services.pace.no_more
        try:
            self.services.pace.check()
            self.services.pace.guard()
        except (OutOfBudget, Locked) as error:
            self._stop(error)
        return Result(group, Status.SKIPPED, self.stopped) if self.stopped else None

    def _end(self, key: str, future: Future[Any]) -> None:
        group = self.groups[key]
        error = future.exception()
        if error is None:
            written = future.result()
            status = Status.PROPOSED if written.proposed_in else Status.DONE
            kept = (written.receipts, written.stored, written.retiring)
            self._finish(Result(group, status, written.proposed_in, *kept))
        elif isinstance(error, OutOfBudget | Locked):
            self._stop(error)
            self._finish(Result(group, Status.SKIPPED, str(error)))
        elif isinstance(error, Stale):
            self._finish(Result(group, Status.STALE, str(error)))
        elif isinstance(error, FleetError):
            self._finish(Result(group, Status.FAILED, str(error)))
        else:
            raise error

    def _finish(self, result: Result) -> None:
        self.results[result.group.key] = result
        self.recorder.ended(result)
        self._order.done(result.group.key)


def write_group(group: Group, services: Services) -> Written:
    """Write one group, repeating what fails in passing; an answer that was lost is looked up before it is repeated."""
    provider = services.providers[group.provider]
    group = replace(group, changes=tuple(services.known(change) for change in group.changes))
    issuing = Issuing(services.providers, services.stored, services.retired_later)

    def once() -> Receipts | Proposed:
        try:
            return provider.apply(group.changes, issuing.reveal) or {}
        except Unsure as error:
            if not _is_written(group, provider):
                raise TryAgain(str(error)) from error
            return {}

    came_to = services.pace.repeat(provider.limits, once)
    stored = issuing.settle(services.pace)
    if isinstance(came_to, Proposed):
        return Written(came_to.receipts, stored, issuing.retiring, came_to.url)
    return Written(came_to, stored, issuing.retiring)


def _is_written(group: Group, provider: Provider) -> bool:
    if any(change.rotates for change in group.changes):
        return False
    world = provider.read([change.address for change in group.changes])
    return all(is_done(world, change) for change in group.changes)
