"""Who a run is, what its job may do, and what its login steps call."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from github import Auth, Github

from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.github.actions.logins import LOGINS
from fleet.sandbox.github.actions.machine import Machine, StepFailed
from fleet.sandbox.github.actions.oidc import DISCOVERY, GITHUB

SOURCE = "example-org/image"
PATH = ".github/workflows/build.yaml"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORKFLOW = """
name: Build
on: [push, pull_request]
permissions: {contents: read}
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - {id: first, uses: example/probe@SHA, with: {audience: there, secret: "${{ secrets.PASSWORD }}"}}
      - {uses: example/probe@SHA, with: {secret: "${{ steps.first.outputs.shown }}"}}
""".replace("SHA", COMMIT)
VOUCHED = WORKFLOW.replace("contents: read", "contents: read, id-token: write, packages: write")


class Probe:
    """An action that notes what it is given, and hands on what it was told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.rights: list[Mapping[str, str]] = []
        self.inputs: list[Mapping[str, str]] = []
        self.fails = False
        self.sandbox: Sandbox | None = None

    def __call__(self, machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
        assert self.sandbox is not None
        self.inputs.append(inputs)
        self.rights.append(self.sandbox.state.tokens[machine.token].rights)
        if machine.identity is not None and "audience" in inputs:
            self.tokens.append(machine.identity(inputs["audience"]))
        if self.fails:
            raise StepFailed(f"{inputs['secret']} and {machine.mask('grown here')} are wrong")
        return {"shown": f"of {inputs['secret']}"}


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def sandbox(tmp_path: Path, probe: Probe) -> Iterator[Sandbox]:
    """A GitHub that knows one more action, and a repository with a secret."""
    with serve_github(tmp_path / "github", actions={"example/probe": probe}) as served:
        probe.sandbox = served
        served.state.create_user("ada")
        served.state.create_user("mallory")
        served.state.create_organization("example-org", admins=["ada"])
        served.state.create_repository(SOURCE, {"a": "a"})
        yield served


def client_of(sandbox: Sandbox) -> Github:
    return Github(
        auth=Auth.Token(sandbox.state.create_token("ada")),
        base_url=sandbox.url,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


def store_secret(sandbox: Sandbox) -> None:
    with client_of(sandbox) as client:
        client.get_repo(SOURCE).create_secret("PASSWORD", "s3cret")


def claims(sandbox: Sandbox, token: str, audience: str = "there") -> dict[str, Any]:
    """What a token says, once its signature is found to be the issuer's by the published keys."""
    described = httpx.get(f"{sandbox.url}{DISCOVERY}").json()
    assert described["issuer"] == GITHUB
    key = jwt.PyJWKClient(described["jwks_uri"]).get_signing_key_from_jwt(token)
    found: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=GITHUB)
    assert set(found) - {"environment"} == set(described["claims_supported"])
    return found


def test_a_runs_token_says_who_it_is_and_is_signed_by_the_published_key(sandbox: Sandbox, probe: Probe) -> None:
    commit = sandbox.commit(SOURCE, {PATH: VOUCHED})
    sandbox.actions.wait()
    found = claims(sandbox, probe.tokens[0])
    assert found["sub"] == f"repo:{SOURCE}:ref:refs/heads/main"
    assert {
        name: found[name] for name in ("repository", "repository_owner", "ref", "ref_type", "sha", "event_name")
    } == {
        "repository": SOURCE,
        "repository_owner": "example-org",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "sha": commit,
        "event_name": "push",
    }
    assert found["workflow_ref"] == found["job_workflow_ref"] == f"{SOURCE}/{PATH}@refs/heads/main"
    assert (found["run_attempt"], found["runner_environment"]) == ("1", "github-hosted")
    assert found["nbf"] < found["iat"] < found["exp"] <= time.time() + 301


def test_a_token_for_nobody_in_particular_is_for_the_owner(sandbox: Sandbox, probe: Probe) -> None:
    sandbox.commit(SOURCE, {PATH: VOUCHED.replace("audience: there", "audience: ''")})
    sandbox.actions.wait()
    assert claims(sandbox, probe.tokens[0], "https://github.com/example-org")["repository"] == SOURCE


def test_a_token_of_another_issuer_is_not_taken_for_ours(sandbox: Sandbox, probe: Probe, tmp_path: Path) -> None:
    sandbox.commit(SOURCE, {PATH: VOUCHED})
    sandbox.actions.wait()
    with serve_github(tmp_path / "other") as other, pytest.raises(jwt.PyJWTError):
        claims(other, probe.tokens[0])


def test_a_job_has_the_rights_that_it_says_and_no_more(sandbox: Sandbox, probe: Probe) -> None:
    for workflow in (WORKFLOW, VOUCHED, WORKFLOW.replace("permissions: {contents: read}", "permissions: {}")):
        sandbox.commit(SOURCE, {PATH: workflow})
        sandbox.actions.wait()
    found = [{**one} for one in probe.rights[::2]]
    assert found == [
        {"metadata": "read", "contents": "read"},
        {"metadata": "read", "contents": "read", "packages": "write"},
        {"metadata": "read"},
    ]
    assert len(probe.tokens) == 1


def test_what_a_job_says_itself_counts_instead_of_what_the_workflow_says(sandbox: Sandbox, probe: Probe) -> None:
    sandbox.commit(SOURCE, {PATH: VOUCHED.replace("    runs-on:", "    permissions: {issues: read}\n    runs-on:")})
    sandbox.actions.wait()
    assert (dict(probe.rights[0]), probe.tokens) == ({"metadata": "read", "issues": "read"}, [])


@pytest.mark.parametrize("given", ["{contents: admin}", "{content: read}", "{id-token: read}", "write-all"])
def test_permissions_that_there_are_not_are_a_red_run(sandbox: Sandbox, given: str) -> None:
    sandbox.commit(SOURCE, {PATH: WORKFLOW.replace("{contents: read}", given)})
    sandbox.actions.wait()
    (run,) = sandbox.state.repository(SOURCE).runs
    assert (run.conclusion, run.jobs) == ("failure", [])
    assert "permissions" in run.message


def test_outputs_of_a_step_reach_the_next(sandbox: Sandbox, probe: Probe) -> None:
    store_secret(sandbox)
    sandbox.commit(SOURCE, {PATH: WORKFLOW})
    sandbox.actions.wait()
    assert [dict(one) for one in probe.inputs] == [{"audience": "there", "secret": "s3cret"}, {"secret": "of s3cret"}]


def test_a_fork_sees_no_secret_and_nobody_vouches_for_it(sandbox: Sandbox, probe: Probe) -> None:
    store_secret(sandbox)
    sandbox.propose_from_fork(SOURCE, {PATH: VOUCHED}, "mallory")
    sandbox.actions.wait()
    assert [one["secret"] for one in probe.inputs] == ["", "of "]
    assert dict(probe.rights[0]) == {"metadata": "read", "contents": "read", "packages": "read"}
    assert probe.tokens == []


def test_a_pull_request_of_a_branch_is_called_so_by_its_token(sandbox: Sandbox, probe: Probe) -> None:
    sandbox.commit(SOURCE, {PATH: VOUCHED.replace("[push, pull_request]", "pull_request")})
    with client_of(sandbox) as client:
        repository = client.get_repo(SOURCE)
        repository.create_git_ref("refs/heads/topic", repository.get_branch("main").commit.sha)
        repository.create_file("b", "More", "b", branch="topic")
        repository.create_pull("main", "topic", title="More")
        sandbox.actions.wait()
    found = claims(sandbox, probe.tokens[0])
    assert (found["sub"], found["ref"]) == (f"repo:{SOURCE}:pull_request", "refs/pull/1/merge")
    assert (found["head_ref"], found["base_ref"]) == ("topic", "main")


def test_no_secret_stands_in_what_a_step_says(sandbox: Sandbox, probe: Probe) -> None:
    store_secret(sandbox)
    probe.fails = True
    sandbox.commit(SOURCE, {PATH: WORKFLOW})
    sandbox.actions.wait()
    (run,) = sandbox.state.repository(SOURCE).runs
    assert run.jobs[0].steps[0].message == "*** and *** are wrong"


CALLS: dict[str, dict[str, str]] = {
    "aws-actions/configure-aws-credentials": {"aws-region": "us-west-2", "role-to-assume": "arn:aws:iam::1:role/a"},
    "google-github-actions/auth": {"workload_identity_provider": "projects/1/x", "create_credentials_file": "false"},
    "azure/login": {"client-id": "a", "tenant-id": "b", "allow-no-subscriptions": "true"},
}


@pytest.mark.parametrize("action", LOGINS)
def test_a_login_step_leaves_the_machine_for_nobody_who_is_not_named(sandbox: Sandbox, action: str) -> None:
    given = {"aws-region": "us-west-2", "aws-access-key-id": "AKIA", "aws-secret-access-key": "s3cret"}
    first = {"uses": f"aws-actions/configure-aws-credentials@{COMMIT}", "with": given}
    steps = [first] if action.endswith("ecr-login") else [{"uses": f"{action}@{COMMIT}", "with": CALLS[action]}]
    job = {"runs-on": "x", "permissions": {"id-token": "write"}, "steps": steps}
    sandbox.commit(SOURCE, {PATH: str({"on": "push", "jobs": {"a": job}})})
    sandbox.actions.wait()
    (run,) = sandbox.state.repository(SOURCE).runs
    assert run.conclusion == "failure"
    assert re.search(r"the sandbox knows no service for (sts|login)\.", run.jobs[0].steps[0].message)


def test_a_script_asks_for_a_token_as_long_as_its_job_goes_on(sandbox: Sandbox) -> None:
    ask = 'curl -s -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL'
    steps = [
        {"run": f'{ask}&audience=there" | rev; echo'},
        {"run": 'echo "$ACTIONS_ID_TOKEN_REQUEST_URL $ACTIONS_ID_TOKEN_REQUEST_TOKEN" | rev'},
    ]
    job = {"runs-on": "x", "permissions": {"id-token": "write"}, "environment": "production", "steps": steps}
    sandbox.commit(SOURCE, {PATH: str({"on": "push", "jobs": {"a": job}})})
    sandbox.actions.wait()
    (run,) = sandbox.state.repository(SOURCE).runs
    answer, asked = (line[::-1] for line in run.jobs[0].log.splitlines())  # backwards, or the runner would mask it
    assert claims(sandbox, json.loads(answer)["value"])["sub"] == f"repo:{SOURCE}:environment:production"
    url, bearer = asked.split()
    assert httpx.get(f"{url}&audience=there", headers={"authorization": f"Bearer {bearer}"}).status_code == 401


@pytest.mark.parametrize("action", LOGINS)
def test_an_input_that_nobody_obeys_fails_the_step(sandbox: Sandbox, action: str) -> None:
    step = {"uses": f"{action}@{COMMIT}", "with": {"colour": "red"}}
    sandbox.commit(SOURCE, {PATH: str({"on": "push", "jobs": {"a": {"runs-on": "x", "steps": [step]}}})})
    sandbox.actions.wait()
    (run,) = sandbox.state.repository(SOURCE).runs
    assert f"does not know the input 'colour' of {action}" in run.jobs[0].steps[0].message
