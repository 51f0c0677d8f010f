"""Where state, journal and lock lie: what every such store does, and a folder, each of whose files is written so that a
kill at any moment leaves it whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from fleet.errors import FleetError, Locked
from fleet.files import write_atomically
from fleet.journal import Entry, parse_lines, to_line
from fleet.pace import Pace
from fleet.runner import By
from fleet.state import FORMAT_VERSION, State, fold

LOCK_POLL = 0.2
"""Seconds between two looks at a lock that somebody else holds."""


class Store(Protocol):
    """State, journal and lock of one fleet. All but `load` and `lock` is for whoever holds the lock."""

    @property
    def ahead(self) -> int:
        """How many groups of a provider may be written down as begun before there is room to write them."""
        ...

    def load(self) -> State:
        """The state as of now, the whole journal folded in; raises FleetError when it is damaged."""
        ...

    def append(self, entry: Entry) -> None:
        """Add one entry to the journal, kept soon, and when the lock is given back at the latest."""
        ...

    def keep(self, entry: Entry) -> Future[None]:
        """Add one entry to the journal; the result is there when nothing can undo that, or the error that forbids it.
        An error of the type Locked says that the lock was lost."""
        ...

    def save(self, state: State) -> None:
        """Make `state` the snapshot, at the latest when the lock is given back."""
        ...

    def lock(
        self, run: str, pace: Pace, timeout: float = 0.0, by: By | None = None
    ) -> AbstractContextManager[str | None]:
        """Hold the lock; yields a note when a run that died had left it. Raises Locked after `timeout` seconds."""
        ...


class FolderStore:
    """State, journal and lock in one folder of the local disk."""

    ahead = 0

    def __init__(self, folder: Path, fleet: str) -> None:
        self.folder = folder
        self.fleet = fleet
        self._state = folder / "state.json"
        self._journal = folder / "journal.jsonl"
        self._lock = folder / "lock"
        self._appending = threading.Lock()

    def load(self) -> State:
        """The state as of now, the journal's newest entries folded in; raises FleetError when a file is damaged."""
        state = self._snapshot()
        if state.fleet != self.fleet:
            raise FleetError(
                f"{self._state} belongs to the fleet {state.fleet!r}, not to {self.fleet!r}; give each fleet its own "
                "`state:` folder (a fleet's `name:` is its ownership marker and does not change)"
            )
        data = self._journal_from(state.journal_offset)
        try:
            return fold(state, parse_lines(data))
        except (ValueError, KeyError) as error:
            raise _damaged(self._journal, f"{error}, counted from byte {state.journal_offset}") from None

    def append(self, entry: Entry) -> None:
        """Add one entry to the journal and see it onto the disk; only under the lock."""
        with self._appending, _explained(self._journal), self._journal.open("ab") as journal:
            journal.write(to_line(entry))
            journal.flush()
            os.fsync(journal.fileno())

    def keep(self, entry: Entry) -> Future[None]:
        """Add one entry to the journal and see it onto the disk."""
        self.append(entry)
        kept: Future[None] = Future()
        kept.set_result(None)
        return kept

    def save(self, state: State) -> None:
        """Replace the snapshot by `state`, into which all of the journal has been folded; only under the lock."""
        size = self._journal.stat().st_size if self._journal.exists() else 0
        document = state.model_copy(update={"journal_offset": size}).model_dump(mode="json")
        with _explained(self._state):
            write_atomically(self._state, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")

    @contextlib.contextmanager
    def lock(self, run: str, pace: Pace, timeout: float = 0.0, by: By | None = None) -> Iterator[str | None]:
        """Hold the lock; yields a note when a run that died had left it. Raises Locked after `timeout` seconds.

        The kernel gives the lock back when its holder dies, so a dead run never blocks the next one.
        """
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._keep_out_of_git()
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._acquire(handle, pace, timeout)
            left = _holder(handle)
            holder = {"run": run, "pid": os.getpid(), "host": socket.gethostname()}
            _write_holder(handle, holder | ({"url": by.url} if by else {}))
            self._mend_journal()
            yield f"took over from run {left['run']}, which ended without finishing" if left else None
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)

    def _acquire(self, handle: int, pace: Pace, timeout: float) -> None:
        waited = 0.0
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(handle)
                who = _named(holder) if holder else "another run"
                if waited >= timeout:
                    raise Locked(
                        f"{who} is writing to {self.folder}; wait for it, or give -lock-timeout=SECONDS"
                    ) from None
                pace.wait(LOCK_POLL, f"waiting for {who}")
                waited += LOCK_POLL
            else:
                return

    def _snapshot(self) -> State:
        try:
            data = self._state.read_bytes()
        except FileNotFoundError:
            return State(fleet=self.fleet)
        except OSError as error:
            raise FleetError(f"{self._state} cannot be read: {error.strerror}") from None
        try:
            document = json.loads(data)
            version = document["format_version"]
            if isinstance(version, int) and version > FORMAT_VERSION:
                raise FleetError(f"{self._state} was written by a newer fleet (format {version}); use that one")
            return State.model_validate(document)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise _damaged(self._state, str(error).partition("\n")[0]) from None

    def _journal_from(self, offset: int) -> bytes:
        try:
            with self._journal.open("rb") as journal:
                if journal.seek(0, os.SEEK_END) < offset:
                    raise _damaged(self._journal, f"it is shorter than the {offset} bytes that the state knows of")
                journal.seek(offset)
                return journal.read()
        except FileNotFoundError:
            if offset:
                raise _damaged(self._journal, "it is gone, though the state knows of it") from None
            return b""
        except OSError as error:
            raise FleetError(f"{self._journal} cannot be read: {error.strerror}") from None

    def _mend_journal(self) -> None:
        """Cut off a last line that a kill left without its end, so that the next one starts on a line of its own."""
        with contextlib.suppress(FileNotFoundError), self._journal.open("r+b") as journal:
            data = journal.read()
            whole = data.rpartition(b"\n")[0]
            if data and not data.endswith(b"\n"):
                journal.truncate(len(whole) + 1 if whole else 0)

    def _keep_out_of_git(self) -> None:
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def _holder(handle: int) -> dict[str, str] | None:
    data = os.pread(handle, 4096, 0)
    try:
        document = json.loads(data) if data else None
    except ValueError:
        return None
    return document if isinstance(document, dict) and {"run", "pid", "host"} <= document.keys() else None


def _named(holder: Mapping[str, str]) -> str:
    url = f", {holder['url']}" if "url" in holder else ""
    return f"run {holder['run']} (process {holder['pid']} on {holder['host']}{url})"


def _write_holder(handle: int, holder: dict[str, object]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)
    os.fsync(handle)


def _damaged(path: Path, what: str) -> FleetError:
    return FleetError(
        f"{path} is damaged: {what}. Move it away and run again: no resource is lost by that, only the history and "
        "the knowledge of what fleet had made and of what has since left the file"
    )


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the disk's refusals into a sentence."""
    try:
        yield
    except OSError as error:
        raise FleetError(f"{path} cannot be written: {error.strerror}") from None
