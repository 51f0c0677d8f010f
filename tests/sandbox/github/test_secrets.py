"""Secrets are really opened, variables kept, and Actions switched on and off."""

from __future__ import annotations

import base64

import httpx
import pytest
from github import Github, GithubException, UnknownObjectException

from fleet.sandbox.github import Sandbox


def test_a_sealed_secret_is_opened_by_the_repositorys_own_key(sandbox: Sandbox, ada: Github) -> None:
    repository = ada.get_repo("example-org/template")
    repository.create_secret("quay_password", "päss-wörd")
    assert sandbox.state.repository("example-org/template").secrets["QUAY_PASSWORD"].value == "päss-wörd"
    first = repository.get_secret("QUAY_PASSWORD")
    sandbox.state.clock.advance(60)
    repository.create_secret("QUAY_PASSWORD", "another")
    second = repository.get_secret("QUAY_PASSWORD")
    assert (first.created_at, first.updated_at < second.updated_at) == (second.created_at, True)
    assert [secret.name for secret in repository.get_secrets()] == ["QUAY_PASSWORD"]
    repository.delete_secret("QUAY_PASSWORD")
    with pytest.raises(UnknownObjectException):
        repository.get_secret("QUAY_PASSWORD")


def test_a_secret_is_new_with_201_and_changed_with_204(sandbox: Sandbox, ada: Github, http: httpx.Client) -> None:
    path = "/repos/example-org/template/actions/secrets"
    key = http.get(f"{path}/public-key").json()
    sealed = ada.get_repo("example-org/template").get_public_key().encrypt("value")
    body = {"encrypted_value": sealed, "key_id": key["key_id"]}
    assert [http.put(f"{path}/A", json=body).status_code for _ in range(2)] == [201, 204]
    assert "value" not in http.get(path).text


def test_what_cannot_be_opened_is_refused(http: httpx.Client) -> None:
    path = "/repos/example-org/template/actions/secrets"
    key = http.get(f"{path}/public-key").json()["key_id"]
    garbage = base64.b64encode(b"garbage" * 10).decode()
    bodies = [
        {"encrypted_value": garbage, "key_id": key},
        {"encrypted_value": garbage, "key_id": "1"},
        {"encrypted_value": "not base64!", "key_id": key},
        {"encrypted_value": garbage},
    ]
    assert [http.put(f"{path}/A", json=body).status_code for body in bodies] == [422] * 4
    assert http.put(f"{path}/GITHUB_TOKEN", json=bodies[0]).status_code == 422
    assert http.get(path).json() == {"total_count": 0, "secrets": []}


def test_a_key_of_another_repository_does_not_open(sandbox: Sandbox, ada: Github, http: httpx.Client) -> None:
    sandbox.state.create_repository("example-org/other")
    sealed = ada.get_repo("example-org/other").get_public_key().encrypt("value")
    path = "/repos/example-org/template/actions/secrets"
    key = http.get(f"{path}/public-key").json()["key_id"]
    assert http.put(f"{path}/A", json={"encrypted_value": sealed, "key_id": key}).status_code == 422


def test_variables_are_kept_and_shown(ada: Github) -> None:
    repository = ada.get_repo("example-org/template")
    repository.create_variable("region", "us-west-2")
    repository.get_variable("REGION").edit("eu-central-1")
    assert [(one.name, one.value) for one in repository.get_variables()] == [("REGION", "eu-central-1")]
    with pytest.raises(GithubException) as caught:
        repository.create_variable("REGION", "again")
    assert caught.value.status == 409
    repository.delete_variable("REGION")
    assert list(repository.get_variables()) == []


def test_actions_are_allowed_or_not(sandbox: Sandbox, http: httpx.Client) -> None:
    path = "/repos/example-org/template/actions/permissions"
    assert http.get(path).json()["allowed_actions"] == "all"
    assert http.get(f"{path}/selected-actions").status_code == 409
    http.put(path, json={"enabled": True, "allowed_actions": "selected"})
    sandbox.state.repository("example-org/template").allowed_patterns = ("jupyterhub/*",)
    assert http.get(f"{path}/selected-actions").json()["patterns_allowed"] == ["jupyterhub/*"]
    http.put(path, json={"enabled": False})
    assert http.get(path).json()["enabled"] is False
    sandbox.state.account("example-org").enabled_repositories = "none"
    assert http.get("/orgs/example-org/actions/permissions").json()["enabled_repositories"] == "none"
