"""What becomes of the rest when one change turns out stale while apply runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.little_fleet import LittleFleet, git


@pytest.fixture
def two(little: LittleFleet) -> LittleFleet:
    """A fleet with two values repositories, both to be moved; the third hub's is `second`."""
    git(little.folder, "clone", "--quiet", "infrastructure", "second")
    git(little.folder / "second", "config", "user.name", "An Operator")
    git(little.folder / "second", "config", "user.email", "operator@example.org")
    little.document["hubs"]["three"]["values"]["path"] = "second"
    little.track("bbbbbbbbbbbb")
    return little


def by_hand(little: LittleFleet) -> None:
    """Somebody else moves the line that hubs one and two share."""
    little.write_files({"common.yaml": little.at_head("common.yaml").replace("aaaaaaaaaaaa", "cccccccccccc")})
    little.commit("by hand")


def second(little: LittleFleet) -> str:
    return git(little.folder / "second", "show", "HEAD:three.yaml")


@pytest.mark.parametrize(("choice", "moves_on"), [("skip", True), ("fail", False)])
def test_a_stale_change_lets_the_rest_go_on_or_stops_it(two: LittleFleet, choice: str, moves_on: bool) -> None:
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    by_hand(two)
    assert main(["apply", "p.fleet", f"-on-stale={choice}"]) == ExitCode.STALE
    assert ("bbbbbbbbbbbb" in second(two)) is moves_on
    assert "cccccccccccc" in two.at_head("common.yaml")


class Operator:
    """Says yes at the prompt, a moment after somebody else has committed."""

    def __init__(self, little: LittleFleet) -> None:
        self.little = little

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        by_hand(self.little)
        return "yes\n"


@pytest.mark.parametrize(("choice", "code"), [("skip", ExitCode.STALE), ("replan", ExitCode.OK)])
def test_what_was_stale_is_planned_again_where_that_is_wanted(
    two: LittleFleet, monkeypatch: pytest.MonkeyPatch, choice: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", Operator(two))
    assert main(["apply", f"-on-stale={choice}"]) == code
    assert "bbbbbbbbbbbb" in second(two)
    assert ("bbbbbbbbbbbb" in two.at_head("common.yaml")) is (choice == "replan")


def test_the_outputs_tell_nothing_written_from_part_written(
    two: LittleFleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    by_hand(two)
    for choice in ("fail", "skip"):
        main(["apply", "p.fleet", f"-on-stale={choice}", "-format=github"])
    lines = (tmp_path / "output").read_text().splitlines()
    assert [line for line in lines if line.startswith("exit_class=")] == [
        "exit_class=stale",
        "exit_class=stale_partial",
    ]
    assert json.loads(Path("p.fleet").read_text())["hash"] in lines[1]


def test_validate_annotates_and_says_how_it_ended(
    little: LittleFleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert main(["validate", "-format=github"]) == ExitCode.OK
    Path("fleet.yaml").write_text(Path("fleet.yaml").read_text().replace("track:", "tracks:", 1))
    assert main(["validate", "-format=github"]) == ExitCode.ERROR
    assert "::error file=fleet.yaml,line=" in capsys.readouterr().out
    assert (tmp_path / "output").read_text() == "exit_class=ok\nexit_class=error\n"
