"""Default branches: read of many repositories with one light query, and named in a new one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import quote

from fleet.provider import Context, ProviderError
from fleet_github.client import Client

REPOSITORIES_A_QUERY = 100
"""Repositories that one query asks for; it reads one name of each."""


def default_branches(client: Client, context: Context, repositories: Collection[str]) -> dict[str, str]:
    """The default branch of each repository that is there, is called so, and has a commit."""
    names = list(repositories)
    batches = [names[start : start + REPOSITORIES_A_QUERY] for start in range(0, len(names), REPOSITORIES_A_QUERY)]
    found: dict[str, str] = {}
    for answer in context.each(lambda batch: _read(client, batch), batches):
        found |= answer
    return found


def _read(client: Client, names: Sequence[str]) -> dict[str, str]:
    declared = ", ".join(f"$o{number}: String!, $n{number}: String!" for number in range(len(names)))
    asked = " ".join(
        f"r{number}: repository(owner: $o{number}, name: $n{number}, followRenames: false) {{ ...found }}"
        for number in range(len(names))
    )
    variables: dict[str, str] = {}
    for number, repository in enumerate(names):
        variables[f"o{number}"], _, variables[f"n{number}"] = repository.partition("/")
    query = f"query({declared}) {{ {asked} }} fragment found on Repository {{ defaultBranchRef {{ name }} }}"
    document = client.graphql(query, variables).document
    errors = [error for error in document.get("errors") or () if error.get("type") != "NOT_FOUND"]
    data = document.get("data")
    if errors or not isinstance(data, dict):
        said = errors[0].get("message") if errors else "it gives no reason"
        raise ProviderError(f"{client.host} does not tell the default branches of repositories: {said}")
    standing = {name: data.get(f"r{number}") or {} for number, name in enumerate(names)}
    return {name: ref["name"] for name, one in standing.items() if (ref := one.get("defaultBranchRef"))}


def give_name(client: Client, repository: str, standing: str, wanted: str) -> None:
    """Rename the default branch of a repository that was just made; one with a second commit is somebody's, and stays.

    What a new repository's branch is called is a setting of its owner.
    https://docs.github.com/en/organizations/managing-organization-settings/managing-the-default-branch-name-for-repositories-in-your-organization
    """
    if standing == wanted:
        return
    commits = client.rest("GET", f"/repos/{repository}/commits?per_page=2").document
    if len(commits) < 2:
        client.rest("POST", f"/repos/{repository}/branches/{quote(standing)}/rename", {"new_name": wanted})
