"""Carrying out a plan: order, limits, failures that stay where they are, and what was done already."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from fleet.apply import Group, Outcome, Result, Services, Status, carry_out, grouped
from fleet.errors import ExitCode, FleetError, Locked, ProviderError, TryAgain, Unsure
from fleet.model import Change
from fleet.pace import Budget, Pace
from fleet.plan import Plan
from fleet.provider import Limits
from tests.shelf import Book, Shelf, at, put


class Silent:
    """Records the order in which groups begin."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def began(self, group: Group) -> None:
        self.order.append(group.key)

    def ended(self, result: Result) -> None:
        """Nothing to do."""


class NoSleep:
    """A clock that only counts."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.time += seconds


def do(shelf: Shelf, *changes: Change, pace: Pace | None = None, recorder: Silent | None = None) -> Outcome:
    plan = Plan("example", {}, changes)
    return carry_out(plan, Services({"shelf": shelf}, pace or Pace(clock=NoSleep())), recorder or Silent())


def statuses(outcome: Outcome) -> dict[str, Status]:
    return {result.group.key.removeprefix("shelf "): result.status for result in outcome.results}


def test_what_is_needed_is_done_first() -> None:
    recorder = Silent()
    outcome = do(Shelf(), put("c", needs=["b"]), put("a"), put("b", needs=["a"]), recorder=recorder)
    assert recorder.order == ["shelf a", "shelf b", "shelf c"]
    assert outcome.exit_code == ExitCode.OK


def test_removals_run_the_other_way_round() -> None:
    shelf, recorder = Shelf(), Silent()
    shelf.books = {at("base"): Book(title="x"), at("top"): Book(title="x")}
    gone = [
        Change(at("base"), Book(title="x"), None, group="shelf base", removal="destroy"),
        Change(at("top"), Book(title="x"), None, needs=(at("base"),), group="shelf top", removal="destroy"),
    ]
    do(shelf, *gone, recorder=recorder)
    assert recorder.order == ["shelf top", "shelf base"]
    assert shelf.books == {}


def test_a_failure_stops_its_dependents_and_nothing_else() -> None:
    shelf = Shelf()
    shelf.broken[at("a")] = ProviderError("no room")
    outcome = do(shelf, put("a"), put("b", needs=["a"]), put("c", needs=["b"]), put("d"))
    assert statuses(outcome) == {
        "a": Status.FAILED,
        "b": Status.SKIPPED,
        "c": Status.SKIPPED,
        "d": Status.DONE,
    }
    assert outcome.exit_code == ExitCode.PARTIAL


def test_a_failure_with_nothing_written_is_a_plain_error() -> None:
    shelf = Shelf()
    shelf.broken[at("a")] = ProviderError("no room")
    assert do(shelf, put("a")).exit_code == ExitCode.ERROR


def test_what_stands_at_after_is_found_done_and_not_written_again() -> None:
    shelf = Shelf()
    shelf.books[at("a")] = Book(title="new")
    assert statuses(do(shelf, put("a", before="old"))) == {"a": Status.FOUND}
    assert shelf.writes == []


def test_what_stands_at_neither_side_is_stale_and_left() -> None:
    shelf = Shelf()
    shelf.books[at("a")] = Book(title="by somebody else")
    outcome = do(shelf, put("a", before="old"), put("b"))
    assert statuses(outcome) == {"a": Status.STALE, "b": Status.DONE}
    assert outcome.exit_code == ExitCode.STALE
    assert shelf.books[at("a")] == Book(title="by somebody else")


def test_what_this_plan_had_begun_before_a_kill_goes_on_from_where_it_stands() -> None:
    shelf = Shelf()
    shelf.books[at("a")] = Book(title="half done")
    services = Services({"shelf": shelf}, Pace(clock=NoSleep()), begun={at("a"): Book(title="new")})
    outcome = carry_out(Plan("example", {}, (put("a", before="old"),)), services, Silent())
    assert statuses(outcome) == {"a": Status.DONE}


def test_a_lost_answer_is_looked_up_for_what_was_known_when_it_was_written() -> None:
    shelf = Shelf()
    shelf.lost.append(Unsure("the answer was lost"))
    services = Services(
        {"shelf": shelf}, Pace(clock=NoSleep()), known=lambda change: replace(change, after=Book(title="known now"))
    )
    outcome = carry_out(Plan("example", {}, (put("a"),)), services, Silent())
    assert statuses(outcome) == {"a": Status.DONE}
    assert shelf.books[at("a")] == Book(title="known now")
    assert len(shelf.writes) == 1


def test_a_group_is_one_write() -> None:
    shelf, recorder = Shelf(), Silent()
    do(shelf, put("row/1"), put("row/2"), recorder=recorder)
    assert recorder.order == ["shelf row"]
    assert len(shelf.books) == 2


def test_a_group_with_one_stale_change_is_left_whole() -> None:
    shelf = Shelf()
    shelf.books[at("row/2")] = Book(title="by somebody else")
    assert statuses(do(shelf, put("row/1"), put("row/2", before="old"))) == {"row": Status.STALE}
    assert at("row/1") not in shelf.books


def test_a_passing_trouble_is_repeated() -> None:
    shelf = Shelf()
    shelf.troubles = [TryAgain("busy", after=7), TryAgain("busy")]
    clock = NoSleep()
    assert statuses(do(shelf, put("a"), pace=Pace(clock=clock))) == {"a": Status.DONE}
    assert clock.time >= 7


def test_a_trouble_that_does_not_pass_fails_after_the_attempts_that_the_limits_allow() -> None:
    shelf = Shelf()
    shelf.troubles = [TryAgain("busy")] * 3
    outcome = do(shelf, put("a"))
    assert [result.why for result in outcome.of(Status.FAILED)] == ["busy"]


def test_a_lost_answer_is_looked_up_and_not_repeated_when_the_write_happened() -> None:
    shelf = Shelf()
    shelf.lost = [Unsure("the connection broke")]
    assert statuses(do(shelf, put("a"))) == {"a": Status.DONE}
    assert shelf.writes == [at("a")]


def test_a_lost_answer_is_repeated_when_the_write_did_not_happen() -> None:
    shelf = Shelf()
    shelf.troubles = [Unsure("the connection broke")]
    assert statuses(do(shelf, put("a"))) == {"a": Status.DONE}


def test_no_more_groups_run_at_once_than_the_provider_allows() -> None:
    shelf = Shelf(limits=Limits(at_once=2))
    shelf.meet = threading.Barrier(2)
    do(shelf, *(put(str(number)) for number in range(6)))
    assert shelf.busiest == 2


def test_a_deadline_stops_cleanly_and_says_that_it_can_go_on() -> None:
    outcome = do(Shelf(), put("a"), pace=Pace(Budget(seconds=0), clock=NoSleep()))
    assert statuses(outcome) == {"a": Status.SKIPPED}
    assert outcome.exit_code == ExitCode.BUDGET
    assert "deadline" in outcome.stopped


def test_a_wait_beyond_the_deadline_ends_the_run_instead_of_holding_it() -> None:
    shelf = Shelf()
    shelf.troubles = [TryAgain("rate limit", after=3600)]
    outcome = do(shelf, put("a"), put("b", needs=["a"]))
    assert set(statuses(outcome).values()) == {Status.SKIPPED}
    assert outcome.exit_code == ExitCode.BUDGET


def test_a_provider_that_cannot_be_read_fails_alone() -> None:
    class Closed(Shelf):
        def read(self, addresses: object) -> dict[object, object]:  # type: ignore[override]
            raise ProviderError("closed")

    shelf = Shelf()
    other = Change(at("x", "closed"), None, Book(title="new"), group="closed x")
    plan = Plan("example", {}, (put("a"), other))
    services = Services({"shelf": shelf, "closed": Closed("closed")}, Pace(clock=NoSleep()))
    outcome = carry_out(plan, services, Silent())
    assert {result.group.key: result.status for result in outcome.results} == {
        "shelf a": Status.DONE,
        "closed x": Status.FAILED,
    }


def test_a_bug_in_a_provider_is_not_swallowed() -> None:
    shelf = Shelf()
    shelf.troubles = [ZeroDivisionError("a bug")]
    with pytest.raises(ZeroDivisionError):
        do(shelf, put("a"))


def test_groups_know_what_must_come_first() -> None:
    groups = grouped([put("b/1", needs=["a/1"]), put("a/1"), put("b/2", needs=["b/1"])])
    assert groups["shelf b"].needs == {"shelf a"}
    assert groups["shelf a"].needs == frozenset()


class Ledger:
    """Writes groups down when it is told to; from the `broken`-th on it cannot."""

    def __init__(self, error: FleetError | None = None, broken: int = 0) -> None:
        self.asked: list[str] = []
        self.error, self.broken = error, broken

    def announce(self, group: Group) -> Future[None]:
        kept: Future[None] = Future()
        self.asked.append(group.key)
        if self.error is not None and len(self.asked) > self.broken:
            kept.set_exception(self.error)
        else:
            kept.set_result(None)
        return kept


def announced(shelf: Shelf, ledger: Ledger, ahead: int, *changes: Change) -> Outcome:
    services = Services({"shelf": shelf}, Pace(clock=NoSleep()), announce=ledger.announce, ahead=ahead)
    return carry_out(Plan("example", {}, changes), services, Silent())


def test_what_cannot_be_written_down_is_not_written() -> None:
    shelf = Shelf(limits=Limits(at_once=1))
    outcome = announced(shelf, Ledger(ProviderError("no room in the journal")), 0, put("a"), put("b"))
    assert shelf.writes == []
    assert outcome.exit_code == ExitCode.ERROR
    outcome = announced(shelf, Ledger(ProviderError("no room"), broken=1), 0, put("a"), put("b", needs=["a"]))
    assert outcome.exit_code == ExitCode.PARTIAL
    assert shelf.writes == [at("a")]


def test_a_run_that_lost_its_lease_writes_nothing_more_and_says_so() -> None:
    shelf = Shelf(limits=Limits(at_once=1))
    shelf.broken[at("a")] = ProviderError("no")
    outcome = announced(shelf, Ledger(Locked("it is another's"), broken=1), 0, put("a"), put("b"), put("c"))
    assert shelf.writes == []
    assert outcome.exit_code == ExitCode.LOCKED
    assert outcome.stopped == "it is another's"


def test_groups_are_announced_ahead_of_those_that_are_written_and_no_more_are_written_at_once() -> None:
    shelf, ledger = Shelf(limits=Limits(at_once=2)), Ledger()
    shelf.meet = threading.Barrier(2, action=lambda: seen.append(len(ledger.asked)))
    seen: list[int] = []
    announced(shelf, ledger, 4, *(put(f"b{number}") for number in range(8)))
    assert shelf.busiest == 2
    assert seen[0] == 6
    assert len(ledger.asked) == 8


def test_a_lease_that_is_lost_meanwhile_stops_a_group_between_two_of_its_requests() -> None:
    pace = Pace(clock=NoSleep())

    def guard() -> None:
        raise Locked("it is another's")

    class Asking(Shelf):
        """Makes a request, loses the lease, and makes another."""

        def _apply(self, changes: Sequence[Change]) -> None:
            pace.spend("shelf", Limits())
            pace.guard = guard
            pace.spend("shelf", Limits())
            super()._apply(changes)

    shelf = Asking()
    outcome = do(shelf, put("a"), put("b", needs=["a"]), pace=pace)
    assert shelf.writes == []
    assert outcome.exit_code == ExitCode.LOCKED
