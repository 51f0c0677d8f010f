"""What leaked is revoked at once, whenever the run is killed; and what is stored is checked, at every registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.acr import Acr
from fleet.sandbox.azure import AzureState, Client
from fleet.sandbox.ecr import serve_ecr
from fleet.sandbox.github import Sandbox
from fleet.sandbox.http import Fault, Loopback, Request, Response
from fleet.sandbox.quay import serve_quay
from fleet.testing.crash import CRASH_POINTS, run_armed
from tests.google_cloud import sandbox
from tests.rotations import SOURCE, Little
from tests.subjects.acr import AUTHORITY, server_context
from tests.subjects.ecr import KEY, SECRET, documented_policy, is_write
from tests.test_rotation import github

__all__ = ["github"]

REVOKE = ["credentials", "revoke", "-auto-approve", "-target=image:climate"]
APPLY = ["apply", "-auto-approve"]
ROBOT = "example+climate-image"
KILLS = 12
"""More writes than revoking takes at any registry."""


@dataclass(frozen=True)
class Held:
    """A fleet with one image whose credential is stored: `live` are those that work at the registry, `stored` is what
    GitHub holds, `break_it` makes it useless, and `writes` tells a request that may change something."""

    little: Little
    loopback: Loopback
    live: Callable[[], Collection[str]]
    stored: Callable[[], str]
    break_it: Callable[[], None]
    state: Any
    writes: Callable[[Request], bool] = lambda request: request.method not in ("GET", "HEAD")

    def assert_one(self) -> None:
        """What works is what is stored."""
        assert list(self.live()) == [self.stored()]


def quay(github: Sandbox, stack: ExitStack, environment: pytest.MonkeyPatch) -> Held:
    running = stack.enter_context(serve_quay())
    environment.setenv("QUAY_TOKEN", running.token)
    auth = {"token": {"env": "QUAY_TOKEN"}}
    little = Little(github, {"type": "quay", "url": running.url, "namespace": "example", "auth": auth})
    rights = running.state.repositories

    def disarm() -> None:
        rights["example/climate-image"]["permissions"][little.secret("QUAY_USERNAME")] = "read"

    return Held(
        little,
        running.loopback,
        live=lambda: [robot["token"] for robot in running.state.robots.values()],
        stored=lambda: little.secret("QUAY_PASSWORD"),
        break_it=disarm,
        state=running.state,
    )


def ecr(github: Sandbox, stack: ExitStack, environment: pytest.MonkeyPatch) -> Held:
    running = stack.enter_context(serve_ecr((KEY, SECRET)))
    running.aws.operators[KEY].policy = documented_policy(running.aws.account)
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null/",
    }.items():
        environment.setenv(name, value)
    account = {"type": "ecr", "account": running.aws.account, "region": "us-west-2", "prefix": "hubs"}
    little = Little(github, {**account, "url": running.url, "push": "key"})
    users = running.aws.iam.users

    def deactivate() -> None:
        for user in users.values():
            user.access_keys[0].status = "Inactive"

    return Held(
        little,
        running.loopback,
        live=lambda: [key.secret_access_key for user in users.values() for key in user.access_keys],
        stored=lambda: little.secret("AWS_SECRET_ACCESS_KEY"),
        break_it=deactivate,
        state=running.aws.iam,
        writes=is_write,
    )


def gar(github: Sandbox, stack: ExitStack, environment: pytest.MonkeyPatch) -> Held:
    running = stack.enter_context(sandbox())
    environment.setenv("GOOGLE_TOKEN", "fleets-token")
    keys = running.keys({"auth": {"token": {"env": "GOOGLE_TOKEN"}}})
    where = {"type": "gar", "location": "us-central1", "url": running.loopback.url}
    little = Little(github, {**keys, **where, "push": "key"})

    def disable() -> None:
        for key in running.state.keys.values():
            key.disabled = True

    return Held(
        little,
        running.loopback,
        live=lambda: [name.rpartition("/")[2] for name in running.state.keys],
        stored=lambda: json.loads(base64.b64decode(little.secret("DOCKER_PASSWORD")))["private_key_id"],
        break_it=disable,
        state=running.state,
    )


def acr(github: Sandbox, stack: ExitStack, environment: pytest.MonkeyPatch) -> Held:
    state = AzureState()
    state.clients["the-application"] = Client("s3cret")
    environment.setenv("SSL_CERT_FILE", AUTHORITY)
    environment.setenv("AZURE_SECRET", "s3cret")
    azure = stack.enter_context(Loopback(Acr(state), tls=server_context()))
    login = {"tenant": state.tenant, "client_id": "the-application", "authority": azure.url}
    registry = {
        "type": "acr",
        "registry": "example",
        "url": azure.url,
        "manager": azure.url,
        "subscription": state.subscription,
        "resource_group": state.group,
        "auth": {**login, "client_secret": {"env": "AZURE_SECRET"}},
    }
    little = Little(github, registry)
    tokens = state.tokens

    def disable() -> None:
        tokens["fleet-climate-image"]["status"] = "disabled"

    return Held(
        little,
        azure,
        live=lambda: [held["value"] for token in tokens.values() for held in token["passwords"].values()],
        stored=lambda: little.secret("ACR_PASSWORD"),
        break_it=disable,
        state=state,
        writes=lambda request: request.method not in ("GET", "HEAD") and "/oauth2/" not in request.path,
    )


@pytest.fixture(params=[quay, ecr, gar, acr], ids=lambda make: make.__name__)
def held(request: pytest.FixtureRequest, github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    with ExitStack() as stack:
        made: Held = request.param(github, stack, monkeypatch)
        made.little.apply()
        yield made


@pytest.fixture
def at_quay(github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    with ExitStack() as stack:
        yield quay(github, stack, monkeypatch)


def checked(capsys: pytest.CaptureFixture[str], code: ExitCode) -> list[dict[str, Any]]:
    """What check says, after it ended so."""
    capsys.readouterr()
    assert main(["credentials", "check", "-json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["credentials"]
    return found


def test_what_leaked_works_no_more_and_the_next_apply_stores_another(
    held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    leaked = held.stored()
    held.assert_one()
    assert main(REVOKE) == ExitCode.OK
    assert "can push until the next fleet apply" in " ".join(capsys.readouterr().out.split())
    assert (list(held.live()), held.stored()) == ([], leaked)
    assert checked(capsys, ExitCode.ERROR)[0]["trouble"]
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    assert "the credential that was stored " in capsys.readouterr().out
    held.little.apply()
    held.assert_one()
    assert held.stored() != leaked
    assert checked(capsys, ExitCode.OK)


@pytest.mark.parametrize("held", [quay, ecr, gar], indirect=True, ids=lambda make: make.__name__)
@pytest.mark.parametrize("then", [REVOKE, APPLY], ids=lambda then: then[-2] if then is APPLY else then[1])
def test_a_revocation_is_finished_whenever_the_run_is_killed(
    held: Held, then: list[str], record_property: Callable[[str, object], None]
) -> None:
    kills = 0
    for when in ("before", "after"):
        for nth in range(1, KILLS):
            leaked = held.stored()
            fault = Fault("kill", where=held.writes, nth=nth, when="before" if when == "before" else "after")

            def arm(pid: int, fault: Fault = fault) -> None:
                fault.pid = lambda: pid
                held.loopback.faults.append(fault)

            end = run_armed(lambda: main(REVOKE), arm)
            held.loopback.faults.clear()
            assert main(then) == ExitCode.OK
            assert leaked not in held.live()
            held.little.apply()
            held.assert_one()
            if not end.killed:
                break
            kills += 1
    assert kills >= 2
    record_property(CRASH_POINTS, kills)


def test_a_revocation_that_failed_stays_open_until_it_is_done(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.pace.RealClock.sleep", lambda clock, seconds, interrupt: None)
    leaked = held.stored()
    refused = Fault("status", where=held.writes, times=None, response=Response(403, b"{}"))
    held.loopback.faults.append(refused)
    assert main(REVOKE) == ExitCode.ERROR
    held.loopback.faults.append(refused := replace(refused, seen=0))
    main(APPLY)
    assert list(held.live()) == [leaked]
    held.loopback.faults.clear()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    held.little.apply()
    held.assert_one()
    assert held.stored() != leaked


def test_a_check_writes_nothing_and_tells_what_is_broken(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    stored, state = held.stored(), Path(".fleet/state.json").read_text()
    (well,) = checked(capsys, ExitCode.OK)
    assert well["seen"]
    assert (list(held.live()), Path(".fleet/state.json").read_text()) == ([stored], state)
    held.break_it()
    (bad,) = checked(capsys, ExitCode.ERROR)
    assert bad["trouble"]
    assert main(["credentials", "check"]) == ExitCode.ERROR
    ended = capsys.readouterr()
    assert f"[1/1] climate: {bad['trouble']}" in ended.err
    assert bad["trouble"] in ended.out


def test_a_check_sees_that_somebody_replaced_the_secret(held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = held.little.github.state.repository(SOURCE).secrets
    name = next(iter(secrets))
    secrets[name] = replace(secrets[name], updated_at=secrets[name].updated_at + timedelta(minutes=1))
    (bad,) = checked(capsys, ExitCode.ERROR)
    assert "is not as fleet.yaml wants it" in bad["trouble"]


def test_one_in_trouble_stops_no_other(at_quay: Held, capsys: pytest.CaptureFixture[str]) -> None:
    at_quay.little.apply()
    document = json.loads(json.dumps(at_quay.little.document()))
    document["images"]["ocean"] = {"repository": "example-org/ocean-image", "registry": "registry"}
    Path("fleet.yaml").write_text(json.dumps(document))
    assert main(APPLY) == ExitCode.OK
    del at_quay.state.robots["example+ocean-image"]
    assert [(one["image"], one["trouble"] is None) for one in checked(capsys, ExitCode.ERROR)] == [
        ("ocean", False),
        ("climate", True),
    ]
    assert main(["credentials", "check", "-exclude=image:ocean"]) == ExitCode.OK


def test_a_robot_by_hand_whose_token_leaked_never_pushes_again(at_quay: Held) -> None:
    at_quay.state.robots[ROBOT] = {"token": "T" * 64, "description": "by hand", "created": ""}
    at_quay.state.repositories["example/climate-image"] = {
        "description": "", "is_public": True, "last_modified": 0, "permissions": {ROBOT: "write"}
    }  # fmt: skip
    at_quay.little.apply()
    assert at_quay.stored() == "T" * 64
    assert main(REVOKE) == ExitCode.OK
    at_quay.little.apply()
    assert at_quay.stored() != "T" * 64
    assert at_quay.state.repositories["example/climate-image"]["permissions"] == {f"{ROBOT}-a": "write"}


def test_what_fleet_did_not_issue_is_not_revoked(
    at_quay: Held, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_quay.little.apply()
    at_quay.state.robots["example+builder"] = {**at_quay.state.robots[ROBOT], "description": "", "token": "own"}
    at_quay.state.repositories["example/climate-image"]["permissions"]["example+builder"] = "write"
    monkeypatch.setenv("OWN", "own")
    at_quay.little.registry["push"] = {"username": "example+builder", "password": {"env": "OWN"}}
    at_quay.little.apply()
    assert checked(capsys, ExitCode.OK)[0]["seen"] == "pushes to its repository"
    assert main(REVOKE) == ExitCode.OK
    assert "a login of your own, which fleet does not revoke" in capsys.readouterr().out
    assert "example+builder" in at_quay.state.robots
    monkeypatch.setenv("OWN", "wrong")
    assert checked(capsys, ExitCode.ERROR)[0]["trouble"]


def test_of_keyless_builds_there_is_nothing_to_revoke(github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        held = ecr(github, stack, monkeypatch)
        held.little.registry["push"] = "keyless"
        held.little.apply()
        before = held.loopback.count()
        assert main(REVOKE) == ExitCode.OK
        assert held.loopback.count() == before
        assert main(["credentials", "check"]) == ExitCode.OK
        for role in held.state.roles.values():
            role.assume_role_policy_document = role.assume_role_policy_document.replace("heads/main", "heads/other")
        assert main(["credentials", "check"]) == ExitCode.ERROR


@pytest.mark.parametrize(
    ("said", "shown"),
    [(None, "0 days old, never used"), ("Mon, 05 Jan 2026 10:00:00 -0000", " days ago")],
)
def test_the_list_tells_when_each_was_last_used(
    at_quay: Held, said: str | None, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at_quay.little.apply()
    at_quay.state.robots[ROBOT]["last_accessed"] = said
    capsys.readouterr()
    assert main(["credentials"]) == ExitCode.OK
    assert shown in capsys.readouterr().out


def test_an_access_key_that_nobody_used_is_said_to_be_unused(
    github: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        held = ecr(github, stack, monkeypatch)
        held.little.apply()
        for user in held.state.users.values():
            user.access_keys[0].last_used = None
        capsys.readouterr()
        assert main(["credentials", "list"]) == ExitCode.OK
        assert "0 days old, never used" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [["revoke", "-auto-approve"], ["revoke", "-target=image:climate"], ["check", "-auto-approve"], ["revoke", "-json"]],
)
def test_options_that_make_no_sense_are_refused(at_quay: Held, wrong: list[str]) -> None:
    at_quay.little.save()
    assert main(["credentials", *wrong]) == ExitCode.USAGE
