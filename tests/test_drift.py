"""What moved: the world, the file, or both; and who moved it where the service tells."""

from __future__ import annotations

import json

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.little_fleet import LittleFleet


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


def test_drift_as_markdown(applied: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand(applied, "cccccccccccc")
    assert main(["drift", "-format=markdown"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert out.startswith("### fleet drift · `example`: 1 moved")
    assert "#### The world changed" in out
    assert "three.yaml of ./infrastructure" in out
