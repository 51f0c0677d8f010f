"""GitHub Actions around a run, as the runner tells it: the repository, the pull request, where results are put.

https://docs.github.com/en/actions/reference/workflows-and-actions/variables
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.model import Frozen

LARGEST_EVENT = 32 << 20
"""Bytes of an event that are read; GitHub's own limit is 25 MB."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40,64}")

TOKENS = ("FLEET_COMMENT_TOKEN", "GITHUB_TOKEN")
"""Variables that may hold the token that comments, the first that is set."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The pull request that a workflow runs for."""

    number: int
    head: str
    from_fork: bool


class By(Frozen):
    """On whose behalf something was done: the run's page, the commit that it ran for, who set it off, and whether it
    was started again (the number of the attempt)."""

    url: str
    commit: str = ""
    actor: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Runner:
    """What is known of the runner; what it does not tell is empty or None."""

    repository: str = ""
    commit: str = ""
    actor: str = ""
    attempt: int = 1
    run: str = ""
    run_url: str = ""
    plan_run: str = ""
    """The run that made the plan which is applied now, as an earlier step of the job has found out."""
    api: str = "https://api.github.com"
    token: str = ""
    """The name of the variable that holds the token that comments."""
    workspace: Path | None = None
    summary: Path | None = None
    output: Path | None = None
    event: Path | None = None
    """The file that holds what set the workflow off."""

    @property
    def pull_request(self) -> PullRequest | None:
        """The pull request that the workflow runs for."""
        return _pull_request(_document(self.event), self.repository) if self.event else None

    @property
    def by(self) -> By | None:
        """The run that this process is part of; None outside of one."""
        return (
            By(url=self.run_url, commit=self.commit, actor=self.actor, attempt=self.attempt) if self.run_url else None
        )


def runner_of(environ: Mapping[str, str]) -> Runner:
    """The runner that these variables describe."""
    repository = environ.get("GITHUB_REPOSITORY", "")
    repository = repository if _REPOSITORY.fullmatch(repository) else ""
    run = environ.get("GITHUB_RUN_ID", "")
    run = run if run.isdecimal() else ""
    plan_run = environ.get("FLEET_PLAN_RUN", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    commit = environ.get("GITHUB_SHA", "")
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
    return Runner(
        repository=repository,
        commit=commit if _COMMIT.fullmatch(commit) else "",
        actor=environ.get("GITHUB_ACTOR", ""),
        attempt=int(attempt) if attempt.isdecimal() else 1,
        run=run,
        run_url=f"{server}/{repository}/actions/runs/{run}" if repository and run else "",
        plan_run=plan_run if plan_run.isdecimal() else "",
        api=environ.get("GITHUB_API_URL") or "https://api.github.com",
        token=next((name for name in TOKENS if environ.get(name)), ""),
        workspace=_path(environ, "GITHUB_WORKSPACE"),
        summary=_path(environ, "GITHUB_STEP_SUMMARY"),
        output=_path(environ, "GITHUB_OUTPUT"),
        event=_path(environ, "GITHUB_EVENT_PATH"),
    )


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _document(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(LARGEST_EVENT))
    except (OSError, ValueError, RecursionError):
        return None


def _pull_request(event: Any, repository: str) -> PullRequest | None:
    """The pull request of an event; None where it has none, or none that looks like one."""
    match event:
        case {"pull_request": {"number": int(number), "head": {"sha": str(head), "repo": source}}}:
            if isinstance(number, bool) or number < 1 or not _COMMIT.fullmatch(head):
                return None
            name = source.get("full_name") if isinstance(source, dict) else None
            return PullRequest(number, head, from_fork=name != repository)
    return None
