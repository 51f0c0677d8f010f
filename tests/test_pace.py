"""The one place that waits."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from fleet.errors import OutOfBudget, ProviderError, TryAgain
from fleet.pace import Budget, Pace
from fleet.provider import Limits


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.time += seconds


def test_requests_are_spaced_as_the_service_wants() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for _ in range(11):
        pace.spend("quay", Limits(per_second=5))
    assert clock.time == pytest.approx(102.0)
    assert pace.requests == 11


def test_services_do_not_wait_for_each_other() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    pace.spend("one", Limits(per_second=1))
    pace.spend("other", Limits(per_second=1))
    assert clock.time == 100.0


def test_the_budget_of_requests_is_never_overdrawn() -> None:
    pace = Pace(Budget(requests=2), clock=Clock())
    pace.spend("quay", Limits())
    pace.spend("quay", Limits())
    with pytest.raises(OutOfBudget, match="2 requests"):
        pace.spend("quay", Limits())
    assert pace.requests == 2


def test_a_long_wait_is_announced_and_a_short_one_is_not() -> None:
    told: list[tuple[str, float]] = []
    pace = Pace(clock=Clock(), tell=lambda reason, seconds: told.append((reason, seconds)))
    pace.wait(0.2, "short")
    pace.wait(5, "long")
    assert told == [("long", 5)]


@pytest.mark.parametrize("seconds", [301, 61])
def test_a_wait_that_is_longer_than_the_run_may_last_ends_it(seconds: float) -> None:
    with pytest.raises(OutOfBudget, match="quota"):
        Pace(Budget(seconds=60), clock=Clock()).wait(seconds, "quota")


def test_a_run_that_was_asked_to_stop_waits_no_longer() -> None:
    pace = Pace()
    pace.stop.set()
    with pytest.raises(OutOfBudget, match="stop"):
        pace.wait(200, "anything")


def test_work_is_repeated_after_what_the_service_asked_for_and_else_after_ever_longer_pauses() -> None:
    clock = Clock()
    troubles = [TryAgain("busy", after=30), TryAgain("busy"), TryAgain("busy")]
    starts: list[float] = []

    def work() -> str:
        starts.append(clock.time)
        if troubles:
            raise troubles.pop(0)
        return "done"

    assert Pace(clock=clock).repeat(Limits(attempts=4), work) == "done"
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses[0] == pytest.approx(30)
    assert 0 < pauses[1] < pauses[2] < 5


def test_the_last_trouble_is_what_is_raised() -> None:
    def work() -> None:
        raise TryAgain("still busy")

    with pytest.raises(ProviderError, match=r"^still busy$"):
        Pace(clock=Clock()).repeat(Limits(attempts=2), work)


def test_work_within_work_is_given_up_once() -> None:
    pace, limits, asked = Pace(clock=Clock()), Limits(attempts=5), []

    def ask() -> None:
        asked.append(1)
        raise TryAgain("busy")

    with pytest.raises(ProviderError, match=r"^busy$"):
        pace.repeat(limits, lambda: pace.repeat(limits, ask))
    assert len(asked) == limits.attempts
