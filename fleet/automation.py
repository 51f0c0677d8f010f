"""What the CI system that runs fleet says of itself in its environment: GitHub Actions' variables.

https://docs.github.com/en/actions/reference/workflows-and-actions/variables
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.model import Frozen


class By(Frozen):
    """On whose behalf something was done: the run's page, the commit that it ran for, who set it off, and whether it
    was started again (the number of the attempt)."""

    url: str
    commit: str = ""
    actor: str = ""
    attempt: int = 1


def by_whom(environment: Mapping[str, str]) -> By | None:
    """The run of GitHub Actions that this process is part of; None outside of one."""
    server, repository, run = (environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if not (server and repository and run):
        return None
    attempt = environment.get("GITHUB_RUN_ATTEMPT", "")
    return By(
        url=f"{server.rstrip('/')}/{repository}/actions/runs/{run}",
        commit=environment.get("GITHUB_SHA", ""),
        actor=environment.get("GITHUB_ACTOR", ""),
        attempt=int(attempt) if attempt.isdecimal() else 1,
    )


def fleet_repository(environment: Mapping[str, str]) -> str | None:
    """The repository whose workflow runs this process, as `owner/name`; None outside of GitHub Actions."""
    return environment.get("GITHUB_REPOSITORY") or None
