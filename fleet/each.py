"""Doing the same to many things, as the core lends it to providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Does `work` for each item and returns the results in the order of the items; the first error is raised."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """The results, in order."""
        ...


def one_by_one(work: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
    """The plain way, for where nobody lends a better one."""
    return [work(item) for item in items]
