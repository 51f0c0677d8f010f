"""What a run began and finished, one JSON line each: the record that a killed run leaves for the next one.

The world says what is; the journal only says what fleet was about to do and did. Each line is flushed to the disk
before the work it speaks of goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from fleet.model import Change, Frozen, Removal, canonical
from fleet.runner import By


class Step(Frozen):
    """One change as the journal keeps it: the address, and both sides as JSON."""

    address: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    removal: Removal | None = None
    digest: str | None = None

    @classmethod
    def of(cls, change: Change, digest: str | None = None) -> Step:
        """The journal's form of a change; `digest` is what a site's new tag means."""
        return cls(
            address=str(change.address),
            before=canonical(change.before),
            after=canonical(change.after),
            removal=change.removal,
            digest=digest,
        )


class _Written(Frozen):
    """What every entry says: the run, when, and on whose behalf where a CI system told."""

    run: str
    at: str
    by: By | None = None


class RunBegan(_Written):
    """A run took the lock and starts to write."""

    event: Literal["run-began"] = "run-began"
    plan: str
    user: str
    host: str
    version: str


class GroupBegan(_Written):
    """A group is about to be written."""

    event: Literal["group-began"] = "group-began"
    group: str
    provider: str
    steps: tuple[Step, ...]


class Intended(_Written):
    """The git blob ids of the file contents that a group is about to write to a repository."""

    event: Literal["intended"] = "intended"
    group: str
    blobs: tuple[str, ...]


class GroupDone(_Written):
    """A group is written; `found` when this run only found it so. `stored` names the credentials that it stored,
    `retiring` the identities whose older credential builds may still use."""

    event: Literal["group-done"] = "group-done"
    group: str
    plan: str
    steps: tuple[Step, ...]
    found: bool = False
    receipts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    stored: dict[str, str] = Field(default_factory=dict)
    retiring: tuple[str, ...] = ()


class GroupFailed(_Written):
    """A group did not end well. `open` says that something of it may be written, so that the next run goes on there."""

    event: Literal["group-failed"] = "group-failed"
    group: str
    error: str
    open: bool = False


class GroupProposed(_Written):
    """A group is written into a proposal, which a person has yet to merge; `receipts` count once that is done."""

    event: Literal["group-proposed"] = "group-proposed"
    group: str
    url: str
    receipts: dict[str, dict[str, Any]] = Field(default_factory=dict)


class RunEnded(_Written):
    """A run ended by itself, with this exit code."""

    event: Literal["run-ended"] = "run-ended"
    exit_code: int


Entry = RunBegan | GroupBegan | Intended | GroupDone | GroupProposed | GroupFailed | RunEnded


@cache
def _reader() -> TypeAdapter[Entry]:
    """What reads an entry back: made late, for making it takes longer than most runs take to read."""
    return TypeAdapter(Annotated[Entry, Field(discriminator="event")])


def to_line(entry: Entry) -> bytes:
    """One line for one entry, line end included."""
    return entry.model_dump_json(exclude=None if entry.by else {"by"}).encode() + b"\n"


def parse_lines(data: bytes, first_line: int = 1) -> Iterable[Entry]:
    """Read entries back; a last line without its end was cut off by a kill, never acted upon, and is left out.

    Raises ValueError, with the number of the line, where the journal is damaged otherwise.
    """
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n"), first_line):
        if not line:
            continue
        try:
            yield _reader().validate_json(line)
        except ValidationError as error:
            raise ValueError(f"line {number} is damaged ({error.errors()[0]['msg']})") from None
