"""Entries of a journal that are far away are kept together: one write for all that has come up since the last one.

The first write of a run waits for nothing. Each makes the pause before the next one longer, up to a bound: a short run
is not held up, and a long one does not spend the service's patience on its bookkeeping.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from fleet.errors import FleetError
from fleet.journal import Entry


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between two writes: what each write adds to the pause when somebody waits for the next, the longest such
    pause, when what nobody waits for is written, and when a write is due though there is nothing to write."""

    step: float = 0.25
    longest: float = 20.0
    lazy: float = 30.0
    idle: float = 100.0


class GroupCommit:
    """Collects entries, and has `keep` write them from a thread of its own."""

    def __init__(self, keep: Callable[[Sequence[Entry]], None], rhythm: Rhythm) -> None:
        self._keep = keep
        self._rhythm = rhythm
        self._wake = threading.Condition()
        self._entries: list[Entry] = []
        self._waiting: list[Future[None]] = []
        self._writes = 0
        self._last = time.monotonic() - rhythm.longest
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="fleet-journal", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Have an entry kept some time, and with the next write at the latest."""
        with self._wake:
            self._entries.append(entry)
            self._wake.notify()

    def keep(self, entry: Entry) -> Future[None]:
        """Have an entry kept soon; the result is there when it is, or the error when it cannot be."""
        kept: Future[None] = Future()
        with self._wake:
            self._entries.append(entry)
            self._waiting.append(kept)
            self._wake.notify()
        return kept

    def stop(self) -> list[Entry]:
        """End the thread, once it has written what it is writing, and return what is not kept."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        return self._entries

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and (pause := self._due() - time.monotonic()) > 0:
                    self._wake.wait(pause)
                if self._stopping:
                    return
                entries, waiting = self._entries, self._waiting
                self._entries, self._waiting = [], []
            self._write(entries, waiting)

    def _due(self) -> float:
        rhythm = self._rhythm
        if self._waiting:
            return self._last + min(rhythm.longest, rhythm.step * self._writes)
        return self._last + (min(rhythm.lazy, rhythm.idle) if self._entries else rhythm.idle)

    def _write(self, entries: list[Entry], waiting: list[Future[None]]) -> None:
        trouble: BaseException | None = AssertionError("the thread that keeps the journal has died")
        try:
            self._keep(entries)
            trouble = None
        except FleetError as error:
            trouble = error
        finally:
            with self._wake:
                self._writes += 1
                self._last = time.monotonic()
                if trouble is not None:
                    self._entries = [*entries, *self._entries]
            for kept in waiting:
                kept.set_exception(trouble) if trouble else kept.set_result(None)
