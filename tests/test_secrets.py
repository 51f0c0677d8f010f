"""Canaries in every secret place: none of them is ever found in a file, on the screen, in a repr or in a traceback."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from fleet.cli import main
from fleet.config import load
from fleet.errors import ExitCode, FleetError
from fleet.images import find_homes
from fleet.model import Secret
from fleet.pace import Pace
from fleet.provider import Credentials
from fleet.sandbox.http import Fault, Response
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.services import Workshop
from fleet.testing.running import HurriedClock

TOKEN = "canary/oauth+token=1"
PASSWORD = "canary/push+password=2"
BUG = "import fleet_quay.api as api, fleet.cli as cli; api.Api.grant = lambda *given: given[99]; cli.main()"


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it is, percent-encoded, and in base64 at any offset (as in `Basic user:password`)."""
    yield from (secret.encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + secret.encode()).rstrip(b"=")
        yield encoded[4 if offset else 0 : -2]  # what stands before and behind shares letters with the ends


@dataclass
class Vault:
    """A fleet of two images whose every secret is a canary; `screen` is all that its commands have printed."""

    folder: Path
    quay: RunningQuay
    source: dict[str, Any]
    screen: bytes = b""

    def save(self) -> None:
        common = {"type": "quay", "namespace": "example", "url": self.quay.url, "auth": {"token": self.source}}
        own = {"username": "example+builder", "password": {"env": "CANARY_PASSWORD"}}
        document = {
            "version": 1,
            "name": "example",
            "registries": {"quay": common, "own": {**common, "push": own}},
            "images": {"climate": {"registry": "quay"}, "ocean": {"registry": "own"}},
        }
        (self.folder / "fleet.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def run(self, *arguments: str, program: tuple[str, ...] = ("-m", "fleet"), kill: Fault | None = None) -> int:
        command = [sys.executable, "-X", "dev", *program, *arguments]
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if kill:
            kill.pid = lambda: process.pid
            self.quay.loopback.faults.append(kill)
        printed, _ = process.communicate(timeout=60)
        self.screen += printed
        return process.returncode

    def secrets(self) -> list[str]:
        return [TOKEN, PASSWORD, *(robot["token"] for robot in self.quay.state.robots.values())]

    def assert_clean(self, *more: bytes) -> None:
        """No canary in any file of the folder, on the screen, or in what is given."""
        places = {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        places |= {"the screen": self.screen, **{f"given {number}": text for number, text in enumerate(more)}}
        assert len(places) > 1
        found = [
            (place, secret[:12])
            for place, text in places.items()
            for secret in self.secrets()
            for form in forms(secret)
            if form in text
        ]
        assert found == []


SOURCES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "env": lambda outside: {"env": "CANARY_TOKEN"},
    "file": lambda outside: {"file": str(outside / "token")},
    "exec": lambda outside: {"exec": ["cat", str(outside / "token")]},
}


@pytest.fixture(params=SOURCES)
def vault(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    inside, outside = tmp_path / "fleet", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "token").write_text(f"{TOKEN}\n")
    if request.param == "env":
        monkeypatch.setenv("CANARY_TOKEN", TOKEN)
    monkeypatch.setenv("CANARY_PASSWORD", PASSWORD)
    monkeypatch.chdir(inside)
    with serve_quay(token=TOKEN) as quay:
        found = Vault(inside, quay, SOURCES[request.param](outside))
        found.save()
        yield found


def test_forms_are_found_where_a_secret_is_hidden_in_base64() -> None:
    for user in ("", "a", "ab", "abc", "$oauthtoken:", "example+builder:"):
        basic = base64.b64encode(f"{user}{TOKEN}".encode())
        assert any(form in basic for form in forms(TOKEN)), user
    assert not any(form in base64.b64encode(b"example+builder:something else") for form in forms(TOKEN))


def test_no_secret_in_what_a_good_run_leaves_and_prints(vault: Vault) -> None:
    assert vault.run("validate") == 0
    assert vault.run("plan", "-out=plan") == 0
    assert vault.run("show", "plan") == vault.run("show", "-json", "plan") == 0
    assert vault.run("apply", "plan") == 0
    assert len(vault.quay.state.robots) == 1
    assert vault.run("plan", "-detailed-exitcode") == 0
    vault.assert_clean()


def test_no_secret_in_what_a_killed_run_leaves(vault: Vault) -> None:
    for nth in range(1, 6):
        assert vault.run("apply", "-auto-approve", kill=Fault("kill", "write", nth=nth, when="after")) == -9
        vault.quay.loopback.faults.clear()
        vault.quay.state.repositories.clear()
        vault.quay.state.robots.clear()
        vault.assert_clean()


def test_no_secret_in_what_a_refused_run_prints(vault: Vault) -> None:
    refused = Response.of_json({"error_message": "computer says no"}, 400)
    vault.quay.loopback.faults.append(Fault("status", "PUT", response=refused, times=None))
    assert vault.run("apply", "-auto-approve") == ExitCode.PARTIAL
    vault.quay.loopback.faults.clear()
    vault.quay.state.tokens.clear()
    assert vault.run("apply", "-auto-approve") == vault.run("plan") == ExitCode.ERROR
    assert b"refuses the token of `auth`" in vault.screen
    vault.assert_clean()


def test_no_secret_in_the_traceback_of_a_bug(vault: Vault) -> None:
    assert vault.run("apply", "-auto-approve", program=("-c", BUG)) == 1
    assert b"Traceback" in vault.screen
    assert b"IndexError" in vault.screen
    vault.assert_clean()


def tracebacks(attempt: Callable[[], object]) -> bytes:
    """The traceback of an attempt that must fail, with the local variables of every frame."""
    try:
        attempt()
    except (FleetError, IndexError) as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format()).encode()
    raise AssertionError("nothing went wrong")


