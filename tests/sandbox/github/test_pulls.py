"""Pull requests, comments, statuses and checks through PyGithub."""

from __future__ import annotations

import pytest
from github import Github, GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.model import Protection
from tests.sandbox.github.conftest import Login

TEST = "on: pull_request\njobs: {test: {runs-on: x, steps: [{uses: actions/checkout@v5}]}}\n"


@pytest.fixture
def repository(sandbox: Sandbox, ada: Github) -> Repository:
    """A repository whose branch `topic` adds a file."""
    sandbox.state.create_repository("example-org/fleet", {"a.txt": "a\n", ".github/workflows/test.yaml": TEST})
    found = ada.get_repo("example-org/fleet")
    found.create_git_ref("refs/heads/topic", found.get_branch("main").commit.sha)
    found.create_file("b.txt", "Add b", "b\n", branch="topic")
    return found


def opened(repository: Repository) -> PullRequest:
    """A pull request from `topic`."""
    return repository.create_pull(title="Add b", body="Because", head="topic", base="main")


def test_a_pull_request_is_opened_found_changed_and_merged(repository: Repository) -> None:
    pull = opened(repository)
    assert (pull.number, pull.mergeable, pull.changed_files, pull.user.login) == (1, True, 1, "ada")
    (found,) = repository.get_pulls(head="example-org:topic", base="main")
    found.edit(title="Add b.txt")
    assert pull.merge(sha=pull.head.sha).merged
    commit = repository.get_branch("main").commit
    assert commit.commit.message == "Merge pull request #1 from example-org/topic\n\nAdd b.txt"
    assert len(commit.parents) == 2
    assert repository.get_contents("b.txt", ref="main")
    merged = repository.get_pull(1)
    assert (merged.state, merged.merged, merged.merge_commit_sha) == ("closed", True, commit.sha)
    assert list(repository.get_pulls()) == []


def test_a_second_pull_request_for_a_branch_is_refused(repository: Repository) -> None:
    opened(repository)
    with pytest.raises(GithubException) as caught:
        opened(repository)
    assert "A pull request already exists for example-org:topic." in str(caught.value.data)
    with pytest.raises(GithubException) as caught:
        repository.create_pull(title="Nothing", body="", head="main", base="topic")
    assert "No commits between" in str(caught.value.data)


def test_a_merge_that_conflicts_is_refused(sandbox: Sandbox, repository: Repository) -> None:
    pull = opened(repository)
    sandbox.commit("example-org/fleet", {"b.txt": "another b\n"})
    assert repository.get_pull(1).mergeable is False
    with pytest.raises(GithubException) as caught:
        pull.merge()
    assert (caught.value.status, caught.value.data["message"]) == (405, "Pull Request is not mergeable")


def test_a_head_that_moved_is_not_merged(repository: Repository) -> None:
    pull = opened(repository)
    repository.create_file("c.txt", "Add c", "c\n", branch="topic")
    with pytest.raises(GithubException) as caught:
        pull.merge(sha=pull.head.sha)
    assert caught.value.status == 409
    assert repository.get_pull(1).head.sha != pull.head.sha


def test_a_required_check_must_have_succeeded(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.state.repository("example-org/fleet").protection["main"] = Protection(("fleet",))
    pull = opened(repository)
    with pytest.raises(GithubException) as caught:
        pull.merge()
    assert 'Required status check "fleet" is expected.' in caught.value.data["message"]
    commit = repository.get_commit(pull.head.sha)
    commit.create_status("failure", context="fleet")
    assert commit.get_combined_status().state == "failure"
    commit.create_status("success", "https://example.org/plan", "Planned", "fleet")
    _, statuses = repository.requester.requestJsonAndCheck("GET", f"{commit.url}/statuses")
    assert [one["state"] for one in statuses] == ["success", "failure"]
    assert commit.get_combined_status().state == "success"
    assert pull.merge(merge_method="squash").merged
    assert repository.get_branch("main").commit.commit.message == "Add b (#1)"


def test_comments_are_written_changed_and_deleted(repository: Repository) -> None:
    pull = opened(repository)
    comment = pull.create_issue_comment("first")
    comment.edit("changed")
    pull.create_issue_comment("second")
    assert [one.body for one in pull.get_issue_comments()] == ["changed", "second"]
    pull.get_issue_comment(comment.id).delete()
    assert [one.body for one in pull.get_issue_comments()] == ["second"]


def test_a_pull_request_runs_its_workflows_on_the_merge(sandbox: Sandbox, repository: Repository, login: Login) -> None:
    pull = opened(repository)
    repository.create_file("c.txt", "Add c", "c\n", branch="topic")
    sandbox.actions.wait()
    runs = list(repository.get_workflow_runs(event="pull_request"))
    assert [(run.head_branch, run.conclusion) for run in runs] == [("topic", "success")] * 2
    app = login(sandbox.state.create_token("ada", {"contents": "read", "checks": "read"}))
    (check,) = app.get_repo(repository.full_name).get_commit(pull.head.sha).get_check_runs()
    assert (check.name, check.status, check.conclusion) == ("test", "completed", "success")
    merge = sandbox.state.repository("example-org/fleet").runs[0].trigger.sha
    assert [parent.sha for parent in repository.get_git_commit(merge).parents] == [pull.base.sha, pull.head.sha]
