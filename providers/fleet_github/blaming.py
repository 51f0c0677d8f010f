"""Who last changed a line, as GitHub blames it: one query for many files of a branch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fleet.provider import LastChange, ProviderError
from fleet_github.batches import batches
from fleet_github.client import Client

FILES_A_QUERY = 10
"""Files that one query asks for: blaming is slow, and GitHub answers within 10 seconds or not at all."""


def blame(
    client: Client, repository: str, ref: str | None, lines: Mapping[str, Collection[int]]
) -> dict[tuple[str, int], LastChange]:
    """The commit that last changed each line, by file and number, at the head of a branch."""
    found: dict[tuple[str, int], LastChange] = {}
    for files in batches(sorted(lines), FILES_A_QUERY):
        for file, ranges in _ranges(client, repository, ref, files):
            for number in lines[file]:
                commits = (one["commit"] for one in ranges if one["startingLine"] <= number <= one["endingLine"])
                if (commit := next(commits, None)) is not None:
                    found[file, number] = _last_change(commit)
    return found


def _last_change(commit: Mapping[str, Any]) -> LastChange:
    author = commit["author"] or {}
    name = (author.get("user") or {}).get("login") or author.get("name") or "somebody unknown"
    return LastChange(commit["oid"], name, commit["authoredDate"], commit["message"])


def _ranges(
    client: Client, repository: str, ref: str | None, files: Sequence[str]
) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    owner, _, name = repository.partition("/")
    declared = "".join(f", $f{number}: String!" for number in range(len(files)))
    blames = " ".join(f"f{number}: blame(path: $f{number}) {{ ...lines }}" for number in range(len(files)))
    query = (
        f"query($owner: String!, $name: String!, $ref: String!{declared}) {{ "
        "repository(owner: $owner, name: $name, followRenames: false) { "
        f"object(expression: $ref) {{ ... on Commit {{ {blames} }} }} }} }} "
        "fragment lines on Blame { ranges { startingLine endingLine commit { "
        "oid message authoredDate author { name user { login } } } } }"
    )
    variables = {"owner": owner, "name": name, "ref": ref or "HEAD"}
    variables |= {f"f{number}": file for number, file in enumerate(files)}
    document = client.graphql(query, variables).document
    commit = ((document.get("data") or {}).get("repository") or {}).get("object")
    if not isinstance(commit, dict):
        said = (document.get("errors") or [{}])[0].get("message", "it gives no reason")
        raise ProviderError(f"{client.host} does not tell who changed {', '.join(files)} of {repository}: {said}")
    return [(file, (commit.get(f"f{number}") or {}).get("ranges") or []) for number, file in enumerate(files)]
