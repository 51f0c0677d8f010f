"""Check runs of one's own making, the pull requests of a commit, and how long a comment may be."""

from __future__ import annotations

import httpx
import pytest
from github import Github

from fleet.sandbox.github import Sandbox

REPOSITORY = "example-org/template"


@pytest.fixture
def app(sandbox: Sandbox) -> httpx.Client:
    """What a job's own token may do."""
    rights = {"checks": "write", "contents": "read", "pull_requests": "write"}
    token = sandbox.state.create_token("ada", rights)  # type: ignore[arg-type]
    return httpx.Client(base_url=sandbox.url, headers={"authorization": f"Bearer {token}"})


def test_a_check_is_made_by_a_jobs_token_and_listed_with_the_others(sandbox: Sandbox, app: httpx.Client) -> None:
    head = sandbox.state.repository(REPOSITORY).head
    output = {"title": "3 to add", "summary": "All of it."}
    check = {"name": "fleet plan", "head_sha": head, "status": "completed", "conclusion": "neutral", "output": output}
    with app:
        made = app.post(f"/repos/{REPOSITORY}/check-runs", json=check)
        assert made.status_code == 201
        listed = app.get(f"/repos/{REPOSITORY}/commits/{head}/check-runs").json()
        assert app.post(f"/repos/{REPOSITORY}/check-runs", json={**check, "conclusion": "fine"}).status_code == 422
    assert [run["output"]["title"] for run in listed["check_runs"]] == ["3 to add"]


def test_a_persons_token_makes_no_check(sandbox: Sandbox, http: httpx.Client) -> None:
    head = sandbox.state.repository(REPOSITORY).head
    check = {"name": "x", "head_sha": head, "status": "completed", "conclusion": "success"}
    refused = http.post(f"/repos/{REPOSITORY}/check-runs", json=check)
    assert refused.status_code == 403
    assert refused.headers["x-accepted-github-permissions"] == "checks=write"


def test_a_commit_leads_to_the_pull_request_that_it_merged(sandbox: Sandbox, ada: Github, app: httpx.Client) -> None:
    repository = ada.get_repo(REPOSITORY)
    main = repository.get_branch("main").commit.sha
    repository.create_git_ref("refs/heads/change", main)
    repository.create_file("new.txt", "New", "new\n", branch="change")
    pull = repository.create_pull(title="Change", head="change", base="main")
    merged = pull.merge(merge_method="squash").sha
    with app:
        found = app.get(f"/repos/{REPOSITORY}/commits/{merged}/pulls").json()
        assert app.get(f"/repos/{REPOSITORY}/commits/{main}/pulls").json() == []
    assert [(one["number"], one["merge_commit_sha"]) for one in found] == [(pull.number, merged)]


def test_a_comment_has_a_longest_length(ada: Github, http: httpx.Client) -> None:
    repository = ada.get_repo(REPOSITORY)
    repository.create_git_ref("refs/heads/change", repository.get_branch("main").commit.sha)
    repository.create_file("new.txt", "New", "new\n", branch="change")
    number = repository.create_pull(title="Change", head="change", base="main").number
    path = f"/repos/{REPOSITORY}/issues/{number}/comments"
    assert http.post(path, json={"body": "x" * 65_537}).status_code == 422
    assert http.post(path, json={"body": "x" * 65_536}).json()["author_association"] == "MEMBER"
