"""What goes wrong with Google, at both types of registry: one sentence each, and nothing half done."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.cloud.artifactregistry_v1 import Repository

from fleet.errors import ExitCode, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.model import Change
from fleet.sandbox.http import Fault, Request, Response
from tests.google_cloud import CLIMATE, PLACES, Place, Sandbox, apply, in_a_sentence, no_reveal, sandbox
from tests.subjects.google import throttled

AR = "artifactregistry.repositories"
BEARER = {"authorization": "Bearer fleets-token"}


@pytest.fixture
def google() -> Iterator[Sandbox]:
    with sandbox() as served:
        yield served


@pytest.fixture(params=[*PLACES])
def place(google: Sandbox, request: pytest.FixtureRequest) -> Place:
    return Place(google, request.param)


def test_a_wrong_project_is_said(place: Place) -> None:
    assert "in the project another-project, if that is the right project" in place.said(project="another-project")


def test_a_wrong_region_is_said(google: Sandbox) -> None:
    assert "no location us-nowhere1" in Place(google, "gar").said(location="us-nowhere1")


@pytest.mark.parametrize("service", ["artifactregistry", "iam"])
def test_a_service_that_is_not_enabled_is_said(place: Place, service: str) -> None:
    place.state.disabled.add(f"{service}.googleapis.com")
    assert f"gcloud services enable {service}.googleapis.com --project=example-project" in place.said()


def test_a_login_that_is_wrong_is_said(place: Place) -> None:
    place.google.fleets.expires = 0
    assert "wrong, expired or revoked" in place.said()


def test_a_login_that_expires_during_the_run_is_said_and_another_run_goes_on(place: Place) -> None:
    ours, home = place.made()
    place.google.fleets.expires = 0
    with pytest.raises(OutOfBudget, match="stopped working during the run") as caught:
        ours.read([resource.address for resource in home.resources])
    assert caught.value.exit_code is ExitCode.BUDGET


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has no login for Google, in a folder where one could be written."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    return tmp_path


def test_a_machine_without_any_login_is_said(place: Place, nowhere: Path) -> None:
    assert place.said(auth=None).startswith("this machine has no login for Google Cloud")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "words",
        "[]",
        "{}",
        '{"type": "unheard-of"}',
        '{"type": "service_account"}',
        '{"type": "authorized_user", "client_id": "canary"}',
        '{"type": "external_account", "audience": "canary"}',
    ],
)
def test_a_malformed_credentials_file_is_said(
    place: Place, nowhere: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = nowhere / "login.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    said = place.said(auth=None)
    assert f"the file {path} of GOOGLE_APPLICATION_CREDENTIALS holds no login" in said
    assert "canary" not in said


def test_a_malformed_login_of_gcloud_is_said(place: Place, nowhere: Path) -> None:
    (nowhere / "application_default_credentials.json").write_text("[]")
    assert "or a malformed one" in place.said(auth=None)


def test_the_key_of_a_service_account_that_was_revoked_is_said(place: Place) -> None:
    create = Request(
        "POST", "/v1/projects/example-project/serviceAccounts", "", {}, BEARER, b'{"accountId":"fleet-ci"}'
    )
    name = json.loads(place.google.judge.handle(create).body)["name"]
    headers = {"host": place.google.loopback.host, **BEARER}
    made = place.google.judge.handle(Request("POST", f"/v1/{name}/keys", "", {}, headers, b"{}"))
    shown = base64.b64decode(json.loads(made.body)["privateKeyData"]).decode()
    place.state.keys.clear()
    ours = place.google.gar(secret=shown, auth={"key": {"env": "KEY"}})
    with pytest.raises(ProviderError, match="wrong, expired or revoked") as caught:
        apply(ours, ours.home(CLIMATE).resources)
    assert "PRIVATE KEY" not in in_a_sentence(caught.value)


def exhausted(*details: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """An answer of 429 with these details."""
    error = {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [*details]}
    return Response.of_json({"error": error}, 429, headers)


def reason(name: str, **metadata: str) -> Mapping[str, Any]:
    """The detail that says why."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": name, "domain": "googleapis.com", "metadata": metadata}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "21.5s"}
MINUTE = reason("RATE_LIMIT_EXCEEDED", quota_limit="ReadRequestsPerMinutePerProject")
DAY = reason("RATE_LIMIT_EXCEEDED", quota_limit="WriteRequestsPerDayPerProject")


@pytest.mark.parametrize(
    ("response", "after"),
    [
        (throttled(21), 21),
        (exhausted(MINUTE, RETRY), 21.5),
        (exhausted(MINUTE, headers={"retry-after": "9"}), 9),
        (exhausted(MINUTE), None),
        (Response(429, b"<html>Slow down</html>", {"content-type": "text/html"}), None),
    ],
    ids=["both", "RetryInfo", "Retry-After", "no time", "a proxy"],
)
def test_asked_too_often_it_is_waited_as_long_as_google_says(
    place: Place, response: Response, after: float | None
) -> None:
    ours = place.ours()
    place.google.loopback.faults.append(Fault("status", path=".*/repositories", response=response))
    with pytest.raises(TryAgain, match="is asked too often") as caught:
        ours.read([ours.home(CLIMATE).resources[2].address])
    assert caught.value.after == after


