"""Repositories through PyGithub: create, generate, rename, archive, delete."""

from __future__ import annotations

import httpx
import pytest
from github import Github, GithubException, UnknownObjectException

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.clock import Lag
from tests.sandbox.github.conftest import ENVIRONMENT, Login
from tests.sandbox.github.test_git import text


def test_a_created_repository_is_read_changed_and_deleted(ada: Github) -> None:
    made = ada.get_organization("example-org").create_repo("image", description="An image", private=True)
    made.edit(description="Another", has_wiki=False)
    made.replace_topics(["fleet-example", "jupyterhub"])
    found = ada.get_repo("Example-Org/IMAGE")
    assert (found.full_name, found.description, found.private, found.has_wiki) == (
        "example-org/image",
        "Another",
        True,
        False,
    )
    assert found.get_topics() == ["fleet-example", "jupyterhub"]
    assert found.permissions.admin
    found.delete()
    with pytest.raises(UnknownObjectException):
        ada.get_repo("example-org/image")


def test_a_taken_name_is_refused_in_githubs_words(ada: Github) -> None:
    organization = ada.get_organization("example-org")
    organization.create_repo("image")
    with pytest.raises(GithubException) as caught:
        organization.create_repo("Image")
    assert caught.value.status == 422
    assert "name already exists on this account" in str(caught.value.data)
    with pytest.raises(GithubException) as caught:
        organization.create_repo_from_template("image", ada.get_repo("example-org/template"))
    assert caught.value.status == 422
    assert caught.value.data["errors"] == ["Could not clone: Name already exists on this account"]


def test_a_generated_repository_gets_its_contents_after_some_requests(sandbox: Sandbox, ada: Github) -> None:
    sandbox.state.settings.generate_lag = Lag(requests=2)
    template = ada.get_repo("example-org/template")
    made = ada.get_organization("example-org").create_repo_from_template("image", template, private=False)
    for _ in range(2):
        with pytest.raises(GithubException) as caught:
            made.get_git_ref("heads/main")
        assert (caught.value.status, caught.value.data["message"]) == (409, "Git Repository is empty.")
    assert text(made, "environment.yml") == ENVIRONMENT
    commit = made.get_commits()[0]
    assert commit.commit.message == "Initial commit"
    assert commit.parents == []
    assert ada.get_repo("example-org/image").template_repository.full_name == "example-org/template"


def test_a_generated_repository_gets_its_contents_when_the_clock_steps(sandbox: Sandbox, ada: Github) -> None:
    sandbox.state.settings.generate_lag = Lag(seconds=30)
    template = ada.get_repo("example-org/template")
    made = ada.get_organization("example-org").create_repo_from_template("image", template)
    for _ in range(5):
        with pytest.raises(GithubException):
            made.get_contents("environment.yml")
    sandbox.state.clock.advance(31)
    assert text(made, "environment.yml") == ENVIRONMENT


def test_only_a_template_with_a_commit_generates(sandbox: Sandbox, ada: Github) -> None:
    sandbox.state.create_repository("example-org/plain", {"a": "b"})
    sandbox.state.create_repository("example-org/hollow", is_template=True)
    organization = ada.get_organization("example-org")
    statuses = []
    for name in ("plain", "hollow"):
        with pytest.raises(GithubException) as caught:
            organization.create_repo_from_template("image", ada.get_repo(f"example-org/{name}"))
        statuses.append(caught.value.status)
    assert statuses == [404, 422]


def test_a_created_repository_shows_only_after_a_while(sandbox: Sandbox, ada: Github) -> None:
    sandbox.state.settings.repository_lag = Lag(requests=2)
    ada.get_organization("example-org").create_repo("image")
    for _ in range(2):
        with pytest.raises(UnknownObjectException):
            ada.get_repo("example-org/image")
    assert ada.get_repo("example-org/image").name == "image"


def test_a_renamed_repository_leads_reads_on_and_does_not_take_writes(ada: Github, http: httpx.Client) -> None:
    ada.get_organization("example-org").create_repo("old").edit(name="new")
    answer = http.get("/repos/example-org/old/topics")
    assert answer.status_code == 301
    assert http.get(answer.headers["location"]).json() == {"names": []}
    assert http.put("/repos/example-org/old/topics", json={"names": []}).status_code == 307
    assert ada.get_repo("example-org/old").full_name == "example-org/new"
    ada.get_organization("example-org").create_repo("old")
    assert ada.get_repo("example-org/old").full_name == "example-org/old"


def test_a_transferred_repository_is_found_at_its_new_owner(sandbox: Sandbox, ada: Github, http: httpx.Client) -> None:
    sandbox.state.create_organization("other-org", admins=["ada"])
    ada.get_organization("example-org").create_repo("image")
    sandbox.state.transfer_repository(sandbox.state.repository("example-org/image"), sandbox.state.account("other-org"))
    assert http.get("/repos/example-org/image").status_code == 301
    assert ada.get_repo("example-org/image").full_name == "other-org/image"


def test_an_archived_repository_takes_no_writes_until_it_is_unarchived(ada: Github) -> None:
    repository = ada.get_organization("example-org").create_repo("image", auto_init=True)
    repository.edit(archived=True)
    with pytest.raises(GithubException) as caught:
        repository.create_file("a", "A file", "a")
    assert caught.value.status == 403
    assert "archived" in caught.value.data["message"]
    repository.edit(archived=False)
    repository.create_file("a", "A file", "a")


def test_lists_are_paged_by_links(sandbox: Sandbox, ada: Github, http: httpx.Client) -> None:
    for number in range(5):
        sandbox.state.create_repository(f"example-org/image-{number}")
    answer = http.get("/orgs/example-org/repos", params={"per_page": 2, "page": 2, "sort": "full_name"})
    assert [one["name"] for one in answer.json()] == ["image-2", "image-3"]
    assert set(answer.links) == {"first", "prev", "next", "last"}
    assert answer.links["next"]["url"].startswith(sandbox.url)
    assert ada.get_organization("example-org").get_repos().totalCount == 6


def test_a_member_may_be_barred_from_public_repositories(sandbox: Sandbox, login: Login) -> None:
    sandbox.state.account("example-org").members_can_create_public = False
    ben = login(sandbox.state.create_token("ben"))
    organization = ben.get_organization("example-org")
    with pytest.raises(GithubException) as caught:
        organization.create_repo("image")
    assert "Visibility can't be public" in str(caught.value.data)
    assert organization.create_repo("image", private=True).private


def test_what_the_sandbox_does_not_know_it_names(http: httpx.Client) -> None:
    answers = [
        http.get("/repos/example-org/template/releases"),
        http.patch("/repos/example-org/template", json={"pull_request_creation_policy": "all"}),
        http.get("/orgs/example-org/repos", params={"visibility": "all"}),
        http.get("/repos/example-org/template/contents/a", headers={"accept": "application/vnd.github.raw+json"}),
    ]
    assert [answer.status_code for answer in answers] == [501] * 4
    names = ("GET /repos/example-org/template/releases", "'pull_request_creation_policy'", "'visibility'", "raw")
    for answer, name in zip(answers, names, strict=True):
        assert name in answer.json()["message"]
