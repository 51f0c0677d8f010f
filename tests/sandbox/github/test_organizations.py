"""Secrets and variables of organisations: who may see them, and which repositories' jobs get them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from github import Github

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.model_actions import OrganizationSecret, OrganizationVariable, Secret
from tests.sandbox.github.conftest import Login

ROOT = "/orgs/example-org/actions"
SHOWING = """
on: [push, pull_request]
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: '[ "$GOT" = "$WANTED" ]'
        env: {GOT: "${{ secrets.LOGIN }} ${{ vars.CHANNEL }}", WANTED: "EXPECTED"}
"""


def sealed(sandbox: Sandbox, ada: Github, http: httpx.Client, **given: Any) -> dict[str, Any]:
    """The body that stores a secret."""
    key = http.get(f"{ROOT}/secrets/public-key").json()
    value = ada.get_organization("example-org").get_public_key().encrypt("s3cret")
    return {"encrypted_value": value, "key_id": key["key_id"], **given}


def keep(sandbox: Sandbox, visibility: Any, *selected: int) -> None:
    organization, now = sandbox.state.account("example-org"), sandbox.state.clock.now()
    organization.secrets["LOGIN"] = OrganizationSecret("LOGIN", "s3cret", now, now, visibility, set(selected))
    variable = OrganizationVariable("CHANNEL", "stable", now, now, visibility, set(selected))
    organization.variables["CHANNEL"] = variable


def conclusions(sandbox: Sandbox, expected: str, visibilities: Mapping[str, Any]) -> dict[str, str | None]:
    """What became of a build in each repository that expects this."""
    for name, visibility in visibilities.items():
        sandbox.state.create_repository(f"example-org/{name}", {"a": "a"}).visibility = visibility
        sandbox.commit(f"example-org/{name}", {".github/workflows/a.yaml": SHOWING.replace("EXPECTED", expected)})
    sandbox.actions.wait()
    return {name: sandbox.state.repository(f"example-org/{name}").runs[-1].conclusion for name in visibilities}


def test_a_secret_is_stored_for_selected_repositories_and_never_shown(
    sandbox: Sandbox, ada: Github, http: httpx.Client
) -> None:
    one, two = (sandbox.state.create_repository(f"example-org/{name}").id for name in ("one", "two"))
    path = f"{ROOT}/secrets/LOGIN"
    body = sealed(sandbox, ada, http, visibility="selected", selected_repository_ids=[one])
    assert [http.put(path, json=body).status_code for _ in range(2)] == [201, 204]
    assert sandbox.state.account("example-org").secrets["LOGIN"].value == "s3cret"
    assert http.put(f"{path}/repositories/{two}").status_code == 204
    assert [shown["id"] for shown in http.get(f"{path}/repositories").json()["repositories"]] == [one, two]
    assert http.delete(f"{path}/repositories/{one}").status_code == 204
    assert http.get(f"{path}/repositories").json()["total_count"] == 1
    assert http.put(path, json=body).status_code == 204  # the list that is given replaces theirs
    assert [shown["id"] for shown in http.get(f"{path}/repositories").json()["repositories"]] == [one]
    assert "s3cret" not in http.get(f"{ROOT}/secrets").text + http.get(path).text
    assert [http.delete(path).status_code for _ in range(2)] == [204, 404]


def test_what_is_given_to_all_has_no_places(sandbox: Sandbox, http: httpx.Client) -> None:
    number = sandbox.state.create_repository("example-org/one").id
    keep(sandbox, "all")
    for what in ("secrets/LOGIN", "variables/CHANNEL"):
        assert http.put(f"{ROOT}/{what}/repositories/{number}").status_code == 409
        assert http.delete(f"{ROOT}/{what}/repositories/{number}").status_code == 409
    assert http.get(f"{ROOT}/variables/CHANNEL/repositories").status_code == 409


def test_a_list_is_for_selected_repositories_of_the_organisation_only(
    sandbox: Sandbox, ada: Github, http: httpx.Client
) -> None:
    inside, outside = (sandbox.state.create_repository(name).id for name in ("example-org/one", "ada/one"))
    given: list[dict[str, Any]] = [
        {"visibility": "all", "selected_repository_ids": [inside]},
        {"visibility": "selected", "selected_repository_ids": [outside]},
        {"visibility": "everybody"},
        {},
    ]
    answers = [http.put(f"{ROOT}/secrets/A", json=sealed(sandbox, ada, http, **one)).status_code for one in given]
    assert answers == [422] * 4
    keep(sandbox, "selected")
    assert http.put(f"{ROOT}/secrets/LOGIN/repositories/{outside}").status_code == 404


def test_variables_are_made_changed_and_taken_away(sandbox: Sandbox, http: httpx.Client) -> None:
    one = sandbox.state.create_repository("example-org/one").id
    body = {"name": "CHANNEL", "value": "stable", "visibility": "selected", "selected_repository_ids": [one]}
    assert [http.post(f"{ROOT}/variables", json=body).status_code for _ in range(2)] == [201, 409]
    path = f"{ROOT}/variables/CHANNEL"
    assert http.patch(path, json={"value": "nightly"}).status_code == 204
    shown = http.get(path).json()
    assert (shown["value"], shown["visibility"]) == ("nightly", "selected")
    assert http.get(f"{path}/repositories").json()["total_count"] == 1
    assert [one["name"] for one in http.get(f"{ROOT}/variables").json()["variables"]] == ["CHANNEL"]
    assert [http.delete(path).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(
    ("visibility", "reached"),
    [("all", {"open", "closed"}), ("private", {"closed"}), ("selected", set())],
)
def test_jobs_get_what_their_organisation_gives_them(sandbox: Sandbox, visibility: str, reached: set[str]) -> None:
    keep(sandbox, visibility)
    ended = conclusions(sandbox, "s3cret stable", {"open": "public", "closed": "private"})
    assert {name for name, conclusion in ended.items() if conclusion == "success"} == reached


def test_a_selected_repository_gets_it_and_its_own_comes_first(sandbox: Sandbox) -> None:
    made = sandbox.state.create_repository("example-org/chosen", {"a": "a"})
    keep(sandbox, "selected", made.id)
    path = ".github/workflows/a.yaml"
    sandbox.commit("example-org/chosen", {path: SHOWING.replace("EXPECTED", "s3cret stable")})
    now = sandbox.state.clock.now()
    sandbox.actions.wait()
    made.secrets["LOGIN"] = Secret("LOGIN", "its own", now, now)
    sandbox.commit("example-org/chosen", {path: SHOWING.replace("EXPECTED", "its own stable")})
    sandbox.actions.wait()
    assert [run.conclusion for run in made.runs] == ["success", "success"]


def test_a_pull_request_of_a_fork_gets_no_secret(sandbox: Sandbox) -> None:
    sandbox.state.create_user("mallory")
    made = sandbox.state.create_repository("example-org/chosen", {"a": "a"})
    keep(sandbox, "selected", made.id)
    changed = {".github/workflows/a.yaml": SHOWING.replace("EXPECTED", " stable")}
    sandbox.propose_from_fork("example-org/chosen", changed, "mallory")
    sandbox.actions.wait()
    assert [run.conclusion for run in made.runs] == ["success"]


def test_owners_see_them_and_nobody_else(sandbox: Sandbox, login: Login) -> None:
    keep(sandbox, "all")
    create = sandbox.state.create_token
    answers = {}
    for name, token in {
        "owner": create("ada", scopes=["admin:org"]),
        "without the scope": create("ada", scopes=["repo"]),
        "without the right": create("ada", {"secrets": "write"}),
        "member": create("ben"),
    }.items():
        headers = {"authorization": f"Bearer {token}"}
        answers[name] = httpx.get(f"{sandbox.url}{ROOT}/secrets/LOGIN", headers=headers).status_code
    assert answers == {"owner": 200, "without the scope": 403, "without the right": 403, "member": 404}
