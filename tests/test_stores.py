"""What every store of state keeps, be it a folder or a branch: nothing is lost, and one run writes at a time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet.errors import Locked
from fleet.journal import GroupBegan, GroupDone, Intended, RunBegan, Step
from fleet.pace import Pace
from fleet.runner import By
from fleet.state import State
from fleet.testing.crash import run_armed
from tests.keepers import Impatient, Keeper, keeper_of
from tests.shelf import put

AT = "2026-01-01T00:00:00Z"
WRITERS = 16


@pytest.fixture(params=["folder", "local", "github"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeper]:
    with keeper_of(request.param, tmp_path) as keeper:
        yield keeper


def began(group: str, run: str = "r1") -> GroupBegan:
    return GroupBegan(run=run, at=AT, group=group, provider="shelf", steps=(Step.of(put(group)),))


def done(group: str, title: str = "new", before: str | None = None) -> GroupDone:
    return GroupDone(run="r1", at=AT, group=group, plan="p1", steps=(Step.of(put(group, title, before)),))


def test_a_fleet_without_state_starts_empty(keeper: Keeper) -> None:
    with keeper.open().lock("r1", Pace()) as note:
        assert note is None
    assert keeper.open().load() == State(fleet="example")


def test_what_one_run_writes_down_the_next_one_knows(keeper: Keeper) -> None:
    store = keeper.open()
    with store.lock("r1", Pace()):
        store.append(RunBegan(run="r1", at=AT, plan="p1", user="u", host="h", version="0"))
        store.keep(began("a")).result()
        store.append(Intended(run="r1", at=AT, group="a", blobs=("b10b",)))
        assert store.load().begun["a"].blobs == ("b10b",)
        store.append(done("a", "new", before="old"))
        store.save(store.load())
    state = keeper.open().load()
    assert state.begun == {}
    assert (state.things["shelf:book:a"].previous or {})["title"] == "old"
    assert state.runs[0].plan == "p1"


def test_what_comes_after_a_snapshot_is_added_to_it(keeper: Keeper) -> None:
    for group in ("a", "b"):
        store = keeper.open()
        with store.lock("r1", Pace()):
            store.append(done(group))
            store.save(store.load())
    assert set(keeper.open().load().things) == {"shelf:book:a", "shelf:book:b"}


def test_what_was_kept_is_there_after_a_kill_and_the_lock_is_taken_over_with_a_note(keeper: Keeper) -> None:
    def run_and_die() -> None:
        store = keeper.open()
        with store.lock("r1", Pace()):
            store.keep(began("a")).result()
            os.kill(os.getpid(), signal.SIGKILL)

    assert run_armed(run_and_die, lambda pid: None).killed
    assert keeper.open().load().begun["a"].run == "r1"
    keeper.outlive()
    store = keeper.open()
    with store.lock("r2", Pace()) as note:
        assert note is not None
        assert "r1" in note
        assert "\n" not in note
        assert store.load().begun["a"].run == "r1"
        store.append(done("a"))
    assert keeper.open().load().begun == {}
    with keeper.open().lock("r3", Pace()) as note:
        assert note is None


def test_a_second_run_is_kept_out_and_told_by_whom(keeper: Keeper) -> None:
    by = By(url="https://github.example.org/example-org/fleet/actions/runs/7", commit="abc", actor="ada")
    with keeper.open().lock("r1", Pace(), by=by):
        with pytest.raises(Locked, match=r"run r1 .*actions/runs/7"), keeper.open().lock("r2", Pace()):
            pass
        pace = Pace(clock=(clock := Impatient()))
        with pytest.raises(Locked, match="r1"), keeper.open().lock("r2", pace, timeout=2):
            pass
        assert clock.waited >= 2


def test_a_run_that_waits_gets_the_lock_when_it_is_given_back(keeper: Keeper) -> None:
    def wait_for_it() -> bool:
        with keeper.open().lock("r2", Pace(clock=Impatient()), timeout=1e6) as note:
            return note is None

    with ThreadPoolExecutor(1) as pool:
        with keeper.open().lock("r1", Pace()):
            waiting = pool.submit(wait_for_it)
            time.sleep(0.1)
            assert not waiting.done()
        assert waiting.result(60)


def test_of_sixteen_writers_none_loses_anything_and_each_sees_all_before_it(keeper: Keeper) -> None:
    def write(number: int) -> None:
        store = keeper.open()
        with store.lock(f"r{number}", Pace(clock=Impatient()), timeout=1e6) as note:
            assert note is None
            seen = len(store.load().things)
            store.keep(began(f"g{number}", f"r{number}")).result()
            store.append(done(f"g{number}", str(seen)))
            store.save(store.load())

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    state = keeper.open().load()
    seen = sorted(int(thing.current["title"]) for thing in state.things.values())
    assert seen == list(range(WRITERS))
    assert state.begun == {}


def test_of_sixteen_that_come_at_once_one_gets_the_lock(keeper: Keeper) -> None:
    stores = [keeper.open() for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        locks = [store.lock(f"r{number}", Pace()) for number, store in enumerate(stores)]

        def take(number: int) -> bool:
            try:
                locks[number].__enter__()
            except Locked:
                return False
            return True

        won = list(pool.map(take, range(WRITERS)))
    assert sum(won) == 1
    locks[won.index(True)].__exit__(None, None, None)
