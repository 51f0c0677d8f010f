"""Pushes start workflows, and builds really push images."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Literal

import pytest
from github import Github, GithubException
from github.Repository import Repository
from github.WorkflowRun import WorkflowRun

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.clock import Lag
from fleet.sandbox.http import Loopback
from tests.sandbox.github.conftest import ENVIRONMENT
from tests.sandbox.github.registry import Registry

BUILD = """
name: Build
on:
  push:
    branches: [main]
    paths-ignore: ["docs/**"]
  workflow_dispatch:
permissions:
  contents: read
env:
  NAME: hub/image
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - name: Check out
        uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          persist-credentials: false
      - name: Build and push
        id: build
        uses: jupyterhub/repo2docker-action@daa77f929833dcd836a711bc7837af945e9d27cc
        with:
          DOCKER_USERNAME: ${{ secrets.REGISTRY_USERNAME }}
          DOCKER_PASSWORD: ${{ secrets.REGISTRY_PASSWORD }}
          DOCKER_REGISTRY: ${{ vars.REGISTRY }}
          IMAGE_NAME: ${{ env.NAME }}
          REPO_DIR: /srv/repo
"""
PATH = ".github/workflows/build.yaml"


@pytest.fixture(params=["basic", "bearer"])
def registry(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    """A registry with either way to log in."""
    auth: Literal["basic", "bearer"] = request.param
    with Loopback(Registry(auth)) as served:
        yield served


@pytest.fixture
def plain() -> Iterator[Loopback]:
    """A registry that asks for Basic."""
    with Loopback(Registry()) as served:
        yield served


def ready(ada: Github, sandbox: Sandbox, registry: Loopback, workflow: str = BUILD) -> Repository:
    """A repository whose first commit has no workflow, with the login to the registry; then the workflow comes."""
    sandbox.state.create_repository("example-org/image", {"environment.yml": ENVIRONMENT})
    repository = ada.get_repo("example-org/image")
    repository.create_secret("REGISTRY_USERNAME", "hub+push")
    repository.create_secret("REGISTRY_PASSWORD", "s3cret")
    repository.create_variable("REGISTRY", registry.host)
    repository.create_file(PATH, "Build images", workflow)
    return repository


def stored(registry: Loopback) -> Registry:
    """What the registry holds."""
    assert isinstance(registry.service, Registry)
    return registry.service


CREDENTIALS = (b"s3cret", base64.b64encode(b"hub+push:s3cret"), base64.b64encode(b"x-access-token")[:18])
"""The registry's password, as it is and as HTTP sends it, and how a job's token begins where git keeps it."""


def credentials_in(contents: Mapping[str, bytes]) -> set[str]:
    """The parts of an unpacked image that hold a credential."""
    return {path for path, data in contents.items() if any(credential in data for credential in CREDENTIALS)}


def only_run(sandbox: Sandbox, repository: Repository) -> WorkflowRun:
    """The one run of a repository, once it has ended."""
    sandbox.actions.wait()
    (run,) = repository.get_workflow_runs()
    return run


def failed_step(run: WorkflowRun) -> str:
    """The step that made a run red."""
    assert run.conclusion == "failure"
    (job,) = run.jobs()
    (step,) = [step for step in job.steps if step.conclusion == "failure"]
    return step.name


def message(sandbox: Sandbox) -> str:
    """Why the last run's step failed, as the sandbox notes it for people."""
    run = sandbox.state.repository("example-org/image").runs[-1]
    return "".join(step.message for job in run.jobs for step in job.steps) or run.message