FAULTS = {
    "refused": Fault("status", times=None, response=Response(403, b"{}")),
    "broken": Fault("status", times=None, response=Response(500)),
    "garbage": Fault("garbage", times=None),
    "lost": Fault("drop", times=None),
}


PATHS = ("/api/.*", "/v2/auth", "/v2/.*uploads/")
TROUBLES = [(path, fault) for path in PATHS for fault in FAULTS if (path, fault) != (PATHS[2], "garbage")]
"""Every fault everywhere, but for a body that nobody reads."""


@pytest.mark.parametrize(("path", "fault"), TROUBLES)
def test_no_secret_in_a_traceback_that_shows_local_variables(vault: Vault, fault: str, path: str) -> None:
    loaded = load(Path("fleet.yaml"))
    workshop = Workshop(loaded.fleet, vault.folder, Pace(clock=HurriedClock()))
    assert main(["apply", "-auto-approve"]) == 0
    broken = copy.copy(FAULTS[fault])
    broken.path, broken.seen = path, 0
    vault.quay.loopback.faults.append(broken)
    logins = [home.login for home in find_homes(loaded, workshop)[0].homes.values() if home.login]
    vault.assert_clean(*(tracebacks(partial(list, map(workshop.reveal, login.secrets.values()))) for login in logins))


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, "%s".__mod__], ids=range(5))
def test_a_secret_prints_as_nothing(show: Callable[[object], str]) -> None:
    secret = Secret(TOKEN)
    for value in (secret, [secret], {"password": secret}, Credentials("ada", secret)):
        assert "canary" not in show(value)
        assert "***" in show(value)


def test_a_secret_has_no_serial_form() -> None:
    for value in (Secret(TOKEN), Credentials("ada", Secret(TOKEN))):
        for serialize in (pickle.dumps, copy.deepcopy, json.dumps):
            with pytest.raises(TypeError):
                serialize(value)
        with pytest.raises(TypeError):
            assert value == (Secret(TOKEN) if isinstance(value, Secret) else Credentials("ada", Secret(TOKEN)))


NOWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "not set": ({"env": "CANARY_NOWHERE"}, "the environment variable CANARY_NOWHERE is not set"),
    "empty": ({"env": "CANARY_EMPTY"}, "the environment variable CANARY_EMPTY holds an empty secret"),
    "no file": ({"file": "nowhere/token"}, "the file nowhere/token cannot be read: No such file or directory"),
    "empty file": ({"file": "empty"}, "the file empty holds an empty secret"),
    "no command": ({"exec": ["no-such-command"]}, "the command no-such-command cannot be run"),
    "failing command": ({"exec": ["false"]}, "the command false ended with exit code 1"),
    "silent command": ({"exec": ["true"]}, "the command true holds an empty secret"),
}


@pytest.mark.parametrize("vault", ["env"], indirect=True)
@pytest.mark.parametrize("case", NOWHERE)
@pytest.mark.parametrize("command", [["plan"], ["apply", "-auto-approve"]], ids=lambda command: command[0])
def test_a_secret_that_is_not_to_be_had_is_said_at_its_line(
    vault: Vault, case: str, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_EMPTY", " ")
    (vault.folder / "empty").write_text("\n")
    vault.source, sentence = NOWHERE[case]
    vault.save()
    assert main(command) == ExitCode.ERROR
    printed = capsys.readouterr().err
    assert sentence in printed
    place = load(Path("fleet.yaml")).source.range(("registries", "quay", "auth", "token"))
    assert f"on {place}" in printed
    assert vault.quay.loopback.count() == 0


@pytest.mark.parametrize("value", ["0123456", "42", "1e5", "true", "0x1F", " leading", "ends with ="])
@pytest.mark.parametrize("vault", ["env"], indirect=True)
def test_a_secret_stays_the_text_that_it_is(vault: Vault, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.quay.state.token("example", value=value)
    monkeypatch.setenv("CANARY_TOKEN", value)
    loaded = load(Path("fleet.yaml"))
    provider = Workshop(loaded.fleet, vault.folder, Pace())["quay"]
    source = loaded.fleet.registries["quay"].settings.auth.token  # type: ignore[attr-defined]
    assert provider.context.secret(source).expose() == value
