"""From a template to an image in Artifact Registry whose build logged in as itself: nothing is stored on the way."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from github import Auth, Github

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Sandbox as GitHubSandbox
from fleet.sandbox.github import serve_github
from tests.google_cloud import Sandbox, sandbox
from tests.little_fleet import LittleFleet
from tests.rotations import Rotating
from tests.subjects.google import ISSUER

SOURCE = "example-org/climate-image"
STS = "sts.googleapis.com"
WORKFLOW = ".github/workflows/build.yaml"


class Clouds:
    """A fleet with one image, a GitHub for its source, and a Google Cloud that trusts what that GitHub signs."""

    def __init__(self, github: GitHubSandbox, google: Sandbox) -> None:
        self.github, self.google = github, google
        google.state.issuers[ISSUER] = github.issuer.public_key
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "ours",
            "code_hosts": {
                "github": {"type": "github", "base_url": github.url, "auth": {"token": {"env": "GITHUB_TOKEN"}}}
            },
            "registries": {
                "gar": {
                    **google.keys({"auth": {"token": {"env": "GOOGLE_TOKEN"}}}),
                    "type": "gar",
                    "location": "us-central1",
                    "url": google.loopback.url,
                }
            },
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml", "README.md"]}},
            "images": {"climate": {"repository": SOURCE, "template": "user-image", "registry": "gar"}},
        }

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        Path("fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))

    def apply(self) -> None:
        """Apply, and see that nothing is left to do."""
        self.save()
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK

    @property
    def tags(self) -> set[str]:
        """The tags of the image."""
        held = self.google.cloud.registry.repositories.get("example-project/climate-image/climate-image", {"tags": {}})
        return set(held["tags"])

    @property
    def head(self) -> str:
        """The source repository's newest commit."""
        return str(self.github.state.repository(SOURCE).head)

    @property
    def secrets(self) -> list[str]:
        """The Actions secrets of the source repository, by name."""
        return sorted(self.github.state.repository(SOURCE).secrets)


@pytest.fixture
def clouds(little: LittleFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clouds]:
    with sandbox() as google, serve_github(tmp_path / "g", services={STS: google.loopback.url}) as github:
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
        monkeypatch.setenv("GOOGLE_TOKEN", "fleets-token")
        yield Clouds(github, google)


def test_a_build_logs_in_as_itself_and_pushes(clouds: Clouds) -> None:
    clouds.apply()
    assert clouds.head[:12] in clouds.tags
    assert clouds.secrets == []


def test_a_workflow_that_builds_another_branch_logs_in_and_may_not_push(clouds: Clouds) -> None:
    clouds.apply()
    before = clouds.tags
    client = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=clouds.github.url, retry=None)
    repository = client.get_repo(SOURCE)
    repository.create_git_ref("refs/heads/topic", clouds.head)
    workflow = repository.get_contents(WORKFLOW, "topic")
    assert not isinstance(workflow, list)
    opened = workflow.decoded_content.decode().replace("github.ref == 'refs/heads/main'", "always()")
    repository.update_file(WORKFLOW, "Build everything", opened, workflow.sha, branch="topic")
    assert repository.get_workflow("build.yaml").create_dispatch("topic")
    clouds.github.actions.wait()
    (run,) = repository.get_workflow_runs(branch=repository.get_branch("topic"))
    (job,) = run.jobs()
    steps = {step.name: step.conclusion for step in job.steps}
    assert (steps["Log in to Google Cloud"], steps["Build and push"]) == ("success", "failure")
    assert clouds.tags == before
    client.close()


def test_a_build_logs_in_with_a_key_and_pushes(clouds: Clouds) -> None:
    clouds.document["registries"]["gar"]["push"] = "key"
    clouds.apply()
    assert clouds.head[:12] in clouds.tags
    assert clouds.secrets == ["DOCKER_PASSWORD"]
    assert len(clouds.google.state.keys) == 1


def rotating(clouds: Clouds) -> Rotating:
    def secret() -> str:
        return clouds.github.state.repository(SOURCE).secrets["DOCKER_PASSWORD"].value

    return Rotating(
        clouds.github,
        clouds.google.loopback,
        shows=secret,
        live=lambda: {str(key).rpartition("/")[2] for key in clouds.google.state.keys},
        stored=lambda: str(json.loads(base64.b64decode(secret()))["private_key_id"]),
    )


def test_a_key_is_replaced_while_a_build_pushes(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds.document["registries"]["gar"]["push"] = "key"
    clouds.save()
    rotating(clouds).goes_well_during_a_build(monkeypatch)


def test_a_build_that_pushes_with_a_key_ends_well_before_the_key_leaves(
    clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_a_key() -> None:
        clouds.document["registries"]["gar"]["push"] = "keyless"
        clouds.save()

    clouds.document["registries"]["gar"]["push"] = "key"
    clouds.save()
    rotating(clouds).leaves_after_the_last_build(without_a_key, monkeypatch)
    assert not clouds.google.state.accounts
