"""Default branches on GitHub: read in batches, and given to what fleet makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.provider import Context, Secret
from fleet.sandbox.github import Sandbox, serve_github
from fleet_github import GitHub
from fleet_github.settings import GitHubSettings
from tests.github_judge import Judge


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A GitHub with one organisation; every exchange is judged by GitHub's published descriptions."""
    with serve_github(tmp_path / "github") as served:
        judge = Judge(served.loopback.service)
        served.loopback.service = judge
        served.state.create_user("ada")
        served.state.create_organization("example-org", admins=["ada"])
        yield served
    assert judge.disagreements == []


def opened(sandbox: Sandbox, spent: list[None]) -> GitHub:
    token = sandbox.state.create_token("ada")
    context = Context("example", Path(), lambda source: Secret(token), lambda: spent.append(None))
    given = {"type": "github", "base_url": sandbox.url, "auth": {"token": {"env": "TOKEN"}}}
    return GitHub("github", GitHubSettings.model_validate(given), context)


def test_a_hundred_repositories_take_one_query(sandbox: Sandbox) -> None:
    for number in range(101):
        sandbox.state.create_repository(f"example-org/image-{number}", {"a": "a"} if number else {})
    sandbox.state.accounts["example-org"].default_branch = "trunk"
    sandbox.state.create_repository("example-org/other", {"a": "a"})
    spent: list[None] = []
    names = [f"example-org/image-{number}" for number in range(101)]
    found = opened(sandbox, spent).default_branches([*names, "example-org/other", "example-org/missing"])
    assert found == {**dict.fromkeys(names[1:], "main"), "example-org/other": "trunk"}
    assert len(spent) == 2


def test_a_repository_under_its_old_name_is_not_there(sandbox: Sandbox) -> None:
    repository = sandbox.state.create_repository("example-org/old", {"a": "a"})
    sandbox.state.rename_repository(repository, "new")
    assert opened(sandbox, []).default_branches(["example-org/old"]) == {}
