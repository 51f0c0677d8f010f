"""A branch that holds data and that nobody checks out: all of its files at one commit, and one commit on top of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Branch:
    """All files of a branch at one moment, the commit at its head (empty: there is no such branch), and the time on
    the code host's own clock, in seconds since 1970."""

    head: str
    contents: Mapping[str, bytes]
    at: float


@dataclass(frozen=True, slots=True)
class Swap:
    """One commit to make: new contents by path (None removes the file), on a branch that must still be at
    `expected_head`. Where that is empty the branch must not exist, and begins with this commit, which has no parent.
    """

    repository: str
    branch: str
    expected_head: str
    contents: Mapping[str, bytes | None]
    message: str


@dataclass(frozen=True, slots=True)
class Swapped:
    """The commit that was made, and when on the code host's own clock, in seconds since 1970."""

    head: str
    at: float
