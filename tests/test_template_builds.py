"""The built-in template's workflows, run: each kind of login pushes one image with the right tag and no credential in
it, and what must not push does not."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from github import Auth, Github
from github.Repository import Repository

from fleet.render import RenderValues, render
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.http import Loopback
from fleet.templates import read_pins, read_template
from tests.clouds import IMAGE, KEY, KEY_ID, Cloud
from tests.logins import LOGINS

BUILD, TEST = MANAGED = (".github/workflows/build.yaml", ".github/workflows/test.yaml")
TEMPLATE = read_template("builtin:user-image", Path("/nowhere"), MANAGED, ["README.md", "environment.yml"])
SOURCE = "example-org/climate"
KEYLESS = ("AWS without a key", "Google without a key")
PASSWORD, JSON_KEY = "canary-of-the-robot", '{"type": "service_account",\n "private_key": "canary-of-google"}\n'
SECRETS = {
    "QUAY_PASSWORD": PASSWORD,
    "DOCKER_PASSWORD_QUAY": PASSWORD,
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "GCP_SA_KEY": JSON_KEY,
}
VENDORS = ("sts.us-west-2.amazonaws.com", "api.ecr.us-west-2.amazonaws.com", "sts.googleapis.com")
FIRST_OF_A_TOKEN = b64encode(b"x-access-token")[:18]
"""How a job's token begins where git's configuration keeps it."""


def workflows(kind: str) -> dict[str, str]:
    host, login = LOGINS[kind]
    values = RenderValues(host, IMAGE, "main", read_pins(), login)
    return {path: data.decode() for path, data in render(TEMPLATE.managed, values).items()}


@pytest.fixture
def served() -> Iterator[Loopback]:
    """The registry, under every host that a kind of login has, and what its login steps call."""
    with Loopback(Cloud()) as loopback:
        yield loopback


@pytest.fixture
def cloud(served: Loopback) -> Cloud:
    assert isinstance(served.service, Cloud)
    served.service.logins |= {("example+climate", PASSWORD), ("_json_key", JSON_KEY)}
    served.service.canaries |= {PASSWORD, JSON_KEY, "canary-of-google"}
    return served.service


@pytest.fixture
def sandbox(tmp_path: Path, served: Loopback, cloud: Cloud) -> Iterator[Sandbox]:
    """A sandbox GitHub whose builds reach the cloud under its real names."""
    registries = {host: served.url for host, _ in LOGINS.values()}
    services = dict.fromkeys(VENDORS, served.url)
    with serve_github(tmp_path / "github", registries=registries, services=services) as github:
        github.state.create_user("ada")
        github.state.create_user("mallory")
        github.state.create_organization("example-org", admins=["ada"])
        cloud.address = github.url

        def may_push_packages(password: str) -> bool:
            token = github.state.tokens.get(password)
            cloud.canaries.add(password)
            return (
                token is not None
                and token.rights.get("packages") == "write"
                and token.repositories == frozenset({SOURCE})
            )

        cloud.of_github = may_push_packages
        yield github


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


def pushed(sandbox: Sandbox, ada: Github, files: Mapping[str, str]) -> Repository:
    """A repository with the secrets of every kind, to which these workflows were pushed; its runs have ended."""
    first = {path: data.decode() for path, data in TEMPLATE.seed.items()}
    sandbox.state.create_repository(SOURCE, first)
    repository = ada.get_repo(SOURCE)
    for name, value in SECRETS.items():
        repository.create_secret(name, value)
    sandbox.commit(SOURCE, files, "Build images")
    sandbox.actions.wait()
    return repository


def leaks(contents: Mapping[str, bytes], cloud: Cloud) -> set[str]:
    """The parts of an image that hold a credential, as it is or as HTTP and git encode it."""
    plain = [canary.strip().encode() for canary in cloud.canaries if canary]
    sought = [FIRST_OF_A_TOKEN, *plain, *(b64encode(canary).rstrip(b"=")[:-1] for canary in plain)]
    return {path for path, data in contents.items() if any(canary in data for canary in sought)}


def why(sandbox: Sandbox) -> str:
    """Why the last run's steps failed, as the sandbox notes it for people."""
    run = sandbox.state.repository(SOURCE).runs[-1]
    return " ".join(step.message for job in run.jobs for step in job.steps if step.message)


@pytest.mark.parametrize("kind", LOGINS)
def test_a_build_logs_in_pushes_its_tag_and_leaves_no_credential_in_the_image(
    kind: str, sandbox: Sandbox, ada: Github, cloud: Cloud, served: Loopback
) -> None:
    repository = pushed(sandbox, ada, workflows(kind))
    (run,) = repository.get_workflow_runs()
    assert (run.conclusion, run.event, why(sandbox)) == ("success", "push", "")
    tag = repository.get_branch("main").commit.sha[:12]
    assert cloud.held == {IMAGE: {tag, "latest"}}
    contents = cloud.contents(served.url, tag)
    assert "srv/repo/environment.yml" in contents
    assert leaks(contents, cloud) == set()


