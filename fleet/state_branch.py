"""How state, journal and lease lie on a branch: pretty JSON that people read, and a README that says what it is.

    README.md              what this branch is
    state.json             the state, with the journal of all runs that have ended folded in
    journal/000001.json    what has been written down since, a list of entries for each commit
    lease.json             who is writing now; not there when nobody is

Pure: bytes in, data out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from fleet.branch import Branch
from fleet.errors import FleetError
from fleet.journal import Entry, GroupBegan, GroupDone, GroupFailed, RunBegan, RunEnded, parse_lines, to_line
from fleet.model import Frozen
from fleet.runner import By
from fleet.state import FORMAT_VERSION, State, fold

README, STATE, LEASE, JOURNAL = "README.md", "state.json", "lease.json", "journal/"

README_TEXT = """\
# The state of the fleet {fleet}

`fleet` keeps this branch; it shares no history with the others and is never merged. Nobody needs to edit it.

- `state.json`: what fleet made, what stood there before, and the last runs.
- `journal/`: what the run that is under way, or that was killed, has written down.
- `lease.json`: which run is writing now, and until when; it is not there when nobody is.

Deleting the branch loses no resource: only the history, and the knowledge of what has left the fleet file since.
"""

SHOWN = 20
"""How many groups a commit message names."""


class Lease(Frozen):
    """The right to write, as a run holds it: until when on the code host's clock, and how often it has written."""

    run: str
    owner: str
    by: By | None = None
    taken: str
    expires: str
    writes: int = 0

    def is_over(self, at: float, by: By | None) -> bool:
        """Whether somebody else may take it at a moment (seconds since 1970): it has expired, or the CI run that held
        it is started again, which it can only be when it has ended."""
        again = by is not None and self.by is not None and by.url == self.by.url and by.attempt > self.by.attempt
        return again or at > datetime.fromisoformat(self.expires).timestamp()

    def __str__(self) -> str:
        return f"run {self.run} ({self.owner}{f', {self.by.url}' if self.by else ''})"


@dataclass(frozen=True, slots=True)
class Place:
    """A branch of a repository."""

    repository: str
    branch: str

    def __str__(self) -> str:
        return f"{self.branch} of {self.repository}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a branch holds: the state with the journal folded in, the journal's files, and the lease."""

    state: State
    journal: tuple[str, ...] = ()
    lease: Lease | None = None


def moment(at: float) -> str:
    """A moment for people and for JSON, rounded up to a second."""
    return datetime.fromtimestamp(int(at) + (at > int(at)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(branch: Branch, place: Place, fleet: str) -> Kept:
    """What a branch holds for a fleet; raises FleetError for one that holds something else, or damaged state."""
    if not branch.head:
        return Kept(State(fleet=fleet))
    state = _state(branch.contents, place)
    if state.fleet != fleet:
        raise FleetError(
            f"{place} holds the state of the fleet {state.fleet!r}, not of {fleet!r}: give each fleet a branch of its "
            "own under `state:` (a fleet's `name:` is its ownership marker and does not change)"
        )
    names = tuple(sorted(path for path in branch.contents if path.startswith(JOURNAL)))
    try:
        for name in names:
            state = fold(state, parse(branch.contents[name]))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(name, place, str(error)) from None
    return Kept(state, names, lease_of(branch, place))


def _state(contents: Mapping[str, bytes], place: Place) -> State:
    if STATE not in contents:
        listed = ", ".join(sorted(contents)[:3]) or "nothing"
        raise FleetError(
            f"{place} holds something else than fleet's state ({listed}, and no {STATE}): name another branch under "
            "`state:`, as {git: {branch: NAME}}"
        )
    try:
        document = json.loads(contents[STATE])
        version = document["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise FleetError(f"{STATE} in {place} was written by a newer fleet (format {version}); use that one")
        return State.model_validate(document)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise _damaged(STATE, place, str(error).partition("\n")[0]) from None


def lease_of(branch: Branch, place: Place) -> Lease | None:
    """Who holds the lease; raises FleetError where that cannot be read."""
    if LEASE not in branch.contents:
        return None
    try:
        lease = Lease.model_validate_json(branch.contents[LEASE])
        datetime.fromisoformat(lease.expires)
    except ValueError as error:
        raise _damaged(LEASE, place, str(error).partition("\n")[0]) from None
    return lease


def _damaged(name: str, place: Place, what: str) -> FleetError:
    return FleetError(
        f"{name} in {place} is damaged: {what}. Undo what was done to it there, or delete the branch and run again: no "
        "resource is lost by that, only the history and the knowledge of what has since left the file"
    )


def parse(data: bytes) -> Iterable[Entry]:
    """The entries of one file of the journal; raises ValueError where it is damaged."""
    document = json.loads(data)
    if not isinstance(document, list):
        raise ValueError("it is no list of entries")
    return parse_lines(b"".join(json.dumps(entry).encode() + b"\n" for entry in document))


def journal_file(number: int, entries: Iterable[Entry]) -> tuple[str, bytes]:
    """A file of the journal: its path and its content."""
    return f"{JOURNAL}{number:06}.json", _pretty([json.loads(to_line(entry)) for entry in entries])


def state_file(state: State) -> bytes:
    """The state, for people too."""
    return _pretty(state.model_copy(update={"journal_offset": 0}).model_dump(mode="json"))


def lease_file(lease: Lease) -> bytes:
    """The lease, for people too."""
    return _pretty(lease.model_dump(mode="json", exclude_none=True))


def _pretty(document: object) -> bytes:
    return json.dumps(document, indent=1, sort_keys=isinstance(document, dict), ensure_ascii=False).encode() + b"\n"


def message(headline: str, entries: Sequence[Entry], by: By | None) -> str:
    """A commit message: what happened in one line, then each group, then the run it happened in."""
    told = [text for text in map(_told, entries) if text]
    if len(told) > SHOWN:
        told = [*told[:SHOWN], f"and {len(told) - SHOWN} more"]
    trailer = [f"{name}: {value}" for name, value in _trailers(by) if value]
    return "\n\n".join(part for part in (headline, "\n".join(told), "\n".join(trailer)) if part) + "\n"


def _trailers(by: By | None) -> list[tuple[str, str]]:
    return [("Run", by.url), ("Commit", by.commit), ("Actor", by.actor)] if by else []


def headline(run: str, entries: Sequence[Entry]) -> str:
    """What entries come to, in one line."""
    ended = next((entry.exit_code for entry in entries if isinstance(entry, RunEnded)), None)
    counts = {
        "begun": sum(isinstance(entry, GroupBegan) for entry in entries),
        "done": sum(isinstance(entry, GroupDone) for entry in entries),
        "failed": sum(isinstance(entry, GroupFailed) for entry in entries),
    }
    told = [f"{number} {what}" for what, number in counts.items() if number]
    told += [f"ended with exit code {ended}"] if ended is not None else []
    return f"{run}: {', '.join(told) or 'goes on'}"


def _told(entry: Entry) -> str:
    match entry:
        case RunBegan():
            return f"began: plan {entry.plan[:12]}, {entry.user} on {entry.host}"
        case GroupBegan():
            return f"begun: {entry.group}"
        case GroupDone():
            return f"{'found done' if entry.found else 'done'}: {entry.group}"
        case GroupFailed():
            return f"failed: {entry.group}: {entry.error}"
        case _:
            return ""