def test_a_push_builds_and_pushes_a_labelled_image(sandbox: Sandbox, ada: Github, registry: Loopback) -> None:
    repository = ready(ada, sandbox, registry)
    run = only_run(sandbox, repository)
    head = repository.get_branch("main").commit.sha
    assert (run.status, run.conclusion, run.event, run.head_sha, run.run_attempt) == (
        "completed",
        "success",
        "push",
        head,
        1,
    )
    image = stored(registry)
    assert image.tags == {head[:12], "latest"}
    assert image.labels("latest") == {
        "repo2docker.repo": "https://github.com/example-org/image",
        "repo2docker.ref": "refs/heads/main",
    }
    files = image.files("latest")
    assert files["srv/repo/environment.yml"] == ENVIRONMENT.encode()
    assert [step.conclusion for job in run.jobs() for step in job.steps] == ["success", "success"]
    assert credentials_in({**files, "configuration": image.configuration("latest")}) == set()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("NAME: hub/image", "NAME: hub/other", "refused with 401"),
        ("NAME: hub/image", "NAME: Hub/Image", "invalid reference format"),
        ("secrets.REGISTRY_PASSWORD", "secrets.REGISTRY_USERNAME", "login was refused with 401"),
        ("secrets.REGISTRY_PASSWORD", "secrets.MISSING", "refused with 401"),
        ("vars.REGISTRY", "'quay.io'", "the sandbox knows no registry for quay.io"),
        ("REPO_DIR:", "REPOSITORY_DIR:", "does not know the input 'REPOSITORY_DIR'"),
        ("REPO_DIR: /srv/repo", "NO_PUSH: 'yes'", "invalid value for NO_PUSH"),
        ("REPO_DIR: /srv/repo", "APPENDIX_FILE: appendix", "appendix: No such file"),
        ("REPO_DIR: /srv/repo", "PUBLIC_REGISTRY_CHECK: 1", "Make sure this image is public"),
        ("env.NAME", "github.event.forced", "does not know github.event.forced"),
    ],
)
def test_what_is_wrong_with_a_build_is_a_red_run(
    sandbox: Sandbox, ada: Github, plain: Loopback, old: str, new: str, why: str
) -> None:
    repository = ready(ada, sandbox, plain, BUILD.replace(old, new))
    assert failed_step(only_run(sandbox, repository)) == "Build and push"
    assert why in message(sandbox)
    assert "s3cret" not in message(sandbox)


