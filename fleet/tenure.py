"""A lease while it is held: every write is a commit on the head that the last one left, and renews the lease.

Whoever else writes moves the head, so a holder that was superseded finds out by its next write, and before it writes
anything to a service: what is about to be written is put on the branch first. Between two of its writes a holder goes
by how long ago the last one was: durations only, for no two machines' clocks agree. The lease itself ends by the code
host's clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.branch import Branch, Swap, Swapped
from fleet.errors import Conflict, FleetError, Locked, Unsure
from fleet.pace import Pace
from fleet.provider import CodeHost
from fleet.runner import By
from fleet.state_branch import LEASE, Lease, Place, lease_file, lease_of, moment

RACES = 8
"""Times that somebody else may write to the branch (a README, say) while we do."""

POLL = 10.0
"""Seconds between two looks at a lease that somebody else holds: each is a request."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


def elapsed() -> float:
    """Seconds since some fixed moment."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a lease, in seconds: how long it lasts, and how long before its end its holder stops writing.

    A request of the holder's may be under way for the longest timeout of any provider, so `margin` is above that.
    """

    seconds: float = 300.0
    margin: float = 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """The branch and the way to it."""

    host: CodeHost
    place: Place
    pace: Pace
    terms: Terms

    def read(self) -> Branch:
        """All of the branch."""
        return self.pace.repeat(self.host.limits, lambda: self.host.branch(self.place.repository, self.place.branch))

    def swap(self, head: str, contents: Mapping[str, bytes | None], message: str) -> Swapped:
        """One commit on `head`; raises Conflict when the branch is elsewhere, Unsure when the answer was lost."""
        swap = Swap(self.place.repository, self.place.branch, head, contents, message)
        return self.pace.repeat(self.host.limits, lambda: self.host.swap(swap))


class Tenure:
    """A lease that is held. One thread at a time writes; any may `check`."""

    def __init__(self, desk: Desk, lease: Lease, head: str, at: float, asked: float) -> None:
        self.lease = lease
        self.lost: Locked | None = None
        self._desk = desk
        self._stands(head, at, asked)

    def _stands(self, head: str, at: float, asked: float) -> None:
        self._head, self._at, self._answered = head, at, elapsed()
        self._ends = asked + self._desk.terms.seconds - self._desk.terms.margin

    def check(self) -> None:
        """Raise Locked when the lease is another's by now, or may be."""
        if self.lost is not None:
            raise self.lost
        if elapsed() > self._ends:
            raise Locked(
                f"the lease on {self._desk.place} could not be renewed for so long that another run may take it; "
                "this run stops, and the next one goes on"
            )

    def write(self, contents: Mapping[str, bytes | None], message: str) -> None:
        """Commit, with the lease renewed; raises Locked when it is another's by now."""
        now = self._at + elapsed() - self._answered
        expires = moment(now + self._desk.terms.seconds)
        self.lease = self.lease.model_copy(update={"expires": expires, "writes": self.lease.writes + 1})
        self._commit({**contents, LEASE: lease_file(self.lease)}, message)

    def release(self, contents: Mapping[str, bytes | None], message: str) -> None:
        """Commit, and give the lease back; raises Locked when it is another's by now."""
        self._commit({**contents, LEASE: None}, message)

    def look(self) -> Branch:
        """Read the branch anew, and go on from its head; raises Locked when the lease is another's by now."""
        branch = self._desk.read()
        self._landed(branch, {LEASE: lease_file(self.lease)})
        self._head = branch.head
        return branch

    def _commit(self, contents: Mapping[str, bytes | None], message: str) -> None:
        if self.lost is not None:
            raise self.lost
        for _ in range(RACES):
            asked = elapsed()
            try:
                swapped = self._desk.swap(self._head, contents, message)
            except (Conflict, Unsure):
                branch = self._desk.read()
                if self._landed(branch, contents):
                    self._stands(branch.head, branch.at, asked)
                    return
                self._head = branch.head
            else:
                self._stands(swapped.head, swapped.at, asked)
                return
        raise FleetError(f"{self._desk.place} moved each of the {RACES} times that fleet wrote to it")

    def _landed(self, branch: Branch, contents: Mapping[str, bytes | None]) -> bool:
        """Whether a commit whose answer was lost, or that lost a race, is there; raises Locked for a lost lease."""
        holder = lease_of(branch, self._desk.place)
        if holder is not None and holder.run == self.lease.run:
            return branch.contents[LEASE] == contents[LEASE]
        if holder is None and all(branch.contents.get(path) == data for path, data in contents.items()):
            return True
        now = f"{holder} took it over" if holder else "somebody took it from this run (fleet force-unlock)"
        self.lost = Locked(
            f"this run lost its lease on {self._desk.place}: {now}. It stops before its next write; what it wrote is "
            "written, and the next run finds it so"
        )
        raise self.lost


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants the lease."""

    run: str
    owner: str
    by: By | None = None

    def lease(self, at: float, terms: Terms) -> Lease:
        """The lease from a moment on."""
        return Lease(run=self.run, owner=self.owner, by=self.by, taken=moment(at), expires=moment(at + terms.seconds))


def await_turn(desk: Desk, applicant: Applicant, pace: Pace, timeout: float) -> tuple[Branch, Lease | None]:
    """Read the branch until nobody holds a lease on it that is good; raises Locked after `timeout` seconds.

    The second part is the lease of a run that ended without giving it back.
    """
    waited = 0.0
    while True:
        branch = desk.read()
        held = lease_of(branch, desk.place)
        if held is None or held.is_over(branch.at, applicant.by):
            return branch, held
        if waited >= timeout:
            raise Locked(
                f"{held} holds the lease on {desk.place} until {held.expires}; wait for it with -lock-timeout=10m. If "
                f"that run is dead, the lease ends then by itself, or at once with: fleet force-unlock {held.run}"
            )
        pause = min(POLL, timeout - waited)
        pace.wait(pause, f"waiting for {held}")
        waited += pause
