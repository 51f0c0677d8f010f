"""What a person sees while apply works: bars on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from fleet.apply import Group, Result, Status
from fleet.terminal import count, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


APPLYING = "applying"


class Watcher(Protocol):
    """Is told how a run goes on."""

    def began(self, group: Group) -> None:
        """A group is being written."""
        ...

    def ended(self, result: Result) -> None:
        """A group has ended."""
        ...

    def waiting(self, reason: str, seconds: float) -> None:
        """Something is being waited for."""
        ...


@contextmanager
def watch(total: int, *, no_color: bool) -> Iterator[Watcher]:
    """Watch a run of `total` groups."""
    if not sys.stderr.isatty():
        yield _Lines(total)
        return
    with _bars(no_color) as progress:
        yield _Bars(progress, total)


class Tally(Protocol):
    """Is told how looking at many things goes on."""

    def ended(self, text: str) -> None:
        """One has been looked at, with this result."""
        ...

    def waiting(self, reason: str, seconds: float) -> None:
        """Something is being waited for."""
        ...


@contextmanager
def counting(what: str, total: int, *, no_color: bool) -> Iterator[Tally]:
    """Watch `total` things being looked at; `what` says what is done to them."""
    if not sys.stderr.isatty():
        yield _TallyLines(total)
        return
    with _bars(no_color) as progress:
        yield _TallyBar(progress, what, total)


@contextmanager
def _bars(no_color: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, no_color=no_color, highlight=False, markup=False)
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress


def _ended_text(result: Result) -> str:
    why = f": {result.why}" if result.why else ""
    return printable(f"{result.group.key}: {result.status}{why}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class _TallyLines:
    """One line for each end."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended = 0
        self._lock = threading.Lock()

    def ended(self, text: str) -> None:
        with self._lock:
            self._ended += 1
            _say(f"[{self._ended}/{self._total}] {printable(text)}")

    def waiting(self, reason: str, seconds: float) -> None:
        _say(printable(f"waiting {seconds:.0f} s: {reason}"))


class _TallyBar:
    """One bar, and what is being waited for."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress = progress
        self._what = what
        self._task = progress.add_task(what, total=total)

    def ended(self, text: str) -> None:
        self._progress.update(self._task, advance=1, description=self._what)

    def waiting(self, reason: str, seconds: float) -> None:
        self._progress.update(self._task, description=printable(f"waiting {seconds:.0f} s: {reason}"))


class _Lines:
    """One line for each beginning and end of a group."""

    def __init__(self, total: int) -> None:
        self._tally = _TallyLines(total)
        self.waiting = self._tally.waiting

    def began(self, group: Group) -> None:
        _say(printable(f"{group.key}: writing {_size(group)}"))

    def ended(self, result: Result) -> None:
        self._tally.ended(_ended_text(result))


class _Bars:
    """One bar over all groups, a line for each group that is being written, and what is being waited for."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._tally = _TallyBar(progress, APPLYING, total)
        self.waiting = self._tally.waiting
        self._tasks: dict[str, TaskID] = {}

    def began(self, group: Group) -> None:
        description = printable(f"  {group.key} ({_size(group)})")
        self._tasks[group.key] = self._progress.add_task(description, total=None)

    def ended(self, result: Result) -> None:
        task = self._tasks.pop(result.group.key, None)
        if task is not None:
            self._progress.remove_task(task)
        if result.status not in (Status.DONE, Status.FOUND, Status.PROPOSED, Status.SKIPPED):
            self._progress.console.print(_ended_text(result))
        self._tally.ended("")


def _size(group: Group) -> str:
    """How many things of each kind it writes."""
    kinds = Counter(change.address.kind.removesuffix("s") for change in group.changes)
    return ", ".join(count(number, kind) for kind, number in kinds.items())
