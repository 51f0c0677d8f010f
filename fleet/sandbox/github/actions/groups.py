"""Concurrency groups: of one group one goes on, and one waits; who comes next takes the place of the one that waits.

https://docs.github.com/actions/concepts/workflows-and-actions/concurrency
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.model_actions import JobRun, Run
from fleet.sandbox.github.state import State


def make_way(state: State, run: Run, member: Run | JobRun, *, cancel: bool) -> None:
    """Cancel what a member of a group takes the place of: older ones that wait, with `cancel` those that go on too.

    The caller holds the state's lock.
    """
    for other_run, other in list(_others(run, member)):
        if other_run.id < run.id and (cancel or other.status == "queued"):
            runs.cancel_part(state, other_run, other)


def take_turn(state: State, run: Run, member: Run | JobRun, stopped: Callable[[], bool]) -> bool:
    """Wait until nobody else of the member's group goes on; False when it was cancelled meanwhile."""
    with state.changed:

        def is_free() -> bool:
            return not any(other.status == "in_progress" for _, other in _others(run, member))

        state.changed.notify_all()  # that it waits
        state.changed.wait_for(lambda: stopped() or is_free())
        if stopped():
            return False
        member.status = "in_progress"
        return True


def _others(run: Run, member: Run | JobRun) -> Iterator[tuple[Run, Run | JobRun]]:
    """All that have come as far as the group and have not ended."""
    if not member.group:
        return
    for other in run.repository.runs:
        parts: tuple[Run | JobRun, ...] = (other, *other.jobs)
        for part in parts:
            if part is not member and part.status != "completed" and part.group.lower() == member.group.lower():
                yield other, part
