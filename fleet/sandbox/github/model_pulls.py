"""What the sandbox knows of pull requests, comments, checks and commit statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fleet.sandbox.github.model import Account, Repository


@dataclass(slots=True)
class Comment:
    """A comment on a pull request."""

    id: int
    author: Account
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Pull:
    """A pull request between two branches of one repository; `head_sha` stays when the branch is gone.

    One that is `from_fork` has its head in somebody else's repository, which the sandbox does not hold.
    """

    id: int
    number: int
    author: Account
    title: str
    body: str | None
    head: str
    base: str
    head_sha: str
    base_sha: str
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    from_fork: bool = False
    state: Literal["open", "closed"] = "open"
    closed_at: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str | None = None
    comments: list[Comment] = field(default_factory=list)

    @property
    def merged(self) -> bool:
        """Whether it was merged."""
        return self.merged_by is not None


@dataclass(frozen=True, slots=True)
class PullEvent:
    """Something happened to a pull request that workflows may wait for."""

    repository: Repository
    pull: Pull
    action: Literal["opened", "synchronize", "reopened"]
    actor: Account


@dataclass(frozen=True, slots=True)
class Status:
    """A commit's status in one context; the newest of a context counts."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: Account
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """A finished check run that somebody else than Actions' own jobs made."""

    id: int
    sha: str
    name: str
    conclusion: str
    title: str
    summary: str
    details_url: str | None
    completed_at: datetime
    external_id: str = ""
