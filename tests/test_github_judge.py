"""The judge itself: it must see what is wrong, or its silence means nothing."""

from __future__ import annotations

import json
from typing import Any

from fleet.sandbox.http import Request, Response
from tests.github_judge import Judge


class Fixed:
    """A service that always gives the same answer."""

    def __init__(self, response: Response) -> None:
        self.response = response

    def handle(self, request: Request) -> Response:
        """The answer."""
        return self.response


def verdicts(method: str, path: str, answer: Response, body: Any = None, query: str = "") -> list[str]:
    """What the judge has against one exchange."""
    judge = Judge(Fixed(answer))
    parameters = {query: ["1"]} if query else {}
    judge.handle(Request(method, path, path, parameters, {}, b"" if body is None else json.dumps(body).encode()))
    return judge.disagreements


def test_a_sound_exchange_passes() -> None:
    assert verdicts("GET", "/repos/o/r/topics", Response.of_json({"names": []})) == []


def test_an_answer_of_another_shape_is_seen() -> None:
    assert verdicts("GET", "/repos/o/r/topics", Response.of_json({"names": "a"})) == [
        "GET /repos/o/r/topics 200: names: 'a' is not of type 'array'"
    ]
    (found,) = verdicts("GET", "/repos/o/r/actions/secrets", Response.of_json({"secrets": []}))
    assert "'total_count' is a required property" in found


def test_a_status_that_is_not_described_is_seen() -> None:
    (found,) = verdicts("PUT", "/repos/o/r/topics", Response.of_json({"names": []}, 202), {"names": []})
    assert found.endswith("repos/replace-all-topics has no status 202 in the description")


def test_a_wrong_request_is_seen() -> None:
    answer = Response.of_json({"names": []})
    assert "is not of type" in verdicts("PUT", "/repos/o/r/topics", answer, {"names": "a"})[0]
    assert "no field 'colour'" in verdicts("PUT", "/repos/o/r/topics", answer, {"names": [], "colour": 1})[0]
    assert "no parameter 'colour'" in verdicts("GET", "/repos/o/r/topics", answer, query="colour")[0]
    assert "no such operation" in verdicts("GET", "/repos/o/r/colours", answer)[0]


def test_a_wrong_moment_is_seen() -> None:
    secret = {"name": "A", "created_at": "2026-01-01T00:00:00Z", "updated_at": "yesterday"}
    assert "is not a 'date-time'" in verdicts("GET", "/repos/o/r/actions/secrets/A", Response.of_json(secret))[0]


def test_a_graphql_query_is_held_to_the_schema() -> None:
    answer = Response.of_json({"data": None})
    assert verdicts("POST", "/graphql", answer, {"query": "{ viewer { login } }"}) == []
    (found,) = verdicts("POST", "/graphql", answer, {"query": "{ viewer { password } }"})
    assert "Cannot query field 'password' on type 'User'" in found


def test_the_summary_counts_what_was_judged() -> None:
    judge = Judge(Fixed(Response.of_json({"names": 1})))
    judge.handle(Request("GET", "/repos/o/r/topics", "/repos/o/r/topics", {}, {}, b""))
    text = "1 REST exchanges and 0 GraphQL queries judged; 1 disagreements; flaws of the description met: none"
    assert judge.summary() == text
