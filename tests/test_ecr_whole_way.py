"""From a template to a tag in a hub's values with Amazon ECR: GitHub's builds log in as the registry says, and push."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from github import Auth, Github

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.ecr import RunningEcr, serve_ecr
from fleet.sandbox.github import Sandbox, serve_github
from tests.little_fleet import LittleFleet
from tests.rotations import Rotating
from tests.subjects.ecr import KEY, SECRET, documented_policy

SOURCE = "example-org/climate-image"
IDENTITY = "fleet-us-west-2-hubs+climate-image"
HALVES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Whole:
    """One image in ECR, built from a template, that one hub of a local checkout follows by its newest build."""

    def __init__(self, little: LittleFleet, github: Sandbox, ecr: RunningEcr) -> None:
        self.little, self.github, self.ecr = little, github, ecr
        name = f"{ecr.registry_host}/hubs/climate-image"
        little.write_files({"three.yaml": f"jupyterhub:\n  singleuser:\n    image: {{name: {name}, tag: none}}\n"})
        little.commit("A hub that waits for its image")

    def wants(self, push: str, delivery: str = "commit") -> None:
        """Write a fleet.yaml whose builds push in one way."""
        registry = {"type": "ecr", "account": self.ecr.aws.account, "region": "us-west-2", "prefix": "hubs"}
        token = {"token": {"env": "GITHUB_TOKEN"}}
        document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "code_hosts": {
                "github": {"type": "github", "base_url": self.github.url, "auth": token, "delivery": delivery}
            },
            "registries": {"ecr": {**registry, "url": self.ecr.url, "push": push}},
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml", "README.md"]}},
            "images": {"climate": {"repository": SOURCE, "template": "user-image", "registry": "ecr"}},
            "hubs": {
                "three": {
                    "url": "https://three.example.org",
                    "values": {"path": "infrastructure", "files": ["three.yaml"]},
                    "slots": {"default": {"image": "climate", "track": "newest-build"}},
                }
            },
        }
        Path("fleet.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    @property
    def secrets(self) -> Mapping[str, str]:
        """What GitHub holds of the source repository's secrets."""
        return {name: held.value for name, held in self.github.state.repository(SOURCE).secrets.items()}

    @property
    def keys(self) -> Mapping[str, str]:
        """The access keys that are alive."""
        user = self.ecr.aws.iam.users.get(IDENTITY)
        return {key.access_key_id: key.secret_access_key for key in user.access_keys} if user else {}

    def fixed(self) -> None:
        """Somebody mends the build."""
        self.github.state.settings.builds = "run"
        self.github.commit(SOURCE, {"environment.yml": "dependencies: [python=3.12, numpy]\n"})
        self.github.actions.wait(20)

    def merge(self) -> None:
        """Somebody merges the newest pull request of the source repository."""
        client = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=self.github.url, retry=None)
        pulls = self.github.state.repository(SOURCE).pulls
        client.get_repo(SOURCE).get_pull(max(pulls)).merge()
        self.github.actions.wait(20)
        client.close()

    def assert_built(self) -> None:
        """The newest commit's image is in the registry, and the hub has it."""
        tag = str(self.github.state.repository(SOURCE).head)[:12]
        assert tag in self.ecr.ecr.registry.repositories["hubs/climate-image"]["tags"]
        assert tag in self.little.at_head("three.yaml")


