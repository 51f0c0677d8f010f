"""Posts what a run has come to on the pull request that it is about: one comment, and a check on its head.

The workflow's own token posts, never one of fleet.yaml's. What cannot be posted is said, and changes no exit code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from fleet import plugins
from fleet.errors import FleetError, TryAgain, Unsure
from fleet.pace import Budget, Pace
from fleet.provider import CodeHost, Context, Verdict
from fleet.runner import Runner
from fleet.secrets import read_secret

PATIENCE = 120.0
"""Seconds that posting may take in all."""

Result = TypeVar("Result")

_PLAN = re.compile(r"<!-- plan: ([0-9a-f]{64}) run: ([0-9]{1,20}) -->")


class Agreed(NamedTuple):
    """The plan that a merged pull request showed: its number, the plan's hash, and the run that holds its file."""

    pull_request: int
    plan: str
    run: str


@dataclass(frozen=True, slots=True)
class Post:
    """What is posted about one fleet.yaml: to which pull request, the text, and the verdict on which commit."""

    file: str
    number: int
    body: str
    commit: str
    verdict: Verdict


def marker(file: str) -> str:
    """The hidden first line that tells the comment of one fleet.yaml of a repository from all others."""
    return f"<!-- fleet: {quote(file, safe='/._')} -->"


def plan_marker(plan: str, run: str) -> str:
    """The hidden second line: which plan the comment shows, and the run that holds its file."""
    return f"<!-- plan: {plan} run: {run} -->"


def post(posted: Post, runner: Runner) -> list[str]:
    """Post comment and check; returns a sentence for each that could not be."""
    if not (runner.repository and runner.token):
        return ["no comment was posted: the workflow gives no token (GITHUB_TOKEN) or no repository"]
    troubles = []
    body = f"{marker(posted.file)}\n{posted.body}"
    try:
        host, again = _host(runner)
        again(lambda: host.comment(runner.repository, posted.number, marker(posted.file), body))
    except FleetError as error:
        troubles.append(f"the comment could not be posted: {error}")
    try:
        host, again = _host(runner)
        if posted.commit:
            again(lambda: host.judge(runner.repository, posted.commit, posted.verdict))
    except FleetError as error:
        troubles.append(f"the check could not be posted: {error}")
    return troubles


def agreed(file: str, runner: Runner) -> Agreed | None:
    """The plan that the pull request showed which brought the runner's commit; None where there is none.

    Raises FleetError when the code host does not tell.
    """
    if not (runner.repository and runner.token and runner.commit):
        raise FleetError(
            "this is no run of GitHub Actions with a token: GITHUB_REPOSITORY, GITHUB_SHA or a token is missing"
        )
    host, again = _host(runner)
    remark = again(lambda: host.remark_on(runner.repository, runner.commit, marker(file)))
    found = _PLAN.search(remark.body[:1000]) if remark else None
    return Agreed(remark.pull_request, found[1], found[2]) if remark and found else None


def _host(runner: Runner) -> tuple[CodeHost, Callable[[Callable[[], Result]], Result]]:
    """GitHub with the runner's token, and what repeats a request whose answer was lost: each looks before it writes."""
    provider = plugins.load("github")
    assert provider is not None, "the distribution itself brings it"
    pace = Pace(Budget(seconds=PATIENCE))
    login = {"type": "github", "base_url": runner.api, "auth": {"token": {"env": runner.token}}}
    context = Context(
        fleet="",
        folder=Path(),
        secret=lambda source: read_secret(source, Path()),
        spend=lambda: pace.spend("comments", provider.limits),
    )
    host = provider("comments", provider.settings.model_validate(login), context)
    assert isinstance(host, CodeHost)

    def again(work: Callable[[], Result]) -> Result:
        def once() -> Result:
            try:
                return work()
            except Unsure as error:
                raise TryAgain(str(error)) from error

        return pace.repeat(provider.limits, once)

    return host, again
