"""Shallow clones and detached heads, as CI makes them, of a fleet repository and of the values beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.workflow_file import WORKFLOW
from tests.little_fleet import LittleFleet, git

ACTION = "-action=example-org/fleet@0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def shallow(little: LittleFleet) -> LittleFleet:
    """The fleet, whose values are a clone that knows one commit: another fleet's, of a line beside its own."""
    little.write_files({"three.yaml": "# by elsewhere\n" + little.at_head("three.yaml")})
    little.commit("A comment beside the line\n\nFleet: elsewhere")
    whole = little.infrastructure.rename(little.folder / "whole")
    git(little.folder, "clone", "--quiet", "--depth=1", whole.as_uri(), "infrastructure")
    for name, value in (("user.name", "An Operator"), ("user.email", "operator@example.org")):
        little.git("config", name, value)
    assert little.commits() == 1
    return little


def test_a_line_in_a_shallow_clone_is_moved_whoever_made_its_oldest_commit(
    shallow: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    shallow.track("bbbbbbbbbbbb", "three")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert "bbbbbbbbbbbb" in shallow.at_head("three.yaml")
    assert shallow.commits() == 2
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_drift_in_a_shallow_clone_names_nobody_for_what_is_older(
    shallow: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    shallow.track("bbbbbbbbbbbb", "three")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    text = shallow.at_head("three.yaml").replace("bbbbbbbbbbbb", "cccccccccccc")
    shallow.write_files({"three.yaml": text})
    shallow.commit("by hand")
    git(shallow.folder, "clone", "--quiet", "--depth=1", shallow.infrastructure.as_uri(), "again")
    shallow.infrastructure.rename(shallow.folder / "before")
    (shallow.folder / "again").rename(shallow.infrastructure)
    capsys.readouterr()
    assert main(["drift"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "now: tag: bbbbbbbbbbbb → cccccccccccc" in out
    assert "was last changed by" not in out


def test_values_with_a_detached_head_are_planned_and_not_written(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "three")
    little.git("checkout", "--quiet", "--detach")
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES, capsys.readouterr()
    capsys.readouterr()
    assert main(["apply", "-auto-approve"]) == ExitCode.ERROR
    captured = capsys.readouterr()
    assert "HEAD is detached" in " ".join((captured.out + captured.err).split())
    assert "Traceback" not in captured.err
    assert little.commits() == 1


@pytest.mark.parametrize("detached", [False, True])
def test_a_workflow_is_written_and_a_plan_made_in_a_checkout_as_ci_has_it(
    little: LittleFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detached: bool
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for hub in little.document["hubs"].values():
        hub["values"]["path"] = str(little.infrastructure)
    little.save()
    shutil.copy(little.folder / "fleet.yaml", source)
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", ".")
    git(source, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=One")
    git(tmp_path, "clone", "--quiet", "--depth=1", source.as_uri(), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    if detached:
        git(tmp_path / "clone", "checkout", "--quiet", "--detach")
    assert main(["ci", "init", "github", ACTION]) == ExitCode.OK
    assert Path(WORKFLOW).is_file()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
