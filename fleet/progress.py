"""What a person sees while apply works: bars on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, no_color=no_color, highlight=False, markup=False)
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bars(progress, total)


def _ended_text(result: Result) -> str:
    why = f": {result.why}" if result.why else ""
    return printable(f"{result.group.key}: {result.status}{why}")


class _Lines:
    """One line for each beginning and end."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended = 0

    def began(self, group: Group) -> None:
        self._say(printable(f"{group.key}: writing {_size(group)}"))

    def ended(self, result: Result) -> None:
        self._ended += 1
        self._say(f"[{self._ended}/{self._total}] {_ended_text(result)}")

    def waiting(self, reason: str, seconds: float) -> None:
        self._say(printable(f"waiting {seconds:.0f} s: {reason}"))

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _Bars:
    """One bar over all groups, a line for each group that is being written, and what is being waited for."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._all = progress.add_task(APPLYING, total=total)
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
        self._progress.update(self._all, advance=1, description=APPLYING)

    def waiting(self, reason: str, seconds: float) -> None:
        self._progress.update(self._all, description=printable(f"waiting {seconds:.0f} s: {reason}"))


def _size(group: Group) -> str:
    """How many things of each kind it writes."""
    kinds = Counter(change.address.kind.removesuffix("s") for change in group.changes)
    return ", ".join(count(number, kind) for kind, number in kinds.items())
