"""Proposals: changes of files that a person merges, such as a pull request, instead of a commit on the branch.

There is one for each group, always from the same branch. What became of it stands on the code host, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.model import Address


def proposal_branch(fleet: str, group: str) -> str:
    """The branch that a group of changes is proposed from; the fleet's name is in it, because two may share a
    repository."""
    return f"fleet/{fleet}/{group}"


@dataclass(frozen=True, slots=True)
class Text:
    """What a proposal says of itself: one line, and Markdown for whoever reviews it."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """The newest proposal from a branch: where it is seen, what became of it, and the files that were asked for as its
    newest commit has them; none of one that is merged, or that conflicts with the branch it is for."""

    url: str
    status: Literal["open", "merged", "closed"]
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why what it holds is no change to make."""
        if self.status == "open":
            return f"proposed in {self.url}"
        return f"held, because {self.url} was closed unmerged"


@dataclass(frozen=True, slots=True)
class Proposed:
    """What `apply` answers where it has proposed a group instead of writing it: the proposal's address, and the
    receipts that count once it is merged."""

    url: str
    receipts: Mapping[Address, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit, for whoever reviews: its id and the first line of its message."""

    commit: str
    subject: str
