"""What tokens may do, and how GitHub says that they may not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from github import BadCredentialsException, Github, GithubException, InputGitTreeElement

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.model import Protection
from tests.sandbox.github.conftest import Login


def test_a_fine_grained_token_is_told_the_right_that_it_lacks(sandbox: Sandbox, login: Login) -> None:
    client = login(sandbox.state.create_token("ada", {"contents": "write"}))
    repository = client.get_repo("example-org/template")
    with pytest.raises(GithubException) as caught:
        repository.create_secret("A", "b")
    assert (caught.value.status, caught.value.data["message"]) == (
        403,
        "Resource not accessible by personal access token",
    )
    assert caught.value.headers
    assert caught.value.headers["x-accepted-github-permissions"] == "secrets=read"
    with pytest.raises(GithubException) as caught:
        client.get_organization("example-org").create_repo("image")
    assert caught.value.headers
    assert caught.value.headers["x-accepted-github-permissions"] == "administration=write"


def test_a_classic_token_shows_its_scopes_and_needs_the_right_one(sandbox: Sandbox, login: Login) -> None:
    client = login(sandbox.state.create_token("ada", scopes=["repo"]))
    repository = client.get_repo("example-org/template")
    assert client.oauth_scopes == ["repo"]
    with pytest.raises(GithubException) as caught:
        repository.delete()
    assert (caught.value.status, caught.value.data["message"]) == (403, "Must have admin rights to Repository.")


@pytest.mark.parametrize(("scopes", "status"), [(["repo"], 404), (None, 403)])
def test_a_workflow_file_needs_the_right_of_its_own(
    sandbox: Sandbox, login: Login, scopes: list[str] | None, status: int
) -> None:
    repository = login(sandbox.state.create_token("ada", {"contents": "write"}, scopes=scopes)).get_repo(
        "example-org/template"
    )
    with pytest.raises(GithubException) as caught:
        repository.create_file(".github/workflows/build.yaml", "Add", "on: push\n")
    assert caught.value.status == status
    element = InputGitTreeElement(".github/workflows/build.yaml", "100644", "blob", content="on: push\n")
    with pytest.raises(GithubException) as caught:
        repository.create_git_tree([element])
    assert caught.value.status == status
    repository.create_file("environment.txt", "Add", "a")


def test_strangers_and_the_wrong_token_do_not_see_a_private_repository(sandbox: Sandbox, login: Login) -> None:
    sandbox.state.create_repository("example-org/image", {"a": "b"}).visibility = "private"
    sandbox.state.create_user("eve")
    tokens = [
        sandbox.state.create_token("eve"),
        sandbox.state.create_token("ada", scopes=["public_repo"]),
        sandbox.state.create_token("ada", repositories=["example-org/template"]),
    ]
    for token in tokens:
        with pytest.raises(GithubException) as caught:
            login(token).get_repo("example-org/image")
        assert caught.value.status == 404
    assert login(sandbox.state.create_token("ben")).get_repo("example-org/image").permissions.push is False


def test_a_person_who_only_reads_does_not_write(sandbox: Sandbox, login: Login) -> None:
    repository = login(sandbox.state.create_token("ben")).get_repo("example-org/template")
    with pytest.raises(GithubException) as caught:
        repository.create_file("a", "Add", "a")
    assert caught.value.status == 403
    sandbox.state.repository("example-org/template").collaborators["ben"] = "write"
    repository.create_file("a", "Add", "a")


def test_a_token_that_expires_dies_in_the_middle(sandbox: Sandbox, login: Login) -> None:
    end = sandbox.state.clock.now() + timedelta(hours=1)
    client = login(sandbox.state.create_token("ada", expires_at=end))
    assert client.get_user().login == "ada"
    sandbox.state.clock.advance(3600)
    with pytest.raises(BadCredentialsException) as caught:
        client.get_repo("example-org/template")
    assert caught.value.data["message"] == "Bad credentials"


def test_rules_of_a_branch_are_shown_and_obeyed(sandbox: Sandbox, ada: Github) -> None:
    repository = ada.get_repo("example-org/template")
    requester, path = repository.requester, repository.url
    body = {
        "name": "main",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [{"type": "pull_request", "parameters": _PULL_REQUEST}],
    }
    _, made = requester.requestJsonAndCheck("POST", f"{path}/rulesets", input=body)
    _, rules = requester.requestJsonAndCheck("GET", f"{path}/rules/branches/main")
    assert [(rule["type"], rule["ruleset_id"]) for rule in rules] == [("pull_request", made["id"])]
    with pytest.raises(GithubException) as caught:
        repository.create_file("a", "Add", "a")
    assert caught.value.status == 409
    assert "Changes must be made through a pull request." in caught.value.data["message"]
    repository.create_git_ref("refs/heads/topic", repository.get_branch("main").commit.sha)
    repository.create_file("a", "Add", "a", branch="topic")
    requester.requestJsonAndCheck("DELETE", f"{path}/rulesets/{made['id']}")
    repository.create_file("a", "Add", "a")


_PULL_REQUEST = {
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_approving_review_count": 1,
    "required_review_thread_resolution": False,
}


def test_a_protected_branch_is_shown_and_obeyed(sandbox: Sandbox, ada: Github) -> None:
    repository = ada.get_repo("example-org/template")
    branch = repository.get_branch("main")
    with pytest.raises(GithubException) as caught:
        branch.get_protection()
    assert caught.value.data["message"] == "Branch not protected"
    sandbox.state.repository("example-org/template").protection["main"] = Protection(("test",), enforce_admins=True)
    assert branch.get_protection().required_status_checks.contexts == ["test"]
    with pytest.raises(GithubException) as caught:
        repository.create_file("a", "Add", "a")
    assert caught.value.status == 409
    assert 'Required status check "test" is expected.' in caught.value.data["message"]
    sandbox.state.repository("example-org/template").protection["main"] = Protection(("test",), enforce_admins=False)
    repository.create_file("a", "Add", "a")
