"""The built-in template's workflows, run: images are built, pushed with the right tag, and hold no credential."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from github import Auth, Github

from fleet.render import RenderValues, render
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.http import Loopback, Request, Response
from fleet.sandbox.push import MANIFEST
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
from fleet.templates import read_pins, read_template
from tests.logins import LOGINS

BUILD, TEST = MANAGED = (".github/workflows/build.yaml", ".github/workflows/test.yaml")
TEMPLATE = read_template("builtin:user-image", Path("/nowhere"), MANAGED, ["README.md", "environment.yml"])
VALUES = RenderValues("quay.io", "example/climate", "main", read_pins(), LOGINS["a stored password"][1])
WORKFLOWS = render(TEMPLATE.managed, VALUES)
PASSWORD = "s3cret-of-the-robot"
CREDENTIALS = (PASSWORD.encode(), b64encode(PASSWORD.encode()), b64encode(b"x-access-token")[:18])
"""What must not lie in an image: the registry's password, and the beginning of a job's token as git stores it."""


class Quay:
    """A registry whose one login may push to one repository, and nobody else may do anything."""

    def __init__(self) -> None:
        self.tokens = TokenService(self._authenticate)
        self.registry = Registry(self.tokens)

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if (username, password) != ("example+climate", PASSWORD):
            return None
        return lambda name: frozenset({"pull", "push"}) if name == "example/climate" else frozenset()

    def handle(self, request: Request) -> Response:
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)

    @property
    def held(self) -> dict[str, set[str]]:
        """The tags of every repository."""
        return {name: set(one["tags"]) for name, one in self.registry.repositories.items()}


@pytest.fixture
def quay() -> Iterator[Loopback]:
    with Loopback(Quay()) as served:
        yield served


@pytest.fixture
def sandbox(tmp_path: Path, quay: Loopback) -> Iterator[Sandbox]:
    """A sandbox GitHub whose builds reach `quay` under its real name."""
    with serve_github(tmp_path / "github", registries={"quay.io": quay.url}) as served:
        served.state.create_user("ada")
        served.state.create_organization("example-org", admins=["ada"])
        yield served


@pytest.fixture
def ada(sandbox: Sandbox) -> Iterator[Github]:
    with Github(
        auth=Auth.Token(sandbox.state.create_token("ada")),
        base_url=sandbox.url,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    ) as client:
        yield client


def layer(quay: Loopback, tag: str) -> tuple[bytes, bytes]:
    """The configuration and the one layer of a pushed image, the latter unpacked."""
    url = f"{quay.url}/v2/example/climate"
    asked = {"service": "registry", "scope": "repository:example/climate:pull"}
    login = ("example+climate", PASSWORD)
    token = httpx.get(f"{quay.url}{TOKEN_PATH}", params=asked, auth=login).json()["token"]
    with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
        manifest = client.get(f"{url}/manifests/{tag}", headers={"accept": MANIFEST}).json()
        parts = (manifest["config"]["digest"], manifest["layers"][0]["digest"])
        config, packed = (client.get(f"{url}/blobs/{digest}").content for digest in parts)
    return config, gzip.decompress(packed)


def built(sandbox: Sandbox, ada: Github, quay: Loopback, build: bytes) -> tuple[bytes, bytes]:
    """The image that a new repository's build workflow makes: its configuration and its layer."""
    first = {path: data.decode() for path, data in TEMPLATE.seed.items()}
    sandbox.state.create_repository("example-org/climate", first)
    repository = ada.get_repo("example-org/climate")
    repository.create_secret("QUAY_PASSWORD", PASSWORD)
    repository.create_file(BUILD, "Build images", build)
    sandbox.actions.wait()
    (run,) = repository.get_workflow_runs()
    assert (run.conclusion, run.event) == ("success", "push")
    assert isinstance(quay.service, Quay)
    tag = repository.get_branch("main").commit.sha[:12]
    assert quay.service.held == {"example/climate": {tag, "latest"}}
    return layer(quay, tag)


def test_a_repository_of_these_files_builds_its_image_and_no_credential_gets_into_it(
    sandbox: Sandbox, ada: Github, quay: Loopback
) -> None:
    parts = built(sandbox, ada, quay, WORKFLOWS[BUILD])
    assert b"environment.yml" in parts[1]
    assert not any(credential in part for part in parts for credential in CREDENTIALS)


def test_a_checkout_that_left_its_token_behind_would_be_seen_in_the_image(
    sandbox: Sandbox, ada: Github, quay: Loopback
) -> None:
    careless = WORKFLOWS[BUILD].replace(b"persist-credentials: false", b"persist-credentials: true")
    parts = built(sandbox, ada, quay, careless)
    assert any(credential in part for part in parts for credential in CREDENTIALS)


def test_a_pull_request_is_built_and_nothing_is_pushed(sandbox: Sandbox, ada: Github, quay: Loopback) -> None:
    first = {**TEMPLATE.seed, **WORKFLOWS}
    sandbox.state.create_repository("example-org/climate", {path: data.decode() for path, data in first.items()})
    repository = ada.get_repo("example-org/climate")
    repository.create_git_ref("refs/heads/more", repository.get_branch("main").commit.sha)
    repository.create_file("postBuild", "More", "true", branch="more")
    repository.create_pull("main", "more", title="More")
    sandbox.actions.wait()
    (run,) = repository.get_workflow_runs()
    assert (run.name, run.event, run.conclusion) == ("Test", "pull_request", "success")
    assert isinstance(quay.service, Quay)
    assert quay.service.held == {}
