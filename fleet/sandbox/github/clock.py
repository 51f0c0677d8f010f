"""The sandbox's time, and things that show only later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime


class Clock:
    """Runs with the machine's clock, from an offset that `advance` moves; `freeze` stops it."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def time(self) -> float:
        """Seconds since the epoch."""
        return (time.time() if self._frozen is None else self._frozen) + self._offset

    def now(self) -> datetime:
        """The time in UTC, in whole seconds."""
        return datetime.fromtimestamp(int(self.time()), UTC)

    def advance(self, seconds: float) -> None:
        """Step forward."""
        self._offset += seconds

    def freeze(self) -> None:
        """Let time pass only through `advance`."""
        if self._frozen is None:
            self._frozen = time.time()


@dataclass(frozen=True, slots=True)
class Lag:
    """How long something takes to show: `requests` that look for it, or `seconds` of the sandbox's clock.

    With both, whichever comes first; with neither, it shows at once.
    """

    requests: int | None = None
    seconds: float | None = None


class Veil:
    """Hides one thing for as long as a `Lag` says."""

    def __init__(self, lag: Lag, clock: Clock) -> None:
        self._clock = clock
        self._looks = lag.requests
        self._until = None if lag.seconds is None else clock.time() + lag.seconds

    def look(self) -> bool:
        """Whether it shows to this request, which counts as one that looked."""
        if self.lifted:
            return True
        if self._looks is not None:
            self._looks -= 1
        return False

    @property
    def lifted(self) -> bool:
        """Whether it shows."""
        nothing_to_wait_for = self._looks is None and self._until is None
        looked_enough = self._looks is not None and self._looks <= 0
        waited_enough = self._until is not None and self._clock.time() >= self._until
        return nothing_to_wait_for or looked_enough or waited_enough


def from_seconds(seconds: float) -> datetime:
    """A moment from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def stamp(moment: datetime) -> str:
    """A moment as GitHub writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
