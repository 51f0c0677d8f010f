"""The judge itself: it must see what is wrong, or its silence means nothing."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from fleet.sandbox.http import Request, Response
from tests.google_judge import NUMBERS, Judge

REPOSITORIES = "/v1/projects/p/locations/us/repositories"
ONE = f"{REPOSITORIES}/r"
KEYS = "/v1/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com/keys"
DONE = {"name": "operations/1", "done": True}


class Fixed:
    """A service that always gives the same answer."""

    def __init__(self, response: Response) -> None:
        self.response = response

    def handle(self, request: Request) -> Response:
        """The answer."""
        return self.response


def verdicts(
    method: str, path: str, answer: Any, body: Any = None, status: int = 200, query: dict[str, str] | None = None
) -> list[str]:
    """What the judge has against one exchange."""
    judge = Judge(Fixed(Response.of_json(answer, status)))
    asked = {name: [value] for name, value in (query or {}).items()}
    judge.handle(Request(method, path, path, asked, {}, b"" if body is None else json.dumps(body).encode()))
    return [one.partition(": ")[2] for one in judge.disagreements]


def error(code: int, status: str, **more: Any) -> dict[str, Any]:
    """An error in the envelope of Google's APIs."""
    return {"error": {"code": code, "message": "No.", "status": status, **more}}


def test_a_sound_exchange_passes() -> None:
    wanted = {"format": "DOCKER", "dockerConfig": {"immutableTags": True}, "labels": {"fleet": "ours"}}
    assert verdicts("POST", REPOSITORIES, DONE, wanted, query={"repositoryId": "r"}) == []
    assert verdicts("GET", ONE, {"name": "r", "format": 1, "sizeBytes": "7"}, query={"$alt": NUMBERS}) == []
    assert verdicts("GET", KEYS, {"keys": [{"keyType": "USER_MANAGED"}]}, query={"keyTypes": "USER_MANAGED"}) == []
    assert verdicts("GET", ONE, error(404, "NOT_FOUND"), status=404) == []


def test_a_wrong_path_or_method_is_seen() -> None:
    for method, path in (("GET", "/v1/projects/p/repositories"), ("PUT", ONE), ("POST", f"{ONE}:setPolicy")):
        assert verdicts(method, path, {}) == ["no document describes such a method"]


def test_a_wrong_request_is_seen() -> None:
    assert "'colour' was unexpected" in verdicts("PATCH", ONE, {}, {"colour": "blue"})[0]
    assert "is not valid under any" in verdicts("PATCH", ONE, {}, {"format": "DOKCER"})[0]
    assert "asked/labels/fleet: 1 is not of type" in verdicts("PATCH", ONE, {}, {"labels": {"fleet": 1}})[0]
    assert "'updateTime' was unexpected" in verdicts("PATCH", ONE, {}, {"updateTime": "2026-01-01T00:00:00Z"})[0]
    assert "where none is described" in verdicts("GET", ONE, {}, {"name": "r"})[0]


def test_a_wrong_query_is_seen() -> None:
    assert verdicts("POST", REPOSITORIES, DONE, {}) == ["query: 'repositoryId' is a required property"]
    assert "'colour' was unexpected" in verdicts("GET", ONE, {}, query={"colour": "blue"})[0]
    assert "is not of type 'integer'" in verdicts("GET", REPOSITORIES, {}, query={"pageSize": "many"})[0]
    assert "is not a 'google-fieldmask'" in verdicts("PATCH", ONE, {}, {}, query={"updateMask": "docker_config"})[0]


def test_an_answer_of_another_shape_is_seen() -> None:
    assert "'colour' was unexpected" in verdicts("GET", ONE, {"colour": "blue"})[0]
    assert "'DOKCER' is not one of" in verdicts("GET", ONE, {"format": "DOKCER"})[0]
    assert "1 is not one of" in verdicts("GET", KEYS, {"keys": [{"keyType": 1}]})[0]
    assert "is not of type 'integer'" in verdicts("GET", ONE, {"format": "DOCKER"}, query={"$alt": NUMBERS})[0]
    assert "'uri' is a required" in verdicts("GET", f"{ONE}/dockerImages", {"dockerImages": [{"name": "x"}]})[0]


@pytest.mark.parametrize(
    "field", [{"sizeBytes": "many"}, {"createTime": "2026-01-01T00:00:00"}, {"createTime": "yesterday"}], ids=str
)
def test_a_value_of_another_format_is_seen(field: dict[str, str]) -> None:
    assert "is not a" in verdicts("GET", ONE, {"name": "r", **field})[0]


def test_an_error_without_googles_envelope_is_seen() -> None:
    assert verdicts("GET", ONE, {"error": "not found"}, status=404)
    assert "is not one of" in verdicts("GET", ONE, error(404, "NOWHERE"), status=404)[0]
    assert "is not an answer of 404" in verdicts("GET", ONE, error(404, "ABORTED"), status=404)[0]
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "why": "x"}]
    assert verdicts("GET", ONE, error(403, "PERMISSION_DENIED", details=details), status=403)[0].startswith("details:")
    assert verdicts("POST", "/v1/token", error(400, "INVALID_ARGUMENT"), status=400)


def test_what_disagrees_fails_whoever_closes_the_judge() -> None:
    with pytest.raises(AssertionError), closing(Judge(Fixed(Response.of_json({})))) as judge:
        judge.handle(Request("GET", "/v1/nowhere", "/v1/nowhere", {}, {}, b""))


def test_other_protocols_are_not_judged() -> None:
    for path in ("/v2/", "/v2/auth", "/token"):
        assert verdicts("GET", path, {"anything": 1}) == []
