"""The one place that waits: it counts, spaces and bounds the requests of a run, and repeats what failed in passing.

Providers call `spend` (through their context) before each request; nothing else in fleet sleeps.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from fleet.errors import OutOfBudget, ProviderError, TryAgain
from fleet.provider import Limits

Result = TypeVar("Result")

LONGEST_WAIT = 300.0
"""Seconds beyond which a service's wish to wait ends the run cleanly instead of holding it."""

WORTH_TELLING = 1.0
"""Seconds from which on a wait is announced."""


class Clock(Protocol):
    """Where time comes from, so that tests can run it themselves."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        ...

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        """Return after `seconds`, or as soon as `interrupt` is set."""
        ...


class RealClock:
    """The machine's own monotonic clock."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        """Return after `seconds`, or as soon as `interrupt` is set."""
        interrupt.wait(seconds)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: requests in all, and seconds from its start. None is no bound."""

    requests: int | None = None
    seconds: float | None = None


Tell = Callable[[str, float], None]
"""Is told what is being waited for, and for how many seconds."""


def _silent(reason: str, seconds: float) -> None:
    """Nobody is listening."""


def _unguarded() -> None:
    """Nothing has to be asked first."""


@dataclass(slots=True)
class Pace:
    """The pace of one run. `stop` is set when the run shall end; every wait then ends at once. `no_more` says why
    nothing more is to be begun, while what is under way goes on.

    `guard` is asked before each request, and raises what ends the run: Locked, when its lease is another's.
    """

    budget: Budget = field(default_factory=Budget)
    clock: Clock = field(default_factory=RealClock)
    tell: Tell = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    no_more: str = ""
    used: Counter[str] = field(default_factory=Counter)
    guard: Callable[[], None] = _unguarded
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: dict[str, float] = field(default_factory=dict)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock.now()

    @property
    def requests(self) -> int:
        """How many requests this run has made."""
        return sum(self.used.values())

    def check(self) -> None:
        """Raise OutOfBudget when the run's time is over."""
        if self.budget.seconds is not None and self.clock.now() - self._start >= self.budget.seconds:
            raise OutOfBudget(f"the deadline of {self.budget.seconds:g} seconds has come")

    def spend(self, service: str, limits: Limits) -> None:
        """Count one request to a service, and wait until its rate allows it; raises OutOfBudget when it may not be."""
        self.check()
        self.guard()
        with self._lock:
            if self.budget.requests is not None and self.requests >= self.budget.requests:
                raise OutOfBudget(f"the budget of {self.budget.requests} requests is used up")
            self.used[service] += 1
            slot = max(self.clock.now(), self._next.get(service, 0.0))
            self._next[service] = slot + (1 / limits.per_second if limits.per_second else 0.0)
        self.wait(slot - self.clock.now(), f"{service} takes {limits.per_second or 0:g} requests a second")

    def wait(self, seconds: float, reason: str) -> None:
        """Wait, unless that would be longer than makes sense or than the run may last: then raises OutOfBudget."""
        if seconds <= 0:
            return
        left = None if self.budget.seconds is None else self.budget.seconds - (self.clock.now() - self._start)
        if seconds > LONGEST_WAIT or (left is not None and seconds > left):
            raise OutOfBudget(f"{reason}: it would take {seconds:.0f} seconds, longer than this run waits")
        if seconds >= WORTH_TELLING:
            self.tell(reason, seconds)
        self.clock.sleep(seconds, self.stop)
        if self.stop.is_set():
            raise OutOfBudget("the run was asked to stop")

    def repeat(self, limits: Limits, work: Callable[[], Result]) -> Result:
        """Do some work, again and again while its trouble is a passing one, as often as `limits` allows.

        A trouble that has not passed by then is no passing one: work that this is a part of is not begun again for it.
        """
        try:
            return work()
        except TryAgain as error:
            failed = [error]  # only work that fails pays for what repeats it

        from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
        from tenacity.wait import wait_exponential_jitter

        def again() -> Result:
            if failed:
                raise failed.pop()
            return work()

        backoff = wait_exponential_jitter(multiplier=0.25, max=30, jitter=0.25)
        trouble = TryAgain("")

        def pause(state: RetryCallState) -> float:
            nonlocal trouble
            error = state.outcome.exception() if state.outcome else None
            trouble = error if isinstance(error, TryAgain) else trouble
            return trouble.after if trouble.after is not None else backoff(state)

        retrying = Retrying(
            retry=retry_if_exception_type(TryAgain),
            stop=stop_after_attempt(limits.attempts),
            wait=pause,
            sleep=lambda seconds: self.wait(seconds, str(trouble)),
            reraise=True,
        )
        try:
            return retrying(again)
        except TryAgain as error:
            raise ProviderError(str(error)) from error