@pytest.fixture
def whole(little: LittleFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    github: Sandbox | None = None

    def claims(token: str) -> Mapping[str, Any] | None:
        assert github is not None
        try:
            key = github.issuer.public_key
            found: Mapping[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience="sts.amazonaws.com")
        except jwt.InvalidTokenError:
            return None
        return found

    with serve_ecr((KEY, SECRET), claims=claims) as ecr:
        ecr.aws.operators[KEY].policy = documented_policy(ecr.aws.account)
        services = {f"{name}.us-west-2.amazonaws.com": ecr.url for name in ("sts", "api.ecr")}
        with serve_github(tmp_path / "github", services=services) as github:
            github.state.create_user("ada")
            github.state.create_organization("example-org", admins=["ada"])
            monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null/")
            yield Whole(little, github, ecr)


@pytest.mark.parametrize("push", ["keyless", "key"])
def test_everything_is_made_built_and_rolled_out(whole: Whole, push: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole.wants(push)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    whole.assert_built()
    assert set(whole.secrets) == (set() if push == "keyless" else set(HALVES))
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr()
    assert whole.keys == ({whole.secrets[HALVES[0]]: whole.secrets[HALVES[1]]} if push == "key" else {})


def test_only_the_default_branch_gets_the_role(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    whole.wants("keyless")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    (role,) = whole.ecr.aws.iam.roles.values()
    role.assume_role_policy_document = role.assume_role_policy_document.replace("heads/main", "heads/other")
    pushed = dict(whole.ecr.ecr.registry.repositories["hubs/climate-image"]["tags"])
    whole.github.commit(SOURCE, {"environment.yml": "dependencies: [python=3.12, numpy]\n"})
    whole.github.actions.wait(20)
    assert whole.ecr.ecr.registry.repositories["hubs/climate-image"]["tags"] == pushed


def test_from_a_key_to_keyless_the_user_goes_with_its_keys(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    whole.wants("key")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    whole.wants("keyless")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    whole.assert_built()
    assert whole.keys == {}
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr()


def rotating(whole: Whole) -> Rotating:
    return Rotating(
        whole.github,
        whole.ecr.loopback,
        shows=lambda: f"Credential={whole.secrets[HALVES[0]]}/",
        live=lambda: set(whole.keys),
        stored=lambda: whole.secrets[HALVES[0]],
    )


def test_an_access_key_is_replaced_while_a_build_pushes(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    whole.wants("key")
    rotating(whole).goes_well_during_a_build(monkeypatch)


def test_a_build_that_pushes_with_a_key_ends_well_before_the_key_leaves(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.wants("key")
    rotating(whole).leaves_after_the_last_build(lambda: whole.wants("keyless"), monkeypatch)
    assert IDENTITY not in whole.ecr.aws.iam.users


def test_a_key_stays_until_a_build_without_it_is_green(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    whole.wants("key")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    keys = whole.keys
    whole.wants("keyless")
    whole.github.state.settings.builds = "fail"
    assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
    assert (set(whole.secrets), whole.keys) == (set(HALVES), keys)
    whole.fixed()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert (whole.secrets, whole.keys) == ({}, {})
    whole.assert_built()


def test_a_key_stays_until_the_workflow_without_it_is_merged_and_has_built(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.wants("key")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    whole.wants("keyless", delivery="pull-request")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert f"waits until the workflow of {SOURCE} that does without it is merged" in planned(capsys)
    whole.github.state.settings.builds = "fail"
    whole.merge()
    assert f"waits for a green build of {SOURCE} without it; the newest is failure: " in planned(capsys)
    assert (set(whole.secrets), len(whole.keys)) == (set(HALVES), 1)
    whole.fixed()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert (whole.secrets, whole.keys) == ({}, {})


def test_a_key_is_checked_and_revoked(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    whole.wants("key")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    (leaked,) = whole.keys
    assert main(["credentials", "check"]) == ExitCode.OK
    assert f"issued {leaked}, 0 days old, never used" in capsys.readouterr().out
    whole.ecr.aws.iam.users[IDENTITY].access_keys[0].status = "Inactive"
    assert main(["credentials", "check"]) == ExitCode.ERROR
    assert f"{leaked} was disabled by hand" in capsys.readouterr().out
    assert main(["credentials", "revoke", "-auto-approve", "-target=image:climate"]) == ExitCode.OK
    assert whole.keys == {}
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert whole.keys == {whole.secrets[HALVES[0]]: whole.secrets[HALVES[1]]}
    assert leaked not in whole.keys


def planned(capsys: pytest.CaptureFixture[str]) -> str:
    """What a plan says in which nothing is to be written."""
    capsys.readouterr()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    return capsys.readouterr().out
