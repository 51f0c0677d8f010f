"""What became of builds: the runs of the managed workflow, by commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from fleet.provider import Build, ProviderError
from fleet_github.client import Client

COMMITS = 50
"""How far back from the head of the branch builds are looked for."""

_HISTORY = """
query($owner: String!, $name: String!, $first: Int!) {
  repository(owner: $owner, name: $name, followRenames: false) {
    defaultBranchRef { name target { oid ... on Commit { history(first: $first) { nodes { oid parents(first: 1) {
      nodes { oid } } } } } } }
  }
}
"""


def builds_of_branch(client: Client, repository: str, workflow: str) -> Sequence[Build]:
    """The builds of the default branch's newest commits along first parents; `none` for a commit without one."""
    owner, _, name = repository.partition("/")
    document = client.graphql(_HISTORY, {"owner": owner, "name": name, "first": COMMITS}).document
    branch = ((document.get("data") or {}).get("repository") or {}).get("defaultBranchRef")
    if not branch:
        raise ProviderError(f"{client.host} shows no repository {repository} with a commit to this token")
    runs = _runs(client, repository, workflow, f"branch={branch['name']}&per_page=100")
    by_commit: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_commit.setdefault(run["head_sha"], []).append(run)
    commits = _first_parents(branch["target"])
    return [_build(client, repository, commit, _counting(by_commit.get(commit, ()))) for commit in commits]


def _first_parents(target: Mapping[str, Any]) -> list[str]:
    parents = {
        node["oid"]: [parent["oid"] for parent in node["parents"]["nodes"]]
        for node in target.get("history", {}).get("nodes", [])
    }
    commits, commit = [], target["oid"]
    while commit in parents:
        commits.append(commit)
        commit = next(iter(parents[commit]), None)
    return commits


def build_of_commit(client: Client, repository: str, commit: str, workflow: str) -> Build:
    """What became of one commit's build."""
    runs = _runs(client, repository, workflow, f"head_sha={commit}&per_page=10")
    return _build(client, repository, commit, _counting(runs), explain=True)


def running_builds(client: Client, repository: str, workflow: str) -> Mapping[str, str]:
    """The runs of a workflow that have not ended, by id; also those that wait: GitHub reads a repository's secrets
    when a run is queued. https://docs.github.com/en/actions/reference/security/secrets"""
    runs = _runs(client, repository, workflow, "per_page=100")
    return {str(run["id"]): str(run["html_url"]) for run in runs if run["status"] != "completed"}


def _counting(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of a commit's runs, newest first and each as its latest attempt shows it, the one that counts.

    A green one has made the image, whatever was started since; one that was skipped (on another branch, say) is none.
    """
    started = [run for run in runs if run["conclusion"] != "skipped"]
    green = (run for run in started if run["conclusion"] == "success")
    running = (run for run in started if run["status"] != "completed")
    return next(chain(green, running, started), None)


def _runs(client: Client, repository: str, workflow: str, query: str) -> list[Mapping[str, Any]]:
    file = workflow.rpartition("/")[2]
    reply = client.rest("GET", f"/repos/{repository}/actions/workflows/{file}/runs?{query}", None, 404)
    runs: list[Mapping[str, Any]] = reply.document.get("workflow_runs", []) if reply.status == 200 else []
    return runs


def _build(
    client: Client, repository: str, commit: str, run: Mapping[str, Any] | None, *, explain: bool = False
) -> Build:
    if run is None:
        return Build(commit, "none")
    if run["status"] != "completed":
        return Build(commit, "running", run["html_url"])
    if run["conclusion"] == "success":
        return Build(commit, "success", run["html_url"])
    failed = _failed_step(client, repository, run) if explain else ""
    return Build(commit, str(run["conclusion"]), run["html_url"], failed)


def _failed_step(client: Client, repository: str, run: Mapping[str, Any]) -> str:
    jobs = client.rest("GET", f"/repos/{repository}/actions/runs/{run['id']}/jobs").document.get("jobs", [])
    steps = [step for job in jobs for step in job.get("steps") or () if step.get("conclusion") == "failure"]
    return str(steps[0]["name"]) if steps else ""
