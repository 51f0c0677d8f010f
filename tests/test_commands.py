"""The commands as a person uses them, on a small fleet on disk: what they print, write and end with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.pace import Pace
from fleet.store import FolderStore
from tests.little_fleet import LittleFleet


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit code, standard output and standard error."""
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_nothing_to_do_says_so_and_ends_with_0(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", "-detailed-exitcode")
    assert code == ExitCode.OK
    assert "No changes." in out


def test_one_line_that_serves_two_hubs_is_one_change_that_reaches_both(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "one", "two")
    code, out, _ = run(capsys, "plan", "-detailed-exitcode")
    assert code == ExitCode.CHANGES
    assert f"~ {little.climate}  aaaaaaaaaaaa → bbbbbbbbbbbb" in out
    assert "common.yaml:5" in out
    assert "2 hubs: one, two" in out
    assert "1 to change" in out


def test_a_plan_says_that_no_registry_was_asked(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("eeeeeeeeeeee")
    code, out, _ = run(capsys, "plan", "-refresh=false")
    assert code == ExitCode.OK
    assert "No registry was asked" in out


def test_a_tag_that_does_not_exist_is_an_error_at_its_line(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("eeeeeeeeeeee")
    for command in (["plan"], ["apply", "-auto-approve"]):
        code, _, err = run(capsys, *command)
        assert code == ExitCode.ERROR
        assert "has no tag eeeeeeeeeeee of example/climate" in err
        assert "on fleet.yaml:" in err
    assert little.commits() == 1


def test_a_tag_in_use_that_is_gone_is_a_notice(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.write_files({"three.yaml": little.at_head("three.yaml").replace("aaaaaaaaaaaa", "eeeeeeeeeeee")})
    little.commit("by hand")
    little.track("eeeeeeeeeeee", "three")
    code, out, _ = run(capsys, "plan", "-detailed-exitcode")
    assert code == ExitCode.OK
    assert "Notice: three uses" in out
    assert "has no tag eeeeeeeeeeee" in out


def test_a_registry_that_does_not_answer_stops_what_needs_it_and_nothing_else(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.document["images"]["climate"] = {"upstream": "127.0.0.1:9/example/climate"}
    little.track("bbbbbbbbbbbb", "three")
    little.track("aaaaaaaaaaaa", "one", "two")
    code, _, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert "is not known" in err
    assert "127.0.0.1:9" in err


def test_apply_makes_one_commit_of_one_line_each_and_the_second_plan_is_empty(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb")
    code, out, err = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.OK, err
    assert "did not start a server" in out
    assert little.commits() == 2
    assert sorted(little.changed_lines()) == [
        "+      tag: bbbbbbbbbbbb",
        f"+    image: {{name: {little.climate}, tag: bbbbbbbbbbbb}}",
        "-      tag: aaaaaaaaaaaa",
        f"-    image: {{name: {little.climate}, tag: aaaaaaaaaaaa}}",
    ]
    assert run(capsys, "plan", "-detailed-exitcode")[0] == ExitCode.OK


def test_the_commit_says_which_hubs_move_from_what_to_what(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "three")
    run(capsys, "apply", "-auto-approve")
    message = little.git("log", "-1", "--format=%B")
    assert message.startswith("Set climate:bbbbbbbbbbbb on three")
    assert f"{little.climate}:aaaaaaaaaaaa -> {little.climate}:bbbbbbbbbbbb" in message
    assert little.git("log", "-1", "--format=%(trailers:key=Fleet,valueonly)") == "example"


def test_what_was_there_before_is_recorded(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    run(capsys, "apply", "-auto-approve")
    state = json.loads((little.folder / ".fleet/state.json").read_text())
    (thing,) = state["things"].values()
    assert thing["previous"]["tag"] == "aaaaaaaaaaaa"
    assert thing["current"]["tag"] == "bbbbbbbbbbbb"


def test_slots_of_one_line_that_want_different_things_are_an_error_naming_both(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "one")
    code, out, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert out == ""
    assert f"two default wants {little.climate}:aaaaaaaaaaaa" in err
    assert f"That one wants {little.climate}:bbbbbbbbbbbb (fleet.yaml:" in err


def test_a_slot_without_a_site_is_an_error_that_prints_the_lines_to_paste(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("2026.04.29", "three", slot="choices.ml", image="ml")
    little.track("cccccccccccc", "three", slot="profiles.big")
    code, _, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert "no values file of the hub three sets an image for the slot choices.ml" in err
    assert "slot profiles.big" in err
    assert "kubespawner_override" in err


TAG_ALONE = {
    "common.yaml": "singleuser:\n  image:\n    name: HOST/example/climate\n    tag: aaaaaaaaaaaa\n",
    "one.yaml": "singleuser:\n  image:\n    tag: aaaaaaaaaaaa  # ours alone\n",
}


@pytest.fixture
def split(little: LittleFleet) -> LittleFleet:
    """The hub `one` has its tag in its own file, below a name that stands in the common one."""
    little.write_files(TAG_ALONE)
    little.commit("A tag of its own")
    return little


def test_a_tag_in_a_hubs_own_file_moves_that_hub_alone(split: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    split.track("bbbbbbbbbbbb", "one")
    _, out, _ = run(capsys, "plan", "-out=p.fleet")
    assert "one.yaml:3" in out
    assert "1 to change" in out
    code, _, err = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.OK, err
    assert split.changed_lines() == ["-    tag: aaaaaaaaaaaa  # ours alone", "+    tag: bbbbbbbbbbbb  # ours alone"]
    assert run(capsys, "plan", "-detailed-exitcode")[0] == ExitCode.OK
    assert run(capsys, "apply", "p.fleet")[0] == ExitCode.OK
    assert split.commits() == 3


def test_the_common_tag_moves_the_other_hub_alone(split: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    split.track("bbbbbbbbbbbb", "two")
    run(capsys, "apply", "-auto-approve")
    assert split.at_head("common.yaml").endswith("tag: bbbbbbbbbbbb\n")
    assert "aaaaaaaaaaaa" in split.at_head("one.yaml")


def test_a_tag_that_moved_since_the_plan_is_stale_where_it_stands_alone_too(
    split: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    split.track("bbbbbbbbbbbb", "one")
    run(capsys, "plan", "-out=p.fleet")
    split.write_files({"one.yaml": TAG_ALONE["one.yaml"].replace("aaaaaaaaaaaa", "dddddddddddd")})
    split.commit("by hand")
    assert run(capsys, "apply", "p.fleet")[0] == ExitCode.STALE
    assert "dddddddddddd" in split.at_head("one.yaml")


def test_another_image_is_refused_where_the_tag_stands_alone(
    split: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    split.track("2026.01.30", "one", image="ml")
    code, _, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert "one default" in err
    assert "stands in common.yaml:3" in err


def test_a_held_hub_leaves_its_whole_site_out(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.document["hubs"]["two"]["hold"] = {"reason": "finals week", "until": "2999-12-18"}
    little.track("bbbbbbbbbbbb")
    code, out, _ = run(capsys, "plan", "-detailed-exitcode")
    assert code == ExitCode.CHANGES
    assert "two is held: finals week until 2999-12-18" in out
    assert "1 to change" in out
    assert "common.yaml" not in out.partition("·")[0]


def test_a_hold_has_no_effect_after_its_last_day(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.document["hubs"]["two"]["hold"] = {"reason": "finals week", "until": "2001-12-18"}
    little.track("bbbbbbbbbbbb")
    assert "2 to change" in run(capsys, "plan")[1]


def test_a_target_takes_its_part_only(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb")
    assert "1 to change" in run(capsys, "plan", "-target=hub:three")[1]
    assert "2 to change" in run(capsys, "plan", "--target", "image:clim*")[1]
    assert "2 to change" in run(capsys, "plan", "-target=label:wave=*")[1]
    assert "1 to change" in run(capsys, "plan", "-target=values:site:*three.yaml*")[1]


def test_targeting_one_hub_of_a_shared_site_is_refused_with_the_others(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb")
    code, _, err = run(capsys, "plan", "-target=hub:one")
    assert code == ExitCode.USAGE
    assert "besides one it decides 1 more (two)" in err


def test_an_excluded_hub_leaves_its_shared_site_out(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb")
    _, out, _ = run(capsys, "plan", "-exclude=label:wave=staging")
    assert "excluded by -exclude=label:wave=staging" in out
    assert "1 to change" in out


@pytest.mark.parametrize("selector", ["nonsense", "hub:nobody", "label:wave", "image:none", "label:x=y"])
def test_a_selector_that_names_nothing_is_a_bad_command_line(
    little: LittleFleet, capsys: pytest.CaptureFixture[str], selector: str
) -> None:
    code, _, err = run(capsys, "plan", f"-target={selector}")
    assert code == ExitCode.USAGE
    assert selector in err


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"protect": ["values:site:*three.yaml*"]}, "protect"),
        ({"protect": ["hub:three"]}, "protect"),
        ({"limits": {"hubs_per_run": 2}}, "limits.hubs_per_run allows 2 of 3 hubs and the plan reaches 3"),
        ({"limits": {"hubs_per_run": "67%"}}, "limits.hubs_per_run allows 2 of 3 hubs"),
    ],
)
def test_a_rule_refuses_the_plan_and_is_named_with_its_line(
    little: LittleFleet, capsys: pytest.CaptureFixture[str], rule: dict[str, object], words: str
) -> None:
    little.document |= rule
    little.track("bbbbbbbbbbbb")
    for command in (["plan", "-out=p.fleet"], ["apply", "-auto-approve"]):
        code, _, err = run(capsys, *command)
        assert code == ExitCode.REFUSED
        assert words in err
        assert "on fleet.yaml:" in err
    assert little.commits() == 1
    assert not (little.folder / "p.fleet").exists()


def test_a_saved_plan_is_what_runs_whatever_fleet_yaml_says_since(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb")
    assert run(capsys, "plan", "-out=p.fleet")[0] == ExitCode.OK
    (little.folder / "fleet.yaml").unlink()
    code, out, err = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.OK, err
    assert little.commits() == 2
    assert "tag: bbbbbbbbbbbb" in little.at_head("common.yaml")
    code, out, _ = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.OK
    assert "1 found done" in out
    assert little.commits() == 2


def test_a_plan_that_was_tampered_with_is_refused(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb")
    run(capsys, "plan", "-out=p.fleet")
    plan = little.folder / "p.fleet"
    plan.write_text(plan.read_text().replace("bbbbbbbbbbbb", "cccccccccccc"))
    code, _, err = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.ERROR
    assert "hash does not match" in err
    assert little.commits() == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"format_version": "9.0"}', "\x00"])
def test_what_is_no_plan_file_is_a_sentence(
    little: LittleFleet, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (little.folder / "p.fleet").write_text(content)
    for command in ("apply", "show"):
        code, _, err = run(capsys, command, "p.fleet")
        assert code == ExitCode.ERROR
        assert "p.fleet" in err
        assert "plan again" in err


def test_a_site_that_moved_since_the_plan_is_stale_and_left(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "three")
    run(capsys, "plan", "-out=p.fleet")
    little.write_files({"three.yaml": little.at_head("three.yaml").replace("aaaaaaaaaaaa", "dddddddddddd")})
    little.commit("by hand")
    code, out, _ = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.STALE
    assert "Go on with: fleet plan" in out
    assert "dddddddddddd" in little.at_head("three.yaml")


def test_other_commits_since_the_plan_do_no_harm(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    run(capsys, "plan", "-out=p.fleet")
    little.write_files({"three.yaml": "# a comment on top\n" + little.at_head("three.yaml")})
    little.commit("a comment")
    assert run(capsys, "apply", "p.fleet")[0] == ExitCode.OK
    assert little.at_head("three.yaml").startswith("# a comment on top\n")
    assert "bbbbbbbbbbbb" in little.at_head("three.yaml")


def test_uncommitted_changes_to_a_file_concerned_are_refused_and_kept(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "three")
    little.write_files({"three.yaml": "mine: true\n"})
    code, out, _ = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.ERROR
    assert "three.yaml" in out
    assert (little.infrastructure / "three.yaml").read_text() == "mine: true\n"
    assert little.commits() == 1


def test_apply_without_a_terminal_and_without_approval_ends_at_once(
    little: LittleFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    little.track("bbbbbbbbbbbb")
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        code, _, err = run(capsys, "apply")
    assert code == ExitCode.USAGE
    assert "-auto-approve" in err
    assert not (little.folder / ".fleet").exists()


@pytest.mark.parametrize(("answer", "commits"), [("yes", 2), ("y", 1), ("", 1)])
def test_on_a_terminal_apply_asks_and_only_yes_is_accepted(little: LittleFleet, answer: str, commits: int) -> None:
    little.track("bbbbbbbbbbbb")
    terminal, inside = pty.openpty()
    os.write(terminal, answer.encode() + b"\n")
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "apply"], stdin=inside, capture_output=True, text=True, check=False
    )
    os.close(inside)
    os.close(terminal)
    assert little.commits() == commits, done.stderr
    assert done.returncode == (0 if commits == 2 else 1)


def test_a_terminal_gets_bars_and_colours_and_leaves_no_trace_of_them_elsewhere(little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb")
    terminal, inside = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    subprocess.run(
        [sys.executable, "-m", "fleet", "apply", "-auto-approve"],
        stdin=inside, stdout=inside, stderr=inside, env=environment, check=True,
    )  # fmt: skip
    os.close(inside)
    shown = _drain(terminal)
    assert "\x1b[" in shown
    assert "applying" in shown
    little.track("cccccccccccc")
    plain = subprocess.run(
        [sys.executable, "-m", "fleet", "apply", "-auto-approve"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in plain.stdout + plain.stderr
    assert "[1/1] values ./infrastructure@main: done" in plain.stderr


def _drain(terminal: int) -> str:
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(terminal)
    return shown.decode()


def test_a_second_run_that_writes_at_the_same_time_is_kept_out(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb")
    with FolderStore(little.folder / ".fleet", "example").lock("other-run", Pace()):
        code, _, err = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.LOCKED
    assert "other-run" in err
    assert little.commits() == 1


def test_show_json_uses_terraforms_names(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "one", "two")
    run(capsys, "plan", "-out=p.fleet")
    document = json.loads(run(capsys, "show", "-json", "p.fleet")[1])
    (change,) = document["resource_changes"]
    assert change["change"]["actions"] == ["update"]
    assert change["change"]["before"]["tag"] == "aaaaaaaaaaaa"
    assert change["change"]["after"]["tag"] == "bbbbbbbbbbbb"
    assert change["hubs"] == ["one", "two"]
    assert document["applyable"] is True
    assert "bbbbbbbbbbbb" in run(capsys, "show", "p.fleet")[1]


def test_equal_worlds_and_files_give_equal_plans(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb")
    run(capsys, "plan", "-out=1.fleet")
    run(capsys, "plan", "-out=2.fleet")
    assert Path("1.fleet").read_bytes() == Path("2.fleet").read_bytes()


def test_names_that_would_move_the_cursor_are_shown_as_text(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = OWN_WITH_HOSTILE_CHOICE
    little.write_files({"three.yaml": hostile})
    little.commit("hostile")
    little.document["hubs"]["three"]["hold"] = {"reason": "\x1b[2Jgone", "until": "2999-01-01"}
    little.track("bbbbbbbbbbbb", "three")
    _, out, err = run(capsys, "plan")
    assert "\x1b" not in out + err
    assert "\\x1b[2Jgone" in out


OWN_WITH_HOSTILE_CHOICE = """\
jupyterhub:
  singleuser:
    image: {name: HOST/example/climate, tag: aaaaaaaaaaaa}
    profileList:
      - display_name: "\\e[31mred"
"""


def test_a_missing_values_file_names_the_hub(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.document["hubs"]["one"]["values"]["files"] = ["nowhere.yaml"]
    little.save()
    code, _, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert "the hub one names the values file nowhere.yaml, which is not in ./infrastructure@main" in err


def test_encrypted_files_are_never_opened(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.document["hubs"]["three"]["values"]["files"].append("enc-three.secret.values.yaml")
    little.track("bbbbbbbbbbbb", "three")
    code, out, err = run(capsys, "plan")
    assert code == ExitCode.OK, err
    assert "1 to change" in out


def test_a_folder_that_is_no_checkout_can_be_planned_for_and_not_applied_to(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["rm", "-rf", str(little.infrastructure / ".git")], check=True)
    little.track("bbbbbbbbbbbb", "three")
    assert "1 to change" in run(capsys, "plan")[1]
    code, out, _ = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.ERROR
    assert "git" in out


def leave_open(little: LittleFleet, provider: str, address: str) -> None:
    """A journal as a run leaves it that was killed before it wrote anything."""
    from fleet.journal import GroupBegan, Step

    store = FolderStore(little.folder / ".fleet", "example")
    with store.lock("killed-run", Pace()):
        step = Step(address=address, before=None, after={"owner": "example"})
        store.append(GroupBegan(run="killed-run", at="then", group="g", provider=provider, steps=(step,)))


def test_what_a_killed_run_left_open_and_nobody_wants_any_more_is_closed(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_open(little, "gone", "gone:repository:example/x")
    code, _, err = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.OK, err
    assert "neither a registry nor a code host named 'gone'" in err
    assert FolderStore(little.folder / ".fleet", "example").load().begun == {}
    assert run(capsys, "apply", "-auto-approve")[2] == ""


def test_a_partial_run_leaves_open_what_it_was_not_asked_about(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_open(little, "gone", "gone:repository:example/x")
    assert run(capsys, "apply", "-auto-approve", "-target=hub:three")[0] == ExitCode.OK
    assert "g" in FolderStore(little.folder / ".fleet", "example").load().begun


def test_an_offline_apply_says_that_no_registry_was_asked(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("eeeeeeeeeeee", "three")
    assert run(capsys, "plan", "-refresh=false", "-out=p.fleet")[0] == ExitCode.OK
    code, out, _ = run(capsys, "apply", "p.fleet")
    assert code == ExitCode.OK
    assert "No registry was asked" in out
