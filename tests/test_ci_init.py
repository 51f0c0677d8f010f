"""The workflow that `fleet ci init github` writes, and the action that it uses: judged by schemas and by zizmor."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.templates import read_pins
from fleet.workflow_file import WORKFLOW

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SHA = "0123456789abcdef0123456789abcdef01234567"
ACTION = f"example-org/fleet@{SHA}"

FLEET = """\
version: 1
name: example
state: git
code_hosts:
  github: {type: github, auth: {token: {env: GITHUB_TOKEN}}}
registries:
  quay: {type: quay, namespace: example, auth: {token: {env: QUAY_TOKEN}}}
images:
  climate: {upstream: quay.io/example/climate}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet repository without a workflow, as the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yaml").write_text(FLEET)
    return tmp_path


def init(*options: str) -> int:
    return main(["ci", "init", "github", f"-action={ACTION}", *options])


def written() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(Path(WORKFLOW).read_text())
    return loaded


def ran(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


IN_CLOUDS = """\
  us: {type: ecr, account: "123456789012", region: us-west-2}
  eu: {type: ecr, account: "123456789012", region: eu-west-1}
  google: {type: gar, project: hubs, project_number: "1", location: us}
  azure: {type: acr, registry: example, subscription: 0b1f6471-1bf0-4dda-aec3-111122223333, resource_group: hubs}
"""
"""Registries that need no stored secret, as entries of `registries`."""
CLOUD_STEPS = ["Log in to AWS", "Log in to Google Cloud", "Log in to Azure"]


def in_clouds(entries: str = IN_CLOUDS) -> None:
    """Have the fleet use these registries too."""
    Path("fleet.yaml").write_text(FLEET.replace("images:", f"{entries}images:"))


def logins_in(job: str) -> list[str]:
    """The steps of a job that log in."""
    return [step["name"] for step in written()["jobs"][job]["steps"] if step["name"].startswith("Log in")]


@pytest.mark.parametrize("clouds", ["", IN_CLOUDS])
@pytest.mark.parametrize("options", [[], ["-without=quay"]])
def test_schema_and_zizmor_find_nothing_in_the_workflow(repository: Path, options: list[str], clouds: str) -> None:
    in_clouds(clouds)
    assert init(*options) == ExitCode.OK
    ran(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    ran(BIN / "zizmor", "--offline", "--no-progress", "--min-severity=medium", "--persona=regular", WORKFLOW)


def test_schema_and_zizmor_find_nothing_in_the_action() -> None:
    ran(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-actions", ROOT / "action.yml")
    ran(BIN / "zizmor", "--offline", "--no-progress", "--min-severity=medium", "--persona=regular", ROOT / "action.yml")


def test_every_action_is_pinned_by_the_one_table(repository: Path) -> None:
    in_clouds()
    assert init() == ExitCode.OK
    names = (
        *("checkout", "setup-python", "upload-artifact", "download-artifact"),
        *("aws-credentials", "google-auth", "azure-login"),
    )
    text = Path(WORKFLOW).read_text() + (ROOT / "action.yml").read_text()
    used = set(re.findall(r"^ +(?:- )?uses: (.+)$", text, re.MULTILINE))
    assert used == {ACTION, *(str(read_pins()[name]) for name in names)}


def test_the_forks_job_sees_no_secret_writes_nothing_and_asks_nobody(repository: Path) -> None:
    in_clouds()
    assert init() == ExitCode.OK
    fork = written()["jobs"]["fork"]
    assert fork["permissions"] == {"contents": "read"}
    assert "environment" not in fork
    assert "secrets." not in str(fork)
    assert "vars." not in str(fork)
    assert fork["steps"][-1]["with"] == {"command": "plan", "fleet-file": "fleet.yaml", "offline": "true"}


def test_each_job_has_its_own_rights_and_the_secrets_that_it_needs(repository: Path) -> None:
    assert init("-without=quay") == ExitCode.OK
    workflow = written()
    jobs = workflow["jobs"]
    assert workflow["permissions"] == {}
    token = {"GITHUB_TOKEN": "${{ secrets.FLEET_GITHUB_TOKEN }}"}
    assert jobs["plan"]["steps"][-1]["env"] == jobs["drift"]["steps"][-1]["env"] == token
    assert jobs["apply"]["steps"][-1]["env"] == {**token, "QUAY_TOKEN": "${{ secrets.QUAY_TOKEN }}"}
    assert jobs["plan"]["steps"][-1]["with"]["without"] == "quay"
    assert jobs["apply"]["concurrency"] == {
        "group": "fleet-example", "cancel-in-progress": False, "queue": "max",
    }  # fmt: skip
    assert (jobs["plan"]["environment"], jobs["apply"]["environment"]) == ("fleet-plan", "fleet-apply")
    assert all(right == "read" for right in jobs["drift"]["permissions"].values())


def test_jobs_log_in_once_to_each_cloud_without_a_stored_secret(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_clouds()
    assert init() == ExitCode.OK
    assert [logins_in(job) for job in ("plan", "fork", "apply", "drift")] == [CLOUD_STEPS, [], CLOUD_STEPS, CLOUD_STEPS]
    jobs = written()["jobs"]
    assert [jobs[job]["permissions"].get("id-token") for job in jobs] == ["write", None, "write", "write"]
    (step,) = [one for one in jobs["apply"]["steps"] if one["name"] == "Log in to AWS"]
    assert step["with"] == {"aws-region": "us-west-2", "role-to-assume": "${{ vars.FLEET_AWS_ROLE }}"}
    named = "FLEET_AWS_ROLE, FLEET_GOOGLE_PROVIDER, FLEET_AZURE_CLIENT, FLEET_AZURE_TENANT"
    assert f"Give both these variables, of which fleet-plan's name who can only read: {named}." in (
        capsys.readouterr().out
    )


def test_what_reading_jobs_do_without_they_do_not_log_in_to(repository: Path) -> None:
    in_clouds()
    assert init("-without=us", "-without=eu", "-without=google", "-without=azure") == ExitCode.OK
    assert [logins_in(job) for job in ("plan", "apply", "drift")] == [[], CLOUD_STEPS, []]
    assert "id-token" not in written()["jobs"]["plan"]["permissions"]


def test_a_login_that_fleet_yaml_names_stays_a_secret(repository: Path) -> None:
    auth = "auth: {key: {env: GOOGLE_KEY}}"
    in_clouds(f'  google: {{type: gar, project: hubs, project_number: "1", location: us, {auth}}}\n')
    assert init() == ExitCode.OK
    assert logins_in("apply") == []
    assert written()["jobs"]["apply"]["steps"][-1]["env"]["GOOGLE_KEY"] == "${{ secrets.GOOGLE_KEY }}"


def test_writing_it_again_changes_nothing_and_an_edit_is_not_lost(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init() == init() == ExitCode.OK
    assert "says so already" in capsys.readouterr().out
    Path(WORKFLOW).write_text("name: mine\n")
    assert init() == ExitCode.ERROR
    assert "-overwrite" in capsys.readouterr().err
    assert Path(WORKFLOW).read_text() == "name: mine\n"
    assert init("-overwrite") == ExitCode.OK
    assert written()["name"] == "fleet"


BAD = [
    (["-action=example-org/fleet@v1"], ExitCode.USAGE, "40 digits"),
    (["-branch=a b"], ExitCode.USAGE, "no name of a branch"),
    (["-branch=${{ x }}"], ExitCode.USAGE, "no name of a branch"),
    (["-without=nowhere"], ExitCode.ERROR, "no registry of that name"),
]


@pytest.mark.parametrize(("options", "code", "words"), BAD)
def test_what_cannot_stand_in_a_workflow_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, words: str
) -> None:
    assert init(*options) == code
    assert words in capsys.readouterr().err
    assert not Path(WORKFLOW).exists()


def test_what_a_runner_does_not_have_is_said(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = FLEET.replace("{env: QUAY_TOKEN}", "{file: token}").replace("state: git", "state: .fleet")
    Path("fleet.yaml").write_text(text)
    assert init() == ExitCode.OK
    out = capsys.readouterr().out
    assert "the file token, which no runner has" in out
    assert "a runner forgets it" in out


COMMANDS = [
    ("validate", "false", "validate -file=fleet.yaml -format=github"),
    ("plan", "true", "plan -file=fleet.yaml -format=github -without=quay -out=TEMP/plan.fleet -refresh=false"),
    (
        "apply",
        "false",
        "apply -file=fleet.yaml -format=github -without=quay -auto-approve -lock-timeout=10m "
        "-expect-plan=abc -resolutions=TEMP/fleet-reviewed/plan.fleet -comment=7",
    ),
    ("drift", "false", "drift -file=fleet.yaml -format=github -without=quay"),
]


@pytest.mark.parametrize(("command", "offline", "wanted"), COMMANDS)
def test_the_actions_script_calls_fleet_as_the_inputs_say(
    tmp_path: Path, command: str, offline: str, wanted: str
) -> None:
    program = tmp_path / "fleet/bin/fleet"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\nexit 5\n')
    program.chmod(0o755)
    (step,) = [
        step for step in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"] if step.get("id") == "fleet"
    ]
    given = {
        "COMMAND": command,
        "FLEET_FILE": "fleet.yaml",
        "WITHOUT": "" if command == "validate" else "quay",
        "OFFLINE": offline,
        "REVIEWED": "true",
        "PLAN_HASH": "abc",
        "PULL_REQUEST": "7",
    }
    assert given.keys() < step["env"].keys()
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        env={**given, "RUNNER_TEMP": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert done.stdout.strip().replace(str(tmp_path), "TEMP") == wanted


def test_the_action_installs_from_its_own_checkout() -> None:
    text = (ROOT / "action.yml").read_text()
    assert '--require-hashes --only-binary :all: -r "$GITHUB_ACTION_PATH/constraints-action.txt"' in text
    assert '--no-deps --no-build-isolation "$GITHUB_ACTION_PATH"' in text


def test_nothing_in_the_checkout_is_taken_for_a_module_while_fleet_is_installed() -> None:
    (step,) = [one for one in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"] if "pip" in str(one)]
    assert step["run"].count(" -m ") == step["run"].count(" -I -m ") == 2
