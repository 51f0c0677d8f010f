"""State, journal and lease on a branch of the fleet repository, for runs that start with an empty disk.

Every write is a compare-and-swap of the branch's head, through the code host. What a run writes down before it writes
to a service is on the branch before it does; all else goes there with the next commit. `fleet.state_branch` says how
it lies there.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from fleet.errors import Conflict, FleetError, Unsure
from fleet.group_commit import GroupCommit, Rhythm
from fleet.journal import Entry
from fleet.pace import Pace
from fleet.provider import CodeHost
from fleet.runner import By
from fleet.state import State, fold
from fleet.state_branch import (
    JOURNAL,
    LEASE,
    README,
    README_TEXT,
    STATE,
    Kept,
    Lease,
    Place,
    headline,
    journal_file,
    lease_file,
    lease_of,
    message,
    read,
    state_file,
)
from fleet.tenure import RACES, Applicant, Desk, Tenure, Terms, await_turn, elapsed

AHEAD = 128
"""Groups of one provider that may be written down as begun before their turn comes, so that one commit holds many."""


@dataclass(slots=True)
class _Held:
    """What a run that holds the lease knows: the state it found, all entries since, the journal's files,
    and whether a write has failed, so that it may be there or not."""

    tenure: Tenure
    base: State
    files: list[str]
    by: By | None
    entries: list[Entry] = field(default_factory=list)
    commits: GroupCommit | None = None
    is_unsure: bool = False


class GitStore:
    """State, journal and lease on one branch. `pace` is for its own requests, which a run's budget does not end."""

    ahead = AHEAD

    def __init__(
        self,
        host: CodeHost,
        place: Place,
        fleet: str,
        pace: Pace,
        terms: Terms | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        self.place = place
        self.fleet = fleet
        self._desk = Desk(host, place, pace, terms or Terms())
        self._rhythm = rhythm or Rhythm()
        self._held: _Held | None = None
        self._adding = threading.Lock()

    def load(self) -> State:
        """The state as of now, the journal's newest entries folded in; raises FleetError when a file is damaged."""
        if self._held is None:
            return read(self._desk.read(), self.place, self.fleet).state
        with self._adding:
            return fold(self._held.base, self._held.entries)

    def append(self, entry: Entry) -> None:
        """Add one entry to the journal; it is on the branch some time later, and when the lock is given back."""
        with self._adding:
            held, commits = self._holding()
            held.entries.append(entry)
            commits.add(entry)

    def keep(self, entry: Entry) -> Future[None]:
        """Add one entry to the journal; the result is there when it is on the branch, with all entries before it."""
        with self._adding:
            held, commits = self._holding()
            held.entries.append(entry)
            return commits.keep(entry)

    def save(self, state: State) -> None:
        """Make `state` the snapshot, when the lock is given back: one commit does both."""

    @contextlib.contextmanager
    def lock(self, run: str, pace: Pace, timeout: float = 0.0, by: By | None = None) -> Iterator[str | None]:
        """Hold the lease; yields a note when it was taken over. Raises Locked after `timeout` seconds.

        While it is held every request of `pace` asks first whether it still is.
        """
        applicant = Applicant(run, f"{_user()} on {socket.gethostname()}", by)
        held, left = self._take(applicant, pace, timeout)
        self._held = held
        held.commits = GroupCommit(self._write, self._rhythm)
        before, pace.guard = pace.guard, held.tenure.check
        try:
            yield f"took over from {left}, which ended without giving its lease back" if left else None
        except BaseException:
            with contextlib.suppress(FleetError):  # what ended the run says more
                self._give_back(held)
            raise
        else:
            self._give_back(held)
        finally:
            pace.guard = before

    def break_lease(self, run: str) -> None:
        """Take the lease from a run that is known to be dead; raises FleetError where that run does not hold it."""
        for _ in range(RACES):
            branch = self._desk.read()
            held = lease_of(branch, self.place)
            if held is None:
                raise FleetError(f"nobody holds the lease on {self.place}")
            if held.run != run:
                raise FleetError(f"the lease on {self.place} is that of {held}, not of run {run}")
            with contextlib.suppress(Conflict, Unsure):
                self._desk.swap(branch.head, {LEASE: None}, f"{run}: its lease is taken away by {_user()}\n")
                return
        raise FleetError(f"{self.place} moves all the time: is that run alive?")

    def _holding(self) -> tuple[_Held, GroupCommit]:
        assert self._held is not None, "the journal is written under the lock"
        assert self._held.commits is not None
        return self._held, self._held.commits

    def _take(self, applicant: Applicant, pace: Pace, timeout: float) -> tuple[_Held, Lease | None]:
        while True:
            branch, left = await_turn(self._desk, applicant, pace, timeout)
            kept = read(branch, self.place, self.fleet)
            lease = applicant.lease(branch.at, self._desk.terms)
            contents: dict[str, bytes | None] = {LEASE: lease_file(lease)}
            if README not in branch.contents:
                contents[README] = README_TEXT.format(fleet=self.fleet).encode()
            if not branch.head or (kept.state.journal_offset and not kept.journal):  # new, or moved here from a folder
                contents[STATE] = state_file(kept.state)
            what = f"takes the lease over from {left.run}" if left else "takes the lease"
            asked = elapsed()
            try:
                swapped = self._desk.swap(branch.head, contents, message(f"{applicant.run}: {what}", (), applicant.by))
                head, at = swapped.head, swapped.at
            except (Conflict, Unsure):
                now = self._desk.read()
                if now.contents.get(LEASE) != contents[LEASE]:
                    continue
                head, at = now.head, now.at
            return _held(Tenure(self._desk, lease, head, at, asked), kept, applicant.by), left

    def _write(self, entries: Sequence[Entry]) -> None:
        """One commit of some entries, or of the lease alone."""
        held = self._held
        assert held is not None, "the thread that calls this ends before the lock is given back"
        contents: dict[str, bytes | None] = {}
        if entries:
            number = int(held.files[-1].rpartition("/")[2].partition(".")[0]) + 1 if held.files else 1
            name, contents[name] = journal_file(number, entries)
        held.is_unsure = True
        held.tenure.write(contents, message(headline(held.tenure.lease.run, entries), entries, held.by))
        held.is_unsure = False
        held.files.extend(contents)

    def _give_back(self, held: _Held) -> None:
        assert held.commits is not None
        rest = held.commits.stop()
        self._held = None
        if held.tenure.lost is not None:
            raise held.tenure.lost
        if held.is_unsure:  # what the write that failed has left of the journal goes too
            held.files = [path for path in held.tenure.look().contents if path.startswith(JOURNAL)]
        contents: dict[str, bytes | None] = {}
        if held.files or rest:
            contents = {STATE: state_file(fold(held.base, held.entries)), **dict.fromkeys(held.files)}
        run = held.tenure.lease.run
        what = headline(run, rest) if rest else f"{run}: ended"
        held.tenure.release(contents, message(what, rest, held.by))


def _held(tenure: Tenure, kept: Kept, by: By | None) -> _Held:
    return _Held(tenure, kept.state, list(kept.journal), by)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"
