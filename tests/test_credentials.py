"""`fleet credentials check` through the command line: what is used, what is only looked at, and what is found out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.quay import RunningQuay
from tests.google_cloud import Sandbox as GoogleSandbox
from tests.rotations import SOURCE, Little
from tests.test_rotation import (
    ROBOT,
    github,
    github_secrets,
    google,
    keyed,
    little,
    quay,
)

__all__ = ["github", "google", "keyed", "little", "quay"]


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """How a check ends, and what it says of the one image."""
    capsys.readouterr()
    code = main(["credentials", "check", "-json"])
    (login,) = json.loads(capsys.readouterr().out)["credentials"]
    return code, login


def test_a_token_that_is_shown_again_is_used_and_told_of(little: Little, capsys: pytest.CaptureFixture[str]) -> None:
    code, login = checked(capsys)
    assert (code, login["trouble"]) == (ExitCode.OK, None)
    assert "a neighbour is refused" in login["seen"]
    assert datetime.fromisoformat(login["last_used"]).date() == datetime.now(UTC).date()


def test_a_robot_that_may_no_longer_push_is_found_out(
    little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]
) -> None:
    quay.state.repositories["example/climate-image"]["permissions"][ROBOT] = "read"
    code, login = checked(capsys)
    assert code == ExitCode.ERROR
    assert f"registry:robot:{ROBOT} is not as fleet.yaml wants it" in login["trouble"]
    assert login["seen"] is None


def test_a_robot_that_was_let_in_elsewhere_is_found_out(
    little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]
) -> None:
    quay.state.repositories["example/another"] = {
        "description": "", "is_public": True, "last_modified": 0, "permissions": {ROBOT: "write"}
    }  # fmt: skip
    assert checked(capsys)[0] == ExitCode.ERROR


def test_a_key_that_is_shown_once_stands_or_does_not(
    keyed: Little, google: GoogleSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    code, login = checked(capsys)
    assert (code, login["trouble"]) == (ExitCode.OK, None)
    assert "stands as it was stored" in login["seen"]
    assert login["proved_at"]
    google.state.keys.clear()
    code, login = checked(capsys)
    assert code == ExitCode.ERROR
    assert "which was stored, is gone" in login["trouble"]


def test_a_secret_that_somebody_stored_anew_is_found_out(keyed: Little, capsys: pytest.CaptureFixture[str]) -> None:
    github_secrets(keyed)["DOCKER_PASSWORD"].updated_at += timedelta(minutes=1)
    code, login = checked(capsys)
    assert code == ExitCode.ERROR
    assert f"github:secret:{SOURCE}/DOCKER_PASSWORD is not as fleet.yaml wants it" in login["trouble"]


def test_a_login_without_a_secret_is_held_to_what_is_wanted(keyed: Little, capsys: pytest.CaptureFixture[str]) -> None:
    keyed.registry["push"] = "keyless"
    keyed.apply()
    code, login = checked(capsys)
    assert (code, login["kind"]) == (ExitCode.OK, "keyless")
    assert login["seen"] == "identity and rights are as fleet.yaml wants them"


def test_an_own_login_is_used(
    little: Little, quay: RunningQuay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quay.state.robots["example+builder"] = {**quay.state.robots[ROBOT], "description": "by hand", "token": "own"}
    quay.state.repositories["example/climate-image"]["permissions"]["example+builder"] = "write"
    monkeypatch.setenv("OWN", "own")
    little.registry["push"] = {"username": "example+builder", "password": {"env": "OWN"}}
    little.apply()
    assert checked(capsys)[1]["seen"] == "pushes to its repository"
    quay.state.robots["example+builder"]["token"] = "another"
    code, login = checked(capsys)
    assert code == ExitCode.ERROR
    assert login["trouble"]


def test_a_check_writes_nothing_and_shows_how_it_goes_on(little: Little, capsys: pytest.CaptureFixture[str]) -> None:
    journal = little.journal()
    capsys.readouterr()
    assert main(["credentials", "check"]) == ExitCode.OK
    shown = capsys.readouterr()
    assert "[1/1] climate: pushes to its own repository" in shown.err
    assert "issued example+climate-image, 0 days old, last used today" in shown.out
    assert little.journal() == journal
