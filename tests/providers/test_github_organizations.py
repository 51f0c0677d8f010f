"""What GitHub is asked and told of an organisation's secrets and variables, request by request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import ProviderError, TryAgain
from fleet.model import Address, Change, Secret, SecretRef
from fleet.provider import Organization
from fleet.sandbox.github.model_actions import OrganizationSecret
from fleet.sandbox.http import Fault, Response
from fleet_github.specs import ORGANIZATION_SECRET
from tests.providers.github_bench import IMAGE, PASSWORD, SOURCE, Bench, open_bench

KEPT_BY = Organization("example-org", {"PUSH_PASSWORD": {IMAGE: PASSWORD}})
SHARED = replace(SOURCE, organization=KEPT_BY, variables={"CHANNEL": "stable"})
ROOT = "/orgs/example-org/actions"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as (opened, _):
        yield opened


def held(bench: Bench) -> OrganizationSecret:
    return bench.github.state.account("example-org").secrets["PUSH_PASSWORD"]


def of_secret(bench: Bench) -> Change:
    """The change that stores the secret once more."""
    (wanted,) = (
        one for one in bench.provider().workshop(SHARED) if one.address.kind == ORGANIZATION_SECRET
    )  # fmt: skip
    return Change(wanted.address, wanted.spec, wanted.spec)


def test_each_thing_is_made_after_what_it_needs(bench: Bench) -> None:
    made = ["organization-secret", "selected-secret", "organization-variable", "selected-variable"]
    assert bench.make(SHARED) == ["repository", *made, "files"]
    assert (held(bench).value, bench.github.state.repository(IMAGE).secrets) == ("canary-password", {})
    assert bench.changes(SHARED) == []


def test_an_unchanged_organisation_costs_no_budget(bench: Bench) -> None:
    bench.make(SHARED)
    bench.changes(SHARED)
    before = len(bench.github.loopback.records)
    assert bench.changes(SHARED) == []
    asked = list(bench.github.loopback.records)[before:]
    assert [one.path for one in asked if one.status != 304] == ["/graphql"]
    kept = [f"{ROOT}/secrets/PUSH_PASSWORD", f"{ROOT}/variables/CHANNEL"]
    assert [one.path for one in asked[1:]] == [*kept, *(f"{path}/repositories" for path in kept)]


def test_a_list_that_changes_while_it_is_read_is_read_again(bench: Bench) -> None:
    bench.make(SHARED)
    page = Response.of_json({"total_count": 2, "repositories": []})
    path = f"{ROOT}/secrets/PUSH_PASSWORD/repositories"
    bench.github.loopback.faults.append(Fault("status", "GET", path, response=page))
    with pytest.raises(TryAgain, match="changed while it was read"):
        bench.provider().apply([of_secret(bench)], lambda ref: Secret("canary-password"))
    assert bench.github.loopback.count("PUT", f"{ROOT}/secrets/PUSH_PASSWORD") == 1


def test_a_login_that_is_not_proved_is_not_stored(bench: Bench) -> None:
    bench.make(SHARED)
    held(bench).value = "by hand"

    def refuse(ref: SecretRef) -> Secret:
        raise ProviderError(f"{ref.source.name} may not be pushed")

    with pytest.raises(ProviderError, match="may not be pushed"):
        bench.provider().apply([of_secret(bench)], refuse)
    assert held(bench).value == "by hand"


def test_who_is_tried_is_bounded_where_nobody_has_the_secret_yet(bench: Bench) -> None:
    many = {
        f"example-org/{n}": PASSWORD.model_copy(update={"source": Address("r", "login", str(n))}) for n in range(50)
    }
    shared = replace(SHARED, organization=Organization("example-org", {"PUSH_PASSWORD": many}))
    tried: list[str] = []

    def refuse(ref: SecretRef) -> Secret:
        tried.append(ref.source.name)
        raise ProviderError("no")

    change = next(one for one in bench.changes(shared) if one.address.kind == ORGANIZATION_SECRET)
    with pytest.raises(ProviderError):
        bench.provider().apply([change], refuse)
    assert tried == ["0", "1", "2", "3", "4"]
