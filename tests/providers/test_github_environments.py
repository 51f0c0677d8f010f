"""Environments of GitHub that fleet keeps secrets and variables in: made narrow, and left as they are otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.sandbox.github.model_actions import Environment
from tests.providers.github_bench import IMAGE, SOURCE, Bench, open_bench

KEPT = replace(SOURCE, environment="registry", variables={"CHANNEL": "stable"})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as (opened, _):
        yield opened


def environment(bench: Bench) -> Environment:
    return bench.github.state.repository(IMAGE).environments["registry"]


def test_it_is_open_to_the_default_branch_only_and_the_repository_holds_nothing(bench: Bench) -> None:
    made = bench.make(KEPT)
    assert made == ["repository", "environment", "environment-secret", "environment-variable", "files"]
    held, repository = environment(bench), bench.github.state.repository(IMAGE)
    assert (held.policy, list(held.branches.values())) == ("custom", [("branch", "main")])
    assert {name: one.value for name, one in held.secrets.items()} == {"PUSH_PASSWORD": "canary-password"}
    assert {name: one.value for name, one in held.variables.items()} == {"CHANNEL": "stable"}
    assert (repository.secrets, repository.variables) == ({}, {})
    assert bench.make(KEPT) == []


def test_variables_lie_in_the_repository_where_no_environment_is_named(bench: Bench) -> None:
    source = replace(SOURCE, variables={"CHANNEL": "stable"})
    assert "variable" in bench.make(source)
    held = bench.github.state.repository(IMAGE).variables
    held["CHANNEL"].value = "nightly"
    assert bench.make(source) == ["variable"]
    assert held["CHANNEL"].value == "stable"


def test_what_was_opened_by_hand_is_closed_again_and_reviewers_stay(bench: Bench) -> None:
    bench.make(KEPT)
    held = environment(bench)
    held.policy, held.branches, held.reviewers = "any", {}, [bench.github.state.account("ben")]
    held.wait_timer, held.prevent_self_review = 5, True
    assert bench.make(KEPT) == ["environment"]
    assert list(held.branches.values()) == [("branch", "main")]
    assert ([one.login for one in held.reviewers], held.wait_timer, held.prevent_self_review) == (["ben"], 5, True)
    held.branches[7] = ("branch", "*")
    assert bench.make(KEPT) == ["environment"]
    assert list(held.branches.values()) == [("branch", "main")]


def test_a_plan_says_that_builds_would_wait(bench: Bench) -> None:
    bench.make(KEPT)
    environment(bench).reviewers = [bench.github.state.account("ben")]
    environment(bench).variables["CHANNEL"].value = "nightly"
    (said,) = bench.provider().notices(bench.changes(KEPT))
    assert said == f"builds of {IMAGE} wait for the approval of ben, which their environment registry asks for"


def test_an_unchanged_environment_costs_no_budget(bench: Bench) -> None:
    bench.make(KEPT)
    bench.changes(KEPT)
    before = len(bench.github.loopback.records)
    assert bench.changes(KEPT) == []
    asked = list(bench.github.loopback.records)[before:]
    assert [one.path for one in asked if one.status != 304] == ["/graphql"]
