"""A sandbox GitHub with one organisation, watched by the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from github import Auth, Github

from fleet.sandbox.github import Sandbox, serve_github
from tests.github_judge import Judge

ENVIRONMENT = "dependencies:\n  - python=3.12\n"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """`example-org` with the admin `ada`, the member `ben`, and a template; every exchange is judged at the end."""
    with serve_github(tmp_path / "github") as served:
        judge = Judge(served.loopback.service)
        served.loopback.service = judge
        state = served.state
        state.create_user("ada", "Ada Lovelace")
        state.create_user("ben")
        state.create_organization("example-org", admins=["ada"], members=["ben"])
        state.create_repository("example-org/template", {"environment.yml": ENVIRONMENT}, is_template=True)
        yield served
    assert judge.disagreements == []


Login = Callable[[str], Github]


@pytest.fixture
def login(sandbox: Sandbox) -> Iterator[Login]:
    """PyGithub with a token, neither waiting nor retrying by itself."""
    clients: list[Github] = []

    def client(token: str) -> Github:
        made = Github(
            auth=Auth.Token(token),
            base_url=sandbox.url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.close()


@pytest.fixture
def ada(sandbox: Sandbox, login: Login) -> Github:
    """The admin, with every right."""
    return login(sandbox.state.create_token("ada"))


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """The admin without a library in between."""
    token = sandbox.state.create_token("ada")
    with httpx.Client(base_url=sandbox.url, headers={"authorization": f"Bearer {token}"}) as client:
        yield client
