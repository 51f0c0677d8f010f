"""Killed before every step of an apply that writes, and run again: the same end as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.store import FolderStore
from fleet.testing.crash import CRASH_POINTS, count_events, run_killed_at
from tests.little_fleet import LittleFleet

SHARDS = 4
"""The steps are shared out, so that several workers can go through them."""


def apply() -> None:
    """Apply without a word; raises AssertionError when it does not end well."""
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        sys.stdout = sys.stderr = nothing
        code = main(["apply", "-auto-approve"])
    assert code == 0, code


def end_state(little: LittleFleet) -> dict[str, object]:
    """All that an undisturbed run leaves, times and names of runs aside."""
    state = FolderStore(little.folder / ".fleet", "example").load()
    things = {key: (thing.previous, thing.current) for key, thing in state.things.items()}
    return {
        "commits": little.commits(),
        "tree": little.git("rev-parse", "HEAD^{tree}"),
        "message": little.git("log", "-1", "--format=%B"),
        "status": little.git("status", "--porcelain"),
        "leftovers": sorted(path.name for path in (little.infrastructure / ".git").glob("*lock*")),
        "things": things,
        "begun": dict(state.begun),
    }


def copy_of(little: LittleFleet, folder: Path) -> LittleFleet:
    """The same fleet in another folder, which becomes the current one."""
    shutil.copytree(little.folder, folder)
    twin = object.__new__(LittleFleet)
    twin.folder, twin.infrastructure, twin.host = folder, folder / "infrastructure", little.host
    os.chdir(folder)
    return twin


@pytest.mark.parametrize("group", [False, True], ids=["alone", "with git"])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_killed_before_each_step_and_run_again_the_end_is_the_same(
    little: LittleFleet,
    tmp_path_factory: pytest.TempPathFactory,
    shard: int,
    group: bool,
    record_property: Callable[[str, object], None],
) -> None:
    little.track("bbbbbbbbbbbb")
    scratch = tmp_path_factory.mktemp("twins")
    undisturbed = copy_of(little, scratch / "undisturbed")
    steps = count_events(apply)
    wanted = end_state(undisturbed)
    assert wanted["commits"] == 2
    for step in range(1 + shard, steps + 1, SHARDS):
        twin = copy_of(little, scratch / f"killed-at-{step}")
        assert run_killed_at(step, apply, group=group).killed, step
        count_events(apply)
        assert end_state(twin) == wanted, step
        assert main(["plan", "-detailed-exitcode"]) == 0, step
    record_property(CRASH_POINTS, len(range(1 + shard, steps + 1, SHARDS)))
