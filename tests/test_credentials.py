"""`fleet credentials check` and `revoke` through the command line; `tests/test_rotation.py` has `list` and `rotate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.quay import RunningQuay
from fleet.testing.crash import CRASH_POINTS
from tests.google_cloud import Sandbox as GoogleSandbox
from tests.test_rotation import (
    ROBOT,
    SOURCE,
    Little,
    github,
    github_secrets,
    google,
    keyed,
    kill_everywhere,
    little,
    quay,
)

__all__ = ["github", "google", "keyed", "little", "quay"]

TARGET = "-target=image:climate"


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """How a check ends, and what it says of the one image."""
    capsys.readouterr()
    code = main(["credentials", "check", "-json"])
    (login,) = json.loads(capsys.readouterr().out)["credentials"]
    return code, login


def revoke() -> None:
    assert main(["credentials", "revoke", "-auto-approve", TARGET]) == ExitCode.OK


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
    assert main(["credentials", "revoke", "-auto-approve", TARGET]) == ExitCode.OK
    assert "holds a login of your own, which fleet does not revoke" in " ".join(capsys.readouterr().out.split())


def test_a_check_writes_nothing_and_shows_how_it_goes_on(little: Little, capsys: pytest.CaptureFixture[str]) -> None:
    journal = little.journal()
    capsys.readouterr()
    assert main(["credentials", "check"]) == ExitCode.OK
    shown = capsys.readouterr()
    assert "[1/1] climate: pushes to its own repository" in shown.err
    assert "issued example+climate-image, 0 days old, last used today" in shown.out
    assert little.journal() == journal


def test_revoking_takes_all_at_once_and_the_next_apply_stores_a_new_one(
    little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]
) -> None:
    leaked = quay.state.robots[ROBOT]["token"]
    revoke()
    assert quay.state.robots == {}
    assert f"- standing registry:robot:{ROBOT}" in capsys.readouterr().out
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    assert "the credential that was stored is gone, and a new one is to take its place" in capsys.readouterr().out
    little.apply()
    ((name, robot),) = quay.state.robots.items()
    assert (little.secret("QUAY_USERNAME"), little.secret("QUAY_PASSWORD")) == (name, robot["token"])
    assert robot["token"] != leaked


def test_revoking_a_key_leaves_its_account_as_it_is(keyed: Little, google: GoogleSandbox) -> None:
    accounts, before = dict(google.state.accounts), set(google.state.keys)
    revoke()
    assert (google.state.accounts, google.state.keys) == (accounts, {})
    keyed.apply()
    assert len(google.state.keys) == 1
    assert before.isdisjoint(google.state.keys)


def test_a_revocation_that_was_killed_is_finished_by_the_next_apply(
    keyed: Little, google: GoogleSandbox, record_property: Callable[[str, object], None]
) -> None:
    leaked = set(google.state.keys)

    def assert_another() -> None:
        assert len(google.state.keys) == 1
        assert leaked.isdisjoint(google.state.keys)
        leaked.update(google.state.keys)

    kills = kill_everywhere(keyed, [google.loopback], revoke, assert_another)
    assert kills >= 2
    record_property(CRASH_POINTS, kills)


def test_revoking_needs_to_be_told_what(little: Little, quay: RunningQuay, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["credentials", "revoke", "-auto-approve"]) == ExitCode.USAGE
    assert "say which with -target" in capsys.readouterr().err
    assert main(["credentials", "revoke", TARGET]) == ExitCode.USAGE
    assert list(quay.state.robots) == [ROBOT]
