"""Rotation through the command line: obeyed by plan, resumed after a kill anywhere, told of by a list."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.http import Fault, Loopback, Response
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.testing.crash import CRASH_POINTS, run_armed
from tests.google_cloud import Sandbox as GoogleSandbox
from tests.google_cloud import sandbox

SOURCE = "example-org/climate-image"
ROBOT = "example+climate-image"
LONG_AGO = "Mon, 05 Jan 2026 10:00:00 -0000"


@dataclass
class Little:
    """One image whose push credential is stored on GitHub, and that nobody builds."""

    github: Sandbox
    registry: dict[str, Any]
    others: dict[str, Any] = field(default_factory=dict)
    lives_in: str = "registry"

    def save(self) -> None:
        """Write fleet.yaml."""
        document = {
            "version": 1,
            "name": "ours",
            "code_hosts": {
                "github": {"type": "github", "base_url": self.github.url, "auth": {"token": {"env": "GITHUB_TOKEN"}}}
            },
            "registries": {"registry": self.registry, **self.others},
            "images": {"climate": {"repository": SOURCE, "registry": self.lives_in}},
        }
        Path("fleet.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def apply(self) -> None:
        """Apply, and see that nothing is left to do."""
        self.save()
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
        state = json.loads(Path(".fleet/state.json").read_text())
        assert (state["begun"], state["retiring"]) == ({}, [])

    def journal(self) -> bytes:
        """What fleet has written down."""
        return Path(".fleet/journal.jsonl").read_bytes()

    def secret(self, name: str) -> str:
        """What GitHub holds."""
        return self.github.state.repository(SOURCE).secrets[name].value


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    folder = tmp_path / "fleet"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with serve_github(tmp_path / "github") as running:
        running.state.create_user("ada")
        running.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", running.state.create_token("ada"))
        yield running


@pytest.fixture
def quay(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningQuay]:
    with serve_quay() as running:
        monkeypatch.setenv("QUAY_TOKEN", running.token)
        yield running


@pytest.fixture
def little(github: Sandbox, quay: RunningQuay) -> Little:
    auth = {"token": {"env": "QUAY_TOKEN"}}
    made = Little(github, {"type": "quay", "url": quay.url, "namespace": "example", "auth": auth})
    made.apply()
    return made


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleSandbox]:
    monkeypatch.setenv("GOOGLE_TOKEN", "fleets-token")
    with sandbox() as running:
        yield running


def rotate() -> None:
    assert main(["credentials", "rotate", "-auto-approve"]) == ExitCode.OK


def kill_everywhere(
    little: Little, services: list[Loopback], run: Callable[[], None], assert_well: Callable[[], None]
) -> int:
    """Kill a run before and after each write to each service; all is well after the next one. Returns the kills."""
    kills = 0
    for loopback in services:
        for when in ("before", "after"):
            for nth in range(1, 30):
                path = r"(?!/graphql).*" if loopback is little.github.loopback else ".*"
                fault = Fault("kill", "write", path, nth=nth, when="before" if when == "before" else "after")

                def arm(pid: int, fault: Fault = fault, loopback: Loopback = loopback) -> None:
                    fault.pid = lambda: pid
                    loopback.faults.append(fault)

                end = run_armed(run, arm)
                loopback.faults.clear()
                little.apply()
                assert_well()
                if not end.killed:
                    break
                kills += 1
    return kills


def test_robots_are_replaced_whenever_the_run_is_killed(
    little: Little, quay: RunningQuay, record_property: Callable[[str, object], None]
) -> None:
    def assert_one() -> None:
        name = little.secret("QUAY_USERNAME")
        assert list(quay.state.robots) == [name]
        assert little.secret("QUAY_PASSWORD") == quay.state.robots[name]["token"]
        assert quay.state.repositories["example/climate-image"]["permissions"] == {name: "write"}

    kills = kill_everywhere(little, [quay.loopback, little.github.loopback], rotate, assert_one)
    assert kills > 10
    record_property(CRASH_POINTS, kills)


@pytest.fixture
def keyed(github: Sandbox, google: GoogleSandbox) -> Little:
    registry = {
        **google.keys({"auth": {"token": {"env": "GOOGLE_TOKEN"}}}),
        "type": "gar",
        "location": "us-central1",
        "url": google.loopback.url,
        "push": "key",
    }
    little = Little(github, registry)
    little.apply()
    return little


def test_keys_are_replaced_whenever_the_run_is_killed(
    keyed: Little, google: GoogleSandbox, record_property: Callable[[str, object], None]
) -> None:
    def assert_one() -> None:
        stored = json.loads(base64.b64decode(keyed.secret("DOCKER_PASSWORD")))
        assert {str(key).rpartition("/")[2] for key in google.state.keys} == {stored["private_key_id"]}

    kills = kill_everywhere(keyed, [google.loopback, keyed.github.loopback], rotate, assert_one)
    assert kills > 5
    record_property(CRASH_POINTS, kills)


def test_a_key_leaves_whenever_the_run_is_killed(
    keyed: Little, google: GoogleSandbox, record_property: Callable[[str, object], None]
) -> None:
    def switch() -> None:
        assert main(["apply", "-auto-approve"]) == ExitCode.OK

    def assert_gone_and_begin_again() -> None:
        assert (github_secrets(keyed), google.state.keys, google.state.accounts) == ({}, {}, {})
        keyed.registry["push"] = "key"
        keyed.apply()
        assert set(github_secrets(keyed)) == {"DOCKER_PASSWORD"}
        keyed.registry["push"] = "keyless"
        keyed.save()

    keyed.registry["push"] = "keyless"
    keyed.save()
    kills = kill_everywhere(keyed, [google.loopback, keyed.github.loopback], switch, assert_gone_and_begin_again)
    assert kills > 5
    record_property(CRASH_POINTS, kills)


def test_an_image_that_moves_to_another_registry_leaves_no_robot_behind(
    little: Little, quay: RunningQuay, google: GoogleSandbox, record_property: Callable[[str, object], None]
) -> None:
    def move() -> None:
        assert main(["apply", "-auto-approve"]) == ExitCode.OK

    def assert_moved_and_move_back() -> None:
        assert (github_secrets(little), quay.state.robots) == ({}, {})
        assert "managed by fleet" not in quay.state.repositories["example/climate-image"]["description"]
        little.lives_in = "registry"
        little.apply()
        assert list(quay.state.robots) == [little.secret("QUAY_USERNAME")]
        little.lives_in = "gar"
        little.save()

    keys = google.keys({"auth": {"token": {"env": "GOOGLE_TOKEN"}}})
    little.others["gar"] = {**keys, "type": "gar", "location": "us-central1", "url": google.loopback.url}
    little.lives_in = "gar"
    little.save()
    kills = kill_everywhere(little, [quay.loopback, little.github.loopback], move, assert_moved_and_move_back)
    assert kills > 3
    record_property(CRASH_POINTS, kills)


def test_plan_obeys_rotate_and_says_why(little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]) -> None:
    little.registry["rotate"] = "90d"
    little.apply()
    assert list(quay.state.robots) == [ROBOT]
    quay.state.robots[ROBOT]["created"] = LONG_AGO
    capsys.readouterr()
    assert main(["plan", "-detailed-exitcode", "-out=saved"]) == ExitCode.CHANGES
    shown = capsys.readouterr().out
    assert "~ secret example-org/climate-image/QUAY_PASSWORD" in shown
    assert " days old, to be replaced: rotate: 90d" in shown
    assert main(["apply", "saved"]) == ExitCode.OK, capsys.readouterr()
    assert list(quay.state.robots) == [f"{ROBOT}-a"]
    assert main(["apply", "saved"]) == ExitCode.OK, capsys.readouterr()
    assert list(quay.state.robots) == [f"{ROBOT}-a"]
    little.apply()


def test_only_what_is_old_enough_and_selected_is_replaced(little: Little, quay: RunningQuay) -> None:
    for more in (["-older-than=1d"], ["-exclude=image:climate"], ["-target=registry:robot:nothing+*"]):
        assert main(["credentials", "rotate", "-auto-approve", *more]) == ExitCode.OK
    assert list(quay.state.robots) == [ROBOT]
    for name in (f"{ROBOT}-a", f"{ROBOT}-b", f"{ROBOT}-a"):
        assert main(["credentials", "rotate", "-auto-approve", f"-target=registry:robot:{ROBOT}"]) == ExitCode.OK
        assert list(quay.state.robots) == [name]


def test_a_robot_that_somebody_else_made_loses_its_role_and_stays(github: Sandbox, quay: RunningQuay) -> None:
    quay.state.robots[ROBOT] = {"token": "T" * 64, "description": "by hand", "created": LONG_AGO}
    quay.state.repositories["example/climate-image"] = {
        "description": "", "is_public": True, "last_modified": 0, "permissions": {ROBOT: "write"}
    }  # fmt: skip
    auth = {"token": {"env": "QUAY_TOKEN"}}
    little = Little(github, {"type": "quay", "url": quay.url, "namespace": "example", "auth": auth})
    little.apply()
    assert little.secret("QUAY_PASSWORD") == "T" * 64
    rotate()
    little.apply()
    assert set(quay.state.robots) == {ROBOT, f"{ROBOT}-a"}
    assert quay.state.repositories["example/climate-image"]["permissions"] == {f"{ROBOT}-a": "write"}


def test_the_robot_of_another_image_is_never_taken_for_a_later_one(little: Little, quay: RunningQuay) -> None:
    taken = f"{ROBOT}-a"
    quay.state.robots[taken] = {"token": "T" * 64, "description": "managed by fleet ours", "created": LONG_AGO}
    rotate()
    assert set(quay.state.robots) == {taken, f"{ROBOT}-b"}
    assert quay.state.robots[taken]["token"] == "T" * 64
    little.apply()


def test_of_a_robot_that_was_deleted_the_new_token_is_stored(little: Little, quay: RunningQuay) -> None:
    for fault in (None, Fault("status", "PUT", ".*/secrets/.*", response=Response(400, b"{}"))):
        old = quay.state.robots.pop(little.secret("QUAY_USERNAME"))["token"]
        if fault:
            little.github.loopback.faults.append(fault)
            assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
        little.apply()
        ((name, robot),) = quay.state.robots.items()
        assert (little.secret("QUAY_USERNAME"), little.secret("QUAY_PASSWORD")) == (name, robot["token"])
        assert robot["token"] != old


def test_the_list_shows_age_source_and_place_worst_first(
    little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]
) -> None:
    quay.state.robots[ROBOT]["created"] = LONG_AGO
    capsys.readouterr()
    assert main(["credentials", "list", "-json"]) == ExitCode.OK
    (listed,) = json.loads(capsys.readouterr().out)["credentials"]
    assert listed["kind"] == "issued"
    assert listed["key"] == ROBOT
    assert listed["age_days"] > 300
    assert listed["stored_in"] == [f"github:secret:{SOURCE}/QUAY_PASSWORD", f"github:secret:{SOURCE}/QUAY_USERNAME"]
    assert listed["proved_at"]
    assert listed["stored_at"]
    del quay.state.robots[ROBOT]
    assert main(["credentials", "list"]) == ExitCode.OK
    assert f"{ROBOT}, which was stored, is gone" in capsys.readouterr().out
    assert main(["credentials", "list", "-older-than=1d"]) == ExitCode.USAGE
    assert main(["credentials", "rotate"]) == ExitCode.USAGE


def test_an_own_login_is_listed_and_never_rotated(
    little: Little, quay: RunningQuay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {**quay.state.robots[ROBOT], "description": "by hand", "token": "own"}
    quay.state.robots["example+builder"] = own
    quay.state.repositories["example/climate-image"]["permissions"]["example+builder"] = "write"
    monkeypatch.setenv("OWN", "own")
    little.registry["push"] = {"username": "example+builder", "password": {"env": "OWN"}}
    little.apply()
    assert set(quay.state.robots) == {"example+builder"}
    capsys.readouterr()
    rotate()
    assert "No changes." in capsys.readouterr().out
    assert main(["credentials", "list"]) == ExitCode.OK
    assert "own login, 0 days old" in capsys.readouterr().out


def test_a_robot_from_before_user_names_were_stored_goes_on_as_it_is(little: Little, quay: RunningQuay) -> None:
    path, address = Path(".fleet/state.json"), f"github:secret:{SOURCE}/QUAY_PASSWORD"
    state = json.loads(path.read_text())
    state["stored"] = {}
    state["things"][address]["current"].pop("also")
    state["things"][address]["receipt"].pop("also")
    path.write_text(json.dumps(state))
    del github_secrets(little)["QUAY_USERNAME"]
    token = quay.state.robots[ROBOT]["token"]
    little.apply()
    assert (little.secret("QUAY_USERNAME"), little.secret("QUAY_PASSWORD")) == (ROBOT, token)
    assert list(quay.state.robots) == [ROBOT]
    rotate()
    assert list(quay.state.robots) == [f"{ROBOT}-a"]


def github_secrets(little: Little) -> dict[str, Any]:
    return little.github.state.repository(SOURCE).secrets
