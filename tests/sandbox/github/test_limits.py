"""Rate limits in GitHub's dialects, on the sandbox's clock; and conditional requests, which cost nothing."""

from __future__ import annotations

import httpx

from fleet.sandbox.github import Sandbox

TEMPLATE = "/repos/example-org/template"


def test_the_primary_limit_says_when_it_resets(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.limits.core_per_hour = 2
    left = [http.get(TEMPLATE).headers["x-ratelimit-remaining"] for _ in range(2)]
    refused = http.get(TEMPLATE)
    assert (left, refused.status_code, refused.headers["x-ratelimit-remaining"]) == (["1", "0"], 403, "0")
    assert "API rate limit exceeded" in refused.json()["message"]
    wait = int(refused.headers["x-ratelimit-reset"]) - sandbox.state.clock.time()
    assert 3590 < wait <= 3601
    sandbox.state.clock.advance(wait)
    assert http.get(TEMPLATE).status_code == 200


def test_content_is_created_80_times_a_minute_and_500_times_an_hour(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.state.clock.freeze()
    sandbox.limits.points_per_minute = None
    made = 0
    while (answer := http.put(f"{TEMPLATE}/topics", json={"names": []})).status_code == 200:
        made += 1
    assert (made, answer.status_code, answer.headers["retry-after"]) == (80, 403, "60")
    assert "secondary rate limit" in answer.json()["message"]
    while made < 500:
        answer = http.put(f"{TEMPLATE}/topics", json={"names": []})
        if answer.status_code == 200:
            made += 1
        else:
            sandbox.state.clock.advance(int(answer.headers["retry-after"]))
    assert http.put(f"{TEMPLATE}/topics", json={"names": []}).headers["retry-after"] == str(3600 - 6 * 60)
    assert http.get(TEMPLATE).status_code == 200


def test_points_of_reads_and_writes_are_limited_too(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.state.clock.freeze()
    sandbox.limits.points_per_minute, sandbox.limits.status, sandbox.limits.says_retry_after = 11, 429, False
    assert http.put(f"{TEMPLATE}/topics", json={"names": []}).status_code == 200
    statuses = [http.get(TEMPLATE).status_code for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    assert "retry-after" not in http.get(TEMPLATE).headers
    sandbox.state.clock.advance(60)
    assert http.get(TEMPLATE).status_code == 200


def test_an_unchanged_answer_is_304_and_free(http: httpx.Client) -> None:
    first = http.get(TEMPLATE)
    again = http.get(TEMPLATE, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    http.put(f"{TEMPLATE}/topics", json={"names": ["new"]})
    assert http.get(TEMPLATE, headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_asking_for_the_limit_is_free_and_strangers_have_sixty(sandbox: Sandbox, http: httpx.Client) -> None:
    used = [http.get("/rate_limit").json()["rate"]["used"] for _ in range(2)]
    assert used == [0, 0]
    answer = httpx.get(f"{sandbox.url}{TEMPLATE}")
    assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "60")
    assert httpx.get(f"{sandbox.url}/user").status_code == 401
