"""Kills a real process before each of its steps that change something, or when a service sees it write.

A step is an audit event (PEP 578) of a child process that writes: a file opened for writing, a rename, a removal, a
folder made, a program started. The child kills itself with SIGKILL before the n-th of them acts, so no cleanup of any
kind runs. A kill before one step is the kill after the step before it. The code under test knows nothing of this.

What happens inside another program, git for one, is not seen here; let that program kill the whole process group.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

CRASH_POINTS = "crash points"
"""Under this name tests record (`record_property`) how many kills they have tried."""

Step = Callable[[str, tuple[Any, ...]], bool]
"""Says of an audit event, by its name and arguments, whether it is a step to count."""

_ACTS = frozenset(
    {
        "os.chmod",
        "os.link",
        "os.mkdir",
        "os.posix_spawn",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "subprocess.Popen",
    }
)
"""Events that change something; those of shutil are not among them, because each is followed by the one it does."""

_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class End(NamedTuple):
    """How the child ended: the steps it began, and whether it was killed."""

    steps: int
    killed: bool


def writes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event is about to change something on disk or to start a program."""
    if event == "open":
        path, _mode, flags = arguments
        is_new = not isinstance(path, int) and path != os.devnull  # a number is a descriptor that is open already
        return is_new and isinstance(flags, int) and bool(flags & _FOR_WRITING)
    return event in _ACTS


def count_events(target: Callable[[], object], step: Step = writes) -> int:
    """How many steps `target` takes when nothing disturbs it; it does run, in a child."""
    end = _run(target, step, None, group=False)
    assert not end.killed
    return end.steps


def run_killed_at(n: int, target: Callable[[], object], step: Step = writes, *, group: bool = False) -> End:
    """Run `target` in a child that is killed before its n-th step, counted from 1; with `group`, its children too.

    Raises AssertionError when it ends with an exception of its own.
    """
    return _run(target, step, n, group=group)


def run_in_group(target: Callable[[], object]) -> End:
    """Run `target` in a child that leads a process group of its own, for something in that group to kill."""
    return _run(target, writes, None, group=True)


def run_armed(target: Callable[[], object], arm: Callable[[int], object]) -> End:
    """Run `target` in a child; before it starts, `arm` is given its process id, so that something else can kill it."""
    return _run(target, writes, None, group=False, arm=arm)


def _run(
    target: Callable[[], object],
    step: Step,
    at: int | None,
    *,
    group: bool,
    arm: Callable[[int], object] = lambda pid: None,
) -> End:
    reading, writing = os.pipe()
    held, release = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.close(release)
        os.read(held, 1)
        _be_the_child(target, step, at, writing, group=group)
    arm(child)
    for descriptor in (writing, held, release):
        os.close(descriptor)
    try:
        with os.fdopen(reading, "rb") as told:
            steps = len(told.read())
    except BaseException:  # a child that hangs outlives no test that was given up
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"the child ended with status {status}; see its traceback above"
    return End(steps, killed)


def _be_the_child(target: Callable[[], object], step: Step, at: int | None, tell: int, *, group: bool) -> None:
    """Never returns: the test run that this is a copy of must not go on here as well."""
    if group:
        os.setpgid(0, 0)
    sys.dont_write_bytecode = True
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if step(event, arguments):
            count += 1
            if count == at:
                os.killpg(0, signal.SIGKILL) if group else os.kill(os.getpid(), signal.SIGKILL)
            os.write(tell, b".")

    status = 1
    try:
        sys.addaudithook(hook)
        target()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)