@pytest.mark.parametrize("details", [[DAY], [reason("RESOURCE_QUOTA_EXCEEDED")], []], ids=["day", "things", "unsaid"])
def test_a_quota_that_is_used_up_ends_the_run_which_can_go_on_later(
    place: Place, details: list[Mapping[str, Any]]
) -> None:
    place.google.loopback.faults.append(Fault("status", "POST", ".*/repositories", response=exhausted(*details)))
    with pytest.raises(OutOfBudget, match="a quota of the project example-project is used up") as caught:
        place.made()
    assert "does not make the repository" in in_a_sentence(caught.value)
    assert caught.value.exit_code is ExitCode.BUDGET
    place.made()


def test_a_project_that_takes_no_more_repositories_is_said_in_googles_words(place: Place) -> None:
    place.state.quota = 0
    assert "Quota exceeded for quota metric 'Repositories'; have it raised" in place.said()


@pytest.mark.parametrize("type_", ["repository", "pool", "provider", "writer"])
def test_a_connection_lost_after_a_write_leaves_it_open_whether_it_was_done(place: Place, type_: str) -> None:
    ours = place.ours()
    (lost,) = [one for one in ours.home(CLIMATE).resources if one.address.kind == type_]
    apply(
        ours,
        [one for one in ours.home(CLIMATE).resources if one != lost and one.address.kind in ("repository", "pool")],
    )
    place.google.loopback.faults.append(Fault("drop", "POST", when="after"))
    with pytest.raises(Unsure, match="may or may not have acted"):
        ours.apply([Change(lost.address, None, lost.spec)], no_reveal)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_google_answers_with_its_own_trouble_is_tried_again(place: Place, status: int) -> None:
    ours = place.ours()
    repository = ours.home(CLIMATE).resources[2]
    place.google.loopback.faults.append(Fault("status", "POST", response=Response(status, b"<html></html>")))
    with pytest.raises(TryAgain, match=f"Google Cloud answers {status} when asked to make the repository"):
        ours.apply([Change(repository.address, None, repository.spec)], no_reveal)


def test_an_operation_that_failed_is_said_in_googles_words(place: Place) -> None:
    ours = place.ours()
    failed = Response.of_json({"name": "operations/x", "done": True, "error": {"code": 9, "message": "no such key"}})
    place.google.loopback.faults.append(Fault("status", "POST", response=failed, times=2))
    pool, _, repository, _ = ours.home(CLIMATE).resources
    for resource in (pool, repository):
        with pytest.raises(ProviderError, match="no such key"):
            ours.apply([Change(resource.address, None, resource.spec)], no_reveal)


@pytest.mark.parametrize("body", [{"error": "invalid_request"}, "words", []], ids=str)
def test_an_error_in_a_shape_that_is_not_googles_is_said(place: Place, body: object) -> None:
    place.google.loopback.faults.append(Fault("status", response=Response.of_json(body, 400), times=None))
    assert place.said().startswith("Google Cloud")


def test_what_vanishes_meanwhile_is_said(place: Place) -> None:
    ours = place.ours()
    pool, provider, _, writer = ours.home(CLIMATE).resources
    with pytest.raises(ProviderError, match=r"the repository .* is gone"):
        ours.apply([Change(writer.address, None, writer.spec)], no_reveal)
    missing = Response.of_json({"error": {"code": 404, "message": "Requested entity was not found."}}, 404)
    place.google.loopback.faults.append(Fault("status", "POST", response=missing, times=None))
    for resource in (pool, provider):
        with pytest.raises(ProviderError, match="Requested entity was not found"):
            ours.apply([Change(resource.address, None, resource.spec)], no_reveal)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"format_": "PYTHON"}, "python"),
        ({"mode": "REMOTE_REPOSITORY"}, "docker (remote repository)"),
        ({"mode": "VIRTUAL_REPOSITORY"}, "docker (virtual repository)"),
    ],
    ids=["format", "remote", "virtual"],
)
def test_a_repository_of_another_kind_is_refused_and_left_as_it_is(
    place: Place, settings: dict[str, str], words: str
) -> None:
    ours = place.ours()
    repository = ours.home(CLIMATE).resources[2]
    place.stands(**settings)
    (standing,) = ours.read([repository.address]).values()
    objection = repository.spec.objection(standing)
    assert objection is not None
    assert objection.reason == f"is a repository for {words}, which cannot be changed"
    before = Repository.to_json(place.state.repositories[place.repository])
    with pytest.raises(ProviderError, match=r"is for (PYTHON|DOCKER \(\w+\)), and so takes no images of fleet's"):
        ours.apply([Change(repository.address, None, repository.spec)], no_reveal)
    assert Repository.to_json(place.state.repositories[place.repository]) == before


def test_a_repository_and_the_rights_in_it_that_another_fleet_owns_are_left_alone(google: Sandbox) -> None:
    place = Place(google, "gar")
    place.stands(labels={"fleet": "theirs"})
    ours = place.ours()
    *_, repository, writer = ours.home(CLIMATE).resources
    for resource in (repository, writer):
        with pytest.raises(ProviderError, match="the repository climate-image belongs to the fleet theirs"):
            ours.apply([Change(resource.address, None, resource.spec)], no_reveal)
    assert place.state.policies == {}
