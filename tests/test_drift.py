"""What moved: the world, the file, or both; and who moved it where the service tells."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.little_fleet import LittleFleet, git


@pytest.fixture
def applied(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> LittleFleet:
    """A fleet whose third hub fleet has moved."""
    little.track("bbbbbbbbbbbb", "three")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    capsys.readouterr()
    return little


def by_hand(little: LittleFleet, tag: str) -> None:
    little.write_files({"three.yaml": little.at_head("three.yaml").replace("bbbbbbbbbbbb", tag)})
    little.commit("by hand")


def test_nothing_moved(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift"]) == ExitCode.OK
    assert "No drift." in capsys.readouterr().out


def test_nothing_was_applied_yet(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift"]) == ExitCode.OK
    captured = capsys.readouterr()
    assert "applied nothing yet" in captured.err
    assert "No drift." in captured.out


def test_the_world_changed(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(applied, "cccccccccccc")
    assert main(["drift"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "The world changed" in out
    assert "now: tag: bbbbbbbbbbbb → cccccccccccc" in out
    assert "The file changed" not in out
    (commit, day) = git(applied.infrastructure, "log", "-1", "--format=%H %as").split()
    assert f"three.yaml:3 was last changed by An Operator in {commit[:12]} of {day}: by hand" in out


def test_a_hosts_silence_about_who_it_was_hides_nothing(
    applied: LittleFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    by_hand(applied, "cccccccccccc")
    real = shutil.which("git")
    (tmp_path / "git").write_text(f'#!/bin/sh\ncase "$*" in *blame*) exit 128;; esac\nexec {real} "$@"\n')
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert main(["drift"]) == ExitCode.CHANGES
    captured = capsys.readouterr()
    assert "now: tag: bbbbbbbbbbbb → cccccccccccc" in captured.out
    assert "Who changed what stands in values files is not known: git blame failed" in captured.err


def test_the_file_changed_which_is_no_drift(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    applied.track("cccccccccccc", "three")
    assert main(["drift"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "fleet.yaml: tag: bbbbbbbbbbbb → cccccccccccc" in out
    assert "No drift. 1 change of the file not applied yet." in out


def test_both_changed(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(applied, "cccccccccccc")
    applied.track("dddddddddddd", "three")
    assert main(["drift"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "Both the world and the file changed" in out
    assert "bbbbbbbbbbbb → cccccccccccc" in out
    assert "bbbbbbbbbbbb → dddddddddddd" in out


def test_both_changed_alike_which_leaves_nothing_to_do(
    applied: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand(applied, "cccccccccccc")
    applied.track("cccccccccccc", "three")
    assert main(["drift"]) == ExitCode.OK
    assert "nothing is left to do" in capsys.readouterr().out


def test_drift_as_json_lines(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(applied, "cccccccccccc")
    assert main(["drift", "-json"]) == ExitCode.CHANGES
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["type"] for event in events] == ["version", "resource_drift", "drift_summary"]
    change = events[1]["change"]
    assert (change["moved"], change["action"]) == ("world", "update")
    assert change["found"]["tag"] == "cccccccccccc"
    assert change["wanted"] == change["applied"]
    assert change["authors"] == {"three.yaml:3": "An Operator"}
    ((part, commit),) = change["commits"].items()
    assert (part, commit["author"], commit["message"].strip()) == ("three.yaml:3", "An Operator", "by hand")


def test_drift_as_markdown(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(applied, "cccccccccccc")
    assert main(["drift", "-format=markdown"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert out.startswith("### fleet drift · `example`: 1 moved")
    assert "#### The world changed" in out
    assert "three.yaml of ./infrastructure" in out
    assert "three.yaml:3 was last changed by An Operator" in out
