"""Hubs that set their image themselves, through the commands: planned, held and written beside those in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.http import Fault, Loopback
from fleet.sandbox.hub.configurator import Configurator
from fleet.testing.crash import run_armed
from tests.little_fleet import LittleFleet

AT = "configurator/old:image:default"


@pytest.fixture
def served(little: LittleFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The little fleet with a fourth hub, `old`, and the configurator of that hub."""
    monkeypatch.setenv("OLD_TOKEN", "admin-token")
    who = {"admin-token": {"admin": True, "scopes": ["access:services"]}}
    file = tmp_path / "configurator.json"
    with Loopback(Configurator(file, who.get)) as served:
        little.document["hubs"]["old"] = {
            "url": f"{served.url}/",
            "configurator": {"auth": {"token": {"env": "OLD_TOKEN"}}},
            "slots": {},
        }
        little.track("aaaaaaaaaaaa", "old")
        file.write_text(json.dumps({"z2jh.default_interface": "/lab", "z2jh.image": f"{little.climate}:aaaaaaaaaaaa"}))
        yield served


@pytest.fixture
def data(served: Loopback, tmp_path: Path) -> Path:
    """The file that the configurator keeps."""
    return tmp_path / "configurator.json"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_it_is_planned_written_and_then_found_as_wanted(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "plan", "-detailed-exitcode")[0] == ExitCode.OK
    little.track("bbbbbbbbbbbb")
    code, out, _ = run(capsys, "plan", "-detailed-exitcode")
    assert code == ExitCode.CHANGES
    assert f"  configurator/old\n  ~ {little.climate}  aaaaaaaaaaaa → bbbbbbbbbbbb\n      default  1 hub: old\n" in out
    assert "4 hubs of 4 will see it" in out
    assert "Notice: the configurator of old sets the image of servers whose profile sets none" in out
    assert run(capsys, "apply", "-auto-approve")[0] == ExitCode.OK
    held = {"z2jh.default_interface": "/lab", "z2jh.image": f"{little.climate}:bbbbbbbbbbbb"}
    assert json.loads(data.read_text()) == held
    assert run(capsys, "plan", "-detailed-exitcode")[0] == ExitCode.OK


def test_where_nothing_is_set_the_image_is_added(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("{}")
    code, out, _ = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.OK
    assert "1 to add, 0 to change" in out
    assert json.loads(data.read_text()) == {"z2jh.image": f"{little.climate}:aaaaaaaaaaaa"}


def test_a_held_or_excluded_hub_stays_as_it_is(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.document["hubs"]["old"]["hold"] = {"reason": "finals", "until": "2999-12-31"}
    little.track("bbbbbbbbbbbb", "old")
    before = data.read_text()
    code, out, _ = run(capsys, "apply", "-auto-approve")
    assert code == ExitCode.OK
    assert "old is held: finals until 2999-12-31" in out
    assert run(capsys, "plan", "-detailed-exitcode", "-exclude=hub:old")[0] == ExitCode.OK
    assert data.read_text() == before


def test_a_token_without_rights_stops_the_plan_at_its_line(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_TOKEN", "revoked-token")
    code, _, err = run(capsys, "plan")
    assert code == ExitCode.ERROR
    assert "the image of the hub old cannot be read: " in err
    assert "does not know the token in the environment variable OLD_TOKEN" in err
    assert "on fleet.yaml:" in err
    assert "revoked-token" not in err


def test_an_offline_plan_names_the_hub_that_it_did_not_ask(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("bbbbbbbbbbbb", "old", "three")
    code, out, _ = run(capsys, "plan", "-refresh=false")
    assert code == ExitCode.OK
    assert f"Not read (offline): {AT}." in out
    assert "1 to change" in out


def test_one_hub_that_fails_leaves_the_others_alone(
    data: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    little.track("bbbbbbbbbbbb")
    assert run(capsys, "plan", "-out=plan.json")[0] == ExitCode.OK
    monkeypatch.setenv("OLD_TOKEN", "revoked-token")
    code, out, _ = run(capsys, "apply", "plan.json")
    assert code == ExitCode.PARTIAL
    assert "does not know the token" in out
    assert "tag: bbbbbbbbbbbb" in little.at_head("three.yaml")
    assert json.loads(data.read_text())["z2jh.image"] == f"{little.climate}:aaaaaaaaaaaa"


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_its_write_the_next_run_ends_the_same(
    served: Loopback,
    data: Path,
    little: LittleFleet,
    capsys: pytest.CaptureFixture[str],
    when: Literal["before", "after"],
) -> None:
    little.track("bbbbbbbbbbbb", "old")

    def arm(pid: int) -> None:
        served.faults.append(Fault("kill", "POST", when=when, pid=lambda: pid))

    assert run_armed(lambda: main(["apply", "-auto-approve"]), arm).killed
    assert run(capsys, "apply", "-auto-approve")[0] == ExitCode.OK
    assert json.loads(data.read_text())["z2jh.image"] == f"{little.climate}:bbbbbbbbbbbb"
    assert served.count("POST") == (2 if when == "before" else 1)
    assert run(capsys, "plan", "-detailed-exitcode")[0] == ExitCode.OK