CARELESS = {
    "persist-credentials: false": ("a stored password", "persist-credentials: true", "srv/repo/.git/config"),
    'create_credentials_file: "false"': ("Google without a key", 'create_credentials_file: "true"', "gha-creds-"),
}


@pytest.mark.parametrize("careful", CARELESS)
def test_a_credential_that_a_step_left_behind_would_be_seen_in_the_image(
    careful: str, sandbox: Sandbox, ada: Github, cloud: Cloud, served: Loopback
) -> None:
    kind, careless, where = CARELESS[careful]
    given = workflows(kind)
    assert careful in given[BUILD]
    repository = pushed(sandbox, ada, {**given, BUILD: given[BUILD].replace(careful, careless)})
    cloud.canaries.add("external_account")  # what a file of credentials says that it is
    contents = cloud.contents(served.url, repository.get_branch("main").commit.sha[:12])
    (leak,) = leaks(contents, cloud)
    assert where in leak


@pytest.mark.parametrize("kind", KEYLESS)
def test_nobody_vouches_for_a_job_without_the_right_to_ask_for_it(
    kind: str, sandbox: Sandbox, ada: Github, cloud: Cloud
) -> None:
    build = workflows(kind)[BUILD]
    lines = [line for line in build.splitlines(keepends=True) if "id-token" not in line]
    (run,) = pushed(sandbox, ada, {BUILD: "".join(lines)}).get_workflow_runs()
    assert run.conclusion == "failure"
    assert "id-token" in why(sandbox)
    assert cloud.held == {}


def test_the_jobs_token_pushes_nothing_without_the_right_to_packages(
    sandbox: Sandbox, ada: Github, cloud: Cloud
) -> None:
    build = workflows("GITHUB_TOKEN")[BUILD].replace("packages: write", "packages: read")
    (run,) = pushed(sandbox, ada, {BUILD: build}).get_workflow_runs()
    assert (run.conclusion, cloud.held) == ("failure", {})
    assert "refused with 401" in why(sandbox)


@pytest.mark.parametrize("kind", KEYLESS)
def test_a_build_on_another_branch_is_let_in_nowhere(kind: str, sandbox: Sandbox, ada: Github, cloud: Cloud) -> None:
    repository = pushed(sandbox, ada, {"notes": "no workflow yet"})
    repository.create_git_ref("refs/heads/topic", repository.get_branch("main").commit.sha)
    everywhere = (
        workflows(kind)[BUILD].replace('branches: ["main"]', 'branches: ["**"]').replace("heads/main", "heads/topic")
    )
    repository.create_file(BUILD, "Build on any branch", everywhere, branch="topic")
    sandbox.actions.wait()
    (run,) = repository.get_workflow_runs()
    assert (run.head_branch, run.conclusion) == ("topic", "failure")
    assert "AssumeRoleWithWebIdentity" in why(sandbox) or "unauthorized_client" in why(sandbox)
    assert cloud.held == {}


@pytest.mark.parametrize("kind", LOGINS)
def test_a_pull_request_is_built_and_nothing_is_pushed(kind: str, sandbox: Sandbox, ada: Github, cloud: Cloud) -> None:
    asked = set(cloud.canaries)
    first = {**{path: data.decode() for path, data in TEMPLATE.seed.items()}, **workflows(kind)}
    sandbox.state.create_repository(SOURCE, first)
    repository = ada.get_repo(SOURCE)
    repository.create_git_ref("refs/heads/more", repository.get_branch("main").commit.sha)
    repository.create_file("postBuild", "More", "true", branch="more")
    repository.create_pull("main", "more", title="More")
    sandbox.propose_from_fork(SOURCE, {"postBuild": "true"}, "mallory")
    sandbox.actions.wait()
    runs = list(repository.get_workflow_runs())
    assert [(run.name, run.event, run.conclusion) for run in runs] == [("Test", "pull_request", "success")] * 2
    assert cloud.held == {}
    assert asked == cloud.canaries, "a credential was asked for"


@pytest.mark.parametrize("kind", LOGINS)
def test_a_fork_that_proposes_a_workflow_of_its_own_gets_no_credential(
    kind: str, sandbox: Sandbox, ada: Github, cloud: Cloud
) -> None:
    repository = pushed(sandbox, ada, {"notes": "no workflow yet"})
    build = workflows(kind)[BUILD].replace('push:\n    branches: ["main"]', "pull_request:")
    lines = [line for line in build.splitlines(keepends=True) if "if: github.ref" not in line]
    sandbox.propose_from_fork(SOURCE, {BUILD: "".join(lines)}, "mallory")
    sandbox.actions.wait()
    (run,) = repository.get_workflow_runs()
    assert (run.event, run.conclusion) == ("pull_request", "failure")
    assert cloud.held == {}
