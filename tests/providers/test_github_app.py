"""A GitHub App as login: its signature, its installations, and tokens that end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fleet.errors import ProviderError, TryAgain
from fleet.provider import Organization
from fleet.sandbox.github.apps import App
from fleet.sandbox.github.model import EVERYTHING
from fleet.sandbox.token import new_key
from fleet_github import login
from tests.providers.github_bench import PASSWORD, SOURCE, Bench, open_bench

_key = cache(new_key)


def private(key: rsa.RSAPrivateKey) -> str:
    kind, bare = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, bare).decode()


def public(key: rsa.RSAPrivateKey) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind)


@pytest.fixture
def bench(tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[Bench]:
    with open_bench(tmp_path) as (opened, judge):
        yield opened
    judge.report(record_property)


@pytest.fixture
def app(bench: Bench) -> App:
    made = bench.github.state.create_app("fleet", public(_key()))
    bench.secret = private(_key())
    log_in(bench, id=made.id)
    return made


def log_in(bench: Bench, **entry: Any) -> None:
    bench.auth = {"app": {**entry, "private_key": {"env": "KEY"}}}


def tokens(bench: Bench) -> int:
    """How many tokens were asked for."""
    return bench.github.loopback.count("POST", "/app/installations/.*")


def test_an_app_makes_everything_with_one_token(bench: Bench, app: App) -> None:
    bench.github.state.install(app, "example-org")
    assert bench.objections() == ""
    before = tokens(bench)
    assert bench.make() == ["repository", "secret", "files"]
    assert bench.changes() == []
    assert tokens(bench) - before == 3, "one for each provider that was opened"
    assert len(bench.spent) == bench.github.loopback.count()


@pytest.mark.parametrize("known_by", ["id", "client_id"])
def test_an_installation_may_be_named(bench: Bench, app: App, known_by: str) -> None:
    bench.github.state.install(app, "ada")
    here = bench.github.state.install(app, "example-org")
    log_in(bench, id=getattr(app, known_by))
    with pytest.raises(ProviderError, match=rf"installed in several places; name one: .*{here.id} \(example-org\)"):
        bench.changes()
    log_in(bench, id=getattr(app, known_by), installation=here.id)
    assert len(bench.changes()) == 3


def test_an_app_that_is_installed_nowhere_is_said(bench: Bench, app: App) -> None:
    with pytest.raises(ProviderError, match="is installed nowhere"):
        bench.changes()
    log_in(bench, id=app.id, installation=7)
    with pytest.raises(ProviderError, match="has no installation 7"):
        bench.changes()


def test_a_token_that_ends_is_renewed(bench: Bench, app: App) -> None:
    bench.github.state.install(app, "example-org")
    provider = bench.provider()
    client = provider._client
    client.rest("GET", "/orgs/example-org")
    bench.github.state.clock.advance(3601)
    with pytest.raises(TryAgain, match="ended before its time"):
        client.rest("GET", "/orgs/example-org")
    assert client.rest("GET", "/orgs/example-org").status == 200
    assert tokens(bench) == 2


def test_a_token_is_renewed_before_it_ends(bench: Bench, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.github.state.install(app, "example-org")
    client = bench.provider()._client
    client.rest("GET", "/orgs/example-org")
    monkeypatch.setattr(login, "EARLY", timedelta(minutes=61))
    client.rest("GET", "/orgs/example-org")
    assert tokens(bench) == 2


def test_a_permission_that_was_not_granted_stops_the_plan(bench: Bench, app: App) -> None:
    rights = {name: level for name, level in EVERYTHING.items() if name not in ("workflows", "secrets")}
    bench.github.state.install(app, "example-org", rights)
    assert "the GitHub App was not granted secrets=write, workflows=write" in bench.objections()


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("no key at all", "is no RSA key in PEM form"),
        (None, "does not take the signature of the GitHub App"),
    ],
)
def test_a_wrong_key_is_said_and_never_shown(bench: Bench, app: App, key: str | None, sentence: str) -> None:
    bench.secret = key or private(new_key())
    with pytest.raises(ProviderError, match=sentence) as caught:
        bench.changes()
    assert "PRIVATE KEY" not in str(caught.value)


def test_an_app_makes_no_repositories_for_users(bench: Bench, app: App) -> None:
    bench.github.state.install(app, "ada")
    assert "a GitHub App makes no repositories for users" in bench.objections(replace(SOURCE, repository="ada/image"))


def test_permissions_in_an_organisation_are_asked_for_where_it_keeps_something(bench: Bench, app: App) -> None:
    organization = Organization("example-org", {"PUSH_PASSWORD": {SOURCE.repository: PASSWORD}})
    shared = replace(SOURCE, organization=organization, variables={"CHANNEL": "stable"})
    rights = {**EVERYTHING, "organization_secrets": "read", "organization_actions_variables": "read"}
    bench.github.state.install(app, "example-org", rights)
    lacking = "organization_secrets=write, organization_actions_variables=write"
    assert f"the GitHub App was not granted {lacking}" in bench.objections(shared)
