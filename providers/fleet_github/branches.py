"""Default branches: read of many repositories with one light query, and named in a new one."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from fleet.provider import Context
from fleet_github.batches import Question, ask
from fleet_github.client import Client

REPOSITORIES_A_QUERY = 100
"""Repositories that one query asks for; it reads one name of each."""


def default_branches(client: Client, context: Context, repositories: Collection[str]) -> dict[str, str]:
    """The default branch of each repository that is there, is called so, and has a commit."""
    question = Question("defaultBranchRef { name }", size=REPOSITORIES_A_QUERY)
    found = ask(client, context.each, list(repositories), question)
    return {name: branch["name"] for name, one in found.items() if (branch := one.get("defaultBranchRef"))}


def give_name(client: Client, repository: str, standing: str, wanted: str) -> None:
    """Rename the default branch of a repository that was just made; one with a second commit is somebody's, and stays.

    What a new repository's branch is called is a setting of its owner.
    https://docs.github.com/en/organizations/managing-organization-settings/managing-the-default-branch-name-for-repositories-in-your-organization
    """
    if standing == wanted:
        return
    commits = client.rest("GET", f"/repos/{repository}/commits?per_page=2", None, 409)
    if commits.status != 409 and len(commits.document) < 2:  # 409: it has no commit yet, and gets one first
        client.rest("POST", f"/repos/{repository}/branches/{quote(standing)}/rename", {"new_name": wanted})