def test_an_action_that_the_sandbox_does_not_know_fails_by_name(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    workflow = BUILD.replace("jupyterhub/repo2docker-action@", "docker/build-push-action@")
    repository = ready(ada, sandbox, plain, workflow)
    assert failed_step(only_run(sandbox, repository)) == "Build and push"
    assert "docker/build-push-action" in message(sandbox)


def test_tags_and_pushing_are_switched_as_the_action_does(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    repository = ready(ada, sandbox, plain, f"{BUILD}          LATEST_TAG_OFF: false\n")
    first = only_run(sandbox, repository).head_sha
    assert stored(plain).tags == {first[:12]}
    found = repository.get_contents(PATH)
    assert not isinstance(found, list)
    workflow = f'{BUILD}          NO_PUSH: "true"\n'
    repository.update_file(PATH, "Push nothing", workflow, found.sha)
    sandbox.actions.wait()
    assert [run.conclusion for run in repository.get_workflow_runs()] == ["success", "success"]
    assert stored(plain).tags == {first[:12]}


def test_a_checkout_that_keeps_its_credentials_leaks_them(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    repository = ready(ada, sandbox, plain, BUILD.replace("persist-credentials: false", "fetch-depth: 1"))
    assert only_run(sandbox, repository).conclusion == "success"
    assert credentials_in(stored(plain).files("latest")) == {"srv/repo/.git/config"}


def test_runs_are_started_only_by_what_the_workflow_asks_for(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    repository = ready(ada, sandbox, plain)
    repository.create_file("docs/a.md", "Only documentation", "a")
    repository.create_file("b.txt", "A change [skip ci]", "b")
    repository.create_git_ref("refs/heads/topic", repository.get_branch("main").commit.sha)
    repository.create_file("c.txt", "On a branch", "c", branch="topic")
    assert repository.get_workflow_runs().totalCount == 1
    last = repository.create_file("d.txt", "A change", "d")["commit"].sha
    assert [run.head_sha for run in repository.get_workflow_runs(head_sha=last)] == [last]
    sandbox.actions.wait()
    assert repository.get_workflow_runs(status="success", branch=repository.get_branch("main")).totalCount == 2


def test_switched_off_actions_start_nothing_and_forbidden_ones_fail_at_once(
    sandbox: Sandbox, ada: Github, plain: Loopback
) -> None:
    repository = ready(ada, sandbox, plain)
    state = sandbox.state.repository("example-org/image")
    sandbox.actions.wait()
    state.actions_enabled = False
    repository.create_file("a", "Add", "a")
    state.actions_enabled, state.allowed_actions = True, "selected"
    repository.create_file("b", "Add", "b")
    sandbox.actions.wait()
    assert [run.conclusion for run in repository.get_workflow_runs()] == ["startup_failure", "success"]
    state.allowed_patterns = ("jupyterhub/*",)
    repository.create_file("c", "Add", "c")
    sandbox.actions.wait()
    assert repository.get_workflow_runs()[0].conclusion == "success"


def test_a_broken_workflow_file_is_a_red_run_without_jobs(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    repository = ready(ada, sandbox, plain, "on: push\non: push\njobs: {}\n")
    run = only_run(sandbox, repository)
    assert (run.conclusion, run.name, run.jobs().totalCount) == ("failure", PATH, 0)
    assert "'on' stands there twice" in message(sandbox)


def test_a_group_that_cannot_be_evaluated_is_a_red_run(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    group = "concurrency: {group: '${{ github.colour }}', cancel-in-progress: true}\n"
    run = only_run(sandbox, ready(ada, sandbox, plain, group + BUILD))
    assert (run.conclusion, message(sandbox)) == ("failure", "the sandbox does not know github.colour")


def test_runs_can_be_held_back_cancelled_and_run_again(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    sandbox.actions.hold()
    repository = ready(ada, sandbox, plain)
    (run,) = repository.get_workflow_runs()
    assert (run.status, run.raw_data["conclusion"]) == ("queued", None)
    assert not run.rerun()
    assert run.cancel()
    assert not run.cancel()
    sandbox.actions.release()
    run.update()
    assert (run.status, run.conclusion) == ("completed", "cancelled")
    assert run.rerun()
    sandbox.actions.wait()
    run.update()
    assert (run.run_attempt, run.conclusion) == (2, "success")


def test_a_newer_run_of_a_group_cancels_the_older(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    group = "concurrency: {group: '${{ github.workflow }}-${{ github.ref }}', cancel-in-progress: true}\n"
    sandbox.state.settings.builds = "hang"
    repository = ready(ada, sandbox, plain, group + BUILD)
    sandbox.actions.wait()
    sandbox.state.settings.builds = "run"
    repository.create_file("a", "Add", "a")
    sandbox.actions.wait()
    assert [run.conclusion for run in repository.get_workflow_runs()] == ["success", "cancelled"]


@pytest.mark.parametrize(
    ("behaviour", "status", "conclusion"),
    [
        ("queue", "queued", None),
        ("hang", "in_progress", None),
        ("fail", "completed", "failure"),
        ("cancel", "completed", "cancelled"),
        ("green", "completed", "success"),
    ],
)
def test_a_run_can_be_made_to_go_wrong(
    sandbox: Sandbox,
    ada: Github,
    plain: Loopback,
    behaviour: Literal["queue", "hang", "fail", "cancel", "green"],
    status: str,
    conclusion: str | None,
) -> None:
    sandbox.state.settings.builds = behaviour
    run = only_run(sandbox, ready(ada, sandbox, plain))
    assert (run.status, run.conclusion, stored(plain).tags) == (status, conclusion, set())


def test_a_run_shows_only_after_a_while(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    sandbox.state.settings.run_lag = Lag(requests=2)
    repository = ready(ada, sandbox, plain)
    assert [repository.get_workflow_runs().totalCount for _ in range(3)] == [0, 0, 1]


def test_a_workflow_is_started_by_hand(sandbox: Sandbox, ada: Github, plain: Loopback) -> None:
    repository = ready(ada, sandbox, plain)
    (workflow,) = repository.get_workflows()
    assert (workflow.name, workflow.path, workflow.state) == ("Build", PATH, "active")
    assert repository.get_workflow("build.yaml").id == workflow.id
    assert workflow.create_dispatch("main")
    sandbox.actions.wait()
    assert [run.event for run in workflow.get_runs()] == ["workflow_dispatch", "push"]
    with pytest.raises(GithubException) as caught:
        workflow.create_dispatch("main", {"colour": "red"}, throw=True)
    assert caught.value.status == 422


def test_a_generated_repository_builds_by_itself_only_if_told_so(
    sandbox: Sandbox, ada: Github, plain: Loopback
) -> None:
    sandbox.state.create_repository("example-org/source", {PATH: BUILD}, is_template=True)
    source, organization = ada.get_repo("example-org/source"), ada.get_organization("example-org")
    sandbox.state.settings.generate_lag = Lag()
    counts = []
    for pushes in (True, False):
        sandbox.state.settings.generate_pushes = pushes
        made = organization.create_repo_from_template(f"made-{pushes}", source)
        assert made.get_branches().totalCount == 1
        counts.append(made.get_workflow_runs().totalCount)
    assert counts == [1, 0]
