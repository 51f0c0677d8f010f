"""What an environment keeps is for jobs that name it, on branches that it lets in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.model_actions import Environment, Run, Secret, Variable
from tests.sandbox.github.test_logins import PATH, SOURCE, VOUCHED, Probe, claims, client_of, probe, sandbox

__all__ = ["probe", "sandbox"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMING = VOUCHED.replace("runs-on:", "environment: registry\n    runs-on:")


@pytest.fixture
def environment(sandbox: Sandbox) -> Environment:
    """An environment with a secret, open to the default branch."""
    made = Environment(1, "registry", NOW, NOW, "custom", {1: ("branch", "main")})
    made.secrets["PASSWORD"] = Secret("PASSWORD", "of-the-environment", NOW, NOW)
    sandbox.state.repository(SOURCE).environments["registry"] = made
    return made


def run_of(sandbox: Sandbox, workflow: str, branch: str = "main") -> Run:
    """The run that a push of this workflow starts on a branch."""
    made = sandbox.state.repository(SOURCE)
    if branch == "main":
        sandbox.commit(SOURCE, {PATH: workflow})
    else:
        with client_of(sandbox) as client:
            repository = client.get_repo(SOURCE)
            repository.create_git_ref(f"refs/heads/{branch}", str(made.head))
            repository.create_file(PATH, "A change", workflow, branch=branch)
    sandbox.actions.wait()
    return made.runs[-1]


def seen(probe: Probe) -> list[Mapping[str, str]]:
    return [inputs for inputs in probe.inputs if inputs.get("secret", "").startswith("of-the")]


def test_a_job_that_names_it_gets_its_secret_and_says_so_in_its_token(
    sandbox: Sandbox, probe: Probe, environment: Environment
) -> None:
    environment.variables["CHANNEL"] = Variable("CHANNEL", "there", NOW, NOW)
    workflow = NAMING.replace("audience: there", 'audience: "${{ vars.CHANNEL }}"')
    assert run_of(sandbox, workflow).conclusion == "success"
    assert seen(probe)[0]["secret"] == "of-the-environment"
    assert claims(sandbox, probe.tokens[0])["sub"] == f"repo:{SOURCE}:environment:registry"


def test_a_job_that_does_not_name_it_gets_nothing_of_it(
    sandbox: Sandbox, probe: Probe, environment: Environment
) -> None:
    assert run_of(sandbox, VOUCHED).conclusion == "success"
    assert not seen(probe)


def test_a_branch_that_it_does_not_let_in_gets_nothing(
    sandbox: Sandbox, probe: Probe, environment: Environment
) -> None:
    run = run_of(sandbox, NAMING, branch="mine")
    assert (run.conclusion, probe.inputs) == ("failure", [])
    assert '"refs/heads/mine" is not allowed to deploy to registry' in run.message


def test_a_job_waits_for_reviewers(sandbox: Sandbox, probe: Probe, environment: Environment) -> None:
    environment.reviewers = [sandbox.state.account("ada")]
    run = run_of(sandbox, NAMING)
    assert (run.status, run.conclusion, probe.inputs) == ("waiting", None, [])
