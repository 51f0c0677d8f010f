"""Concurrency groups: of one group one goes on, and one waits, or all do; they take turns in the order they came in.

https://docs.github.com/actions/concepts/workflows-and-actions/concurrency
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.actions.workflow import Concurrency
from fleet.sandbox.github.model_actions import JobRun, Run
from fleet.sandbox.github.state import State

LONGEST_QUEUE = 100
"""How many of a group may wait where all do."""


def join(state: State, run: Run, member: Run | JobRun, concurrency: Concurrency) -> None:
    """Stand at the end of a group that is named in the member already, and cancel what it takes the place of.

    Those are the ones that wait, unless all may, and with `cancel` those that go on too. The caller holds the lock.
    """
    others = list(_others(run, member))
    member.turn = state.next_id()
    if concurrency.queue == "max":
        if sum(other.status == "queued" for _, other in others) >= LONGEST_QUEUE:
            runs.cancel_part(state, run, member)
        return
    for other_run, other in others:
        if concurrency.cancel or other.status == "queued":
            runs.cancel_part(state, other_run, other)


def take_turn(state: State, run: Run, member: Run | JobRun, stopped: Callable[[], bool]) -> bool:
    """Wait until nobody of the member's group goes on or came before it; False when it was cancelled meanwhile."""
    with state.changed:

        def is_next() -> bool:
            return not any(
                other.status == "in_progress" or (other.status == "queued" and other.turn < member.turn)
                for _, other in _others(run, member)
            )

        state.changed.notify_all()  # that it waits
        state.changed.wait_for(lambda: stopped() or is_next())
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
