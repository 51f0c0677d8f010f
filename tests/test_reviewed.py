"""The reviewed plan is what runs: apply holds a new plan to the one that was reviewed, and says what moved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli import main
from fleet.errors import ExitCode, FleetError
from fleet.plan import canonical_json
from fleet.plan_difference import TOLD, what_moved
from fleet.reviewed import read_reviewed
from tests.little_fleet import LittleFleet


def reviewed(little: LittleFleet, *options: str) -> list[str]:
    """Plan as a review does; the options that apply it as reviewed."""
    assert main(["plan", "-out=p.fleet", *options]) == ExitCode.OK
    return [f"-expect-plan={plan_hash()}", "-resolutions=p.fleet"]


def plan_hash() -> str:
    return str(json.loads(Path("p.fleet").read_text())["hash"])


def test_the_same_plan_is_applied_without_asking(little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb", "three")
    as_reviewed = reviewed(little)
    assert main(["apply", *as_reviewed]) == ExitCode.OK
    assert "tag: bbbbbbbbbbbb" in little.at_head("three.yaml")


def test_the_hash_alone_is_enough_where_nothing_is_followed(little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb", "three")
    as_reviewed = reviewed(little)[:1]
    assert main(["apply", *as_reviewed]) == ExitCode.OK
    assert little.commits() == 2


def test_a_hand_that_was_quicker_stops_it_and_is_told(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    as_reviewed = reviewed(little)
    little.write_files({"three.yaml": little.at_head("three.yaml").replace("aaaaaaaaaaaa", "cccccccccccc")})
    little.commit("by hand")
    assert main(["apply", *as_reviewed]) == ExitCode.STALE
    error = capsys.readouterr().err
    assert "nothing was written" in error
    assert "stood at" in error
    assert "aaaaaaaaaaaa, and stands at" in error
    assert little.commits() == 2


def test_a_file_that_says_something_else_stops_it(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    as_reviewed = reviewed(little)
    little.track("cccccccccccc", "one", "two")
    assert main(["apply", *as_reviewed]) == ExitCode.STALE
    error = capsys.readouterr().err
    assert "at hubs.one.slots.default.track, hubs.two.slots.default.track" in error
    assert "which the review did not show" in error
    assert little.commits() == 1


def test_a_tag_that_is_gone_since_the_review_stops_it(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    as_reviewed = reviewed(little)
    document = json.loads(Path("p.fleet").read_text())
    (address,) = document["plan"]["resolutions"]
    document["plan"]["resolutions"][address][2] = f"sha256:{'0' * 64}"
    Path("p.fleet").write_text(json.dumps(document))
    as_reviewed[0] = f"-expect-plan={hashlib.sha256(canonical_json(document['plan']).encode()).hexdigest()}"
    assert main(["apply", *as_reviewed]) == ExitCode.STALE
    assert f"{little.climate}:bbbbbbbbbbbb was pushed again" in capsys.readouterr().err


def test_what_a_killed_run_has_done_already_is_no_difference(little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb")
    as_reviewed = reviewed(little)
    assert main(["apply", "-auto-approve", "-target=hub:three"]) == ExitCode.OK
    assert main(["apply", *as_reviewed]) == ExitCode.OK
    assert little.at_head("common.yaml").count("bbbbbbbbbbbb") == 1
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    assert main(["apply", *as_reviewed]) == ExitCode.OK  # and once more: there is nothing left


def test_what_somebody_else_did_meanwhile_is_a_difference(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb")
    as_reviewed = reviewed(little)
    little.write_files({"three.yaml": little.at_head("three.yaml").replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")})
    little.commit("by hand")
    assert main(["apply", *as_reviewed]) == ExitCode.STALE
    assert "needs no change now" in capsys.readouterr().err


BAD_USES = [
    (["-expect-plan=abc"], "64 digits"),
    (["-resolutions=p.fleet"], "-expect-plan"),
    ([f"-expect-plan={'0' * 64}", "p.fleet"], "take no plan file"),
    (["-on-stale=replan", "p.fleet"], "take no plan file"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_USES)
def test_options_that_do_not_go_together_are_refused(
    little: LittleFleet, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["apply", *arguments]) == ExitCode.USAGE
    assert words in capsys.readouterr().err


@pytest.fixture
def document(little: LittleFleet) -> dict[str, Any]:
    """A reviewed plan's file, as data."""
    little.track("bbbbbbbbbbbb", "three")
    reviewed(little)
    loaded: dict[str, Any] = json.loads(Path("p.fleet").read_text())
    return loaded


FORGED = {
    "another plan": lambda plan: plan.update(partial=True),
    "a key that no plan has": lambda plan: plan.update(exec=["rm"]),
    "a commit that is none": lambda plan: plan.update(tracks={"climate": ["HEAD", "t", ""]}),
    "a tag that is none": lambda plan: plan.update(tracks={"climate": ["0" * 40, "../x", ""]}),
    "an address that is none": lambda plan: plan.update(unread=["nowhere"]),
    "a list for a map": lambda plan: plan.update(resolutions=[]),
    "a part that is missing": lambda plan: plan.pop("blobs"),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_file_is_refused_in_one_sentence(document: dict[str, Any], how: str) -> None:
    expected = document["hash"]
    FORGED[how](document["plan"])
    Path("forged").write_text(json.dumps(document))
    with pytest.raises(FleetError) as refused:
        read_reviewed(Path("forged"), expected)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


BOMBS = {
    "not JSON": b"\xff\xfe",
    "too deep": b'{"plan":' + b"[" * 100_000,
    "a list": b"[]",
    "a number": b"1" * 10_000,
    "too deep a plan": b'{"format_version": "1.0", "plan": {"configuration": ' + b'{"a":' * 900 + b"1" + b"}" * 902,
    "a surrogate": b'{"format_version": "1.0", "plan": {"fleet": "\\ud800"}}',
    "empty": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_no_plan_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").write_bytes(BOMBS[name])
    with pytest.raises(FleetError, match="no reviewed plan"):
        read_reviewed(tmp_path / "f", "0" * 64)


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.reviewed.LARGEST_FILE", 1000)
    (tmp_path / "f").write_bytes(b" " * 1001)
    with pytest.raises(FleetError, match="is larger than"):
        read_reviewed(tmp_path / "f", "0" * 64)
    with pytest.raises(FleetError, match="cannot be read"):
        read_reviewed(tmp_path / "g", "0" * 64)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(plan=JSON, version=st.sampled_from(["1.0", "2"]))
def test_no_json_at_all_is_anything_but_refused(
    tmp_path_factory: pytest.TempPathFactory, plan: object, version: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild.json"
    path.write_text(json.dumps({"format_version": version, "plan": plan}))
    with pytest.raises(FleetError, match="no reviewed plan"):
        read_reviewed(path, "0" * 64)


def test_very_many_differences_are_counted(document: dict[str, Any]) -> None:
    plan = document["plan"]
    (change,) = plan["changes"]
    many = [{**change, "address": f"{change['address']}{number}"} for number in range(100)]
    sentences = what_moved(plan, {**plan, "changes": many})
    assert len(sentences) == TOLD + 1
    assert sentences[-1] == "And 81 more."
