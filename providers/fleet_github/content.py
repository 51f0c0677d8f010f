"""The first content of a repository: a template's, which arrives some time after the repository, or seed files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from fleet.provider import CommitRequest, Conflict, Context, TryAgain
from fleet_github.client import Client
from fleet_github.files import write_commit
from fleet_github.specs import First

SEED_MESSAGE = "First content"
SKIP_CI = "[skip ci]"
"""Keeps a commit from starting workflows.
https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs"""

README = "README.md"

_HEAD = """
query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name, followRenames: false) {
    defaultBranchRef { name target { oid ... on Commit {
      parents(first: 1) { totalCount }
      tree { entries { name } }
    } } }
    readme: object(expression: "HEAD:README.md") { ... on Blob { text } }
  }
}
"""


def fill(client: Client, context: Context, repository: str, first: First, generated: str | None) -> None:
    """See to the first content, and leave alone what somebody has begun; raises TryAgain while it is on its way.

    `generated` names the template that the repository was made from, if it was made from one.
    """
    found = _look(client, repository)
    branch = (found or {}).get("defaultBranchRef")
    if first.template:
        if branch is None or (generated and not _has_arrived(client, branch, generated)):
            raise TryAgain(
                f"{repository} is still being generated from {generated or first.template}, and its files are not "
                "there yet; if that lasts, look at the template repository, and run again"
            )
        return
    if found is None:
        raise TryAgain(f"{repository} was created and is not visible yet")
    if branch is None:
        _begin(client, repository)
        raise TryAgain(f"{repository} has got its first commit and does not show it yet")
    if first.seed and _is_untouched(repository, found):
        contents = {path: context.blob(oid) for path, oid in first.seed.items()}
        message = f"{SEED_MESSAGE} {SKIP_CI}\n\nFleet: {context.fleet}\n"
        request = CommitRequest(repository, branch["name"], branch["target"]["oid"], contents, message)
        try:
            write_commit(client, request)
        except Conflict as error:
            raise TryAgain(str(error)) from None


def _look(client: Client, repository: str) -> Mapping[str, Any] | None:
    owner, _, name = repository.partition("/")
    document = client.graphql(_HEAD, {"owner": owner, "name": name}).document
    kinds = {error.get("type") for error in document.get("errors") or ()}
    found = (document.get("data") or {}).get("repository")
    if kinds == {"NOT_FOUND"} and found is None:
        return None
    if kinds or not isinstance(found, dict) or "defaultBranchRef" not in found:
        raise TryAgain(f"{client.host} does not say what {repository} holds")
    return found


def _has_arrived(client: Client, branch: Mapping[str, Any], template: str) -> bool:
    """Whether all that lies at the top of the template is at the head, or was once: then somebody committed since."""
    if branch["target"]["parents"]["totalCount"]:
        return True
    model = ((_look(client, template) or {}).get("defaultBranchRef") or {}).get("target")
    return model is None or _names(model) <= _names(branch["target"])


def _names(commit: Mapping[str, Any]) -> set[str]:
    return {entry["name"] for entry in commit["tree"]["entries"]}


def _begin(client: Client, repository: str) -> None:
    """Give an empty repository the commit that GitHub makes by itself where it is asked to."""
    content = base64.b64encode(_readme(repository).encode()).decode()
    body = {"message": "Initial commit", "content": content}
    client.rest("PUT", f"/repos/{repository}/contents/{README}", body, 409, 422)


def _readme(repository: str) -> str:
    return f"# {repository.partition('/')[2]}"


def _is_untouched(repository: str, found: Mapping[str, Any]) -> bool:
    """Whether nothing but GitHub's own first commit is there: a README with the repository's name."""
    target = found["defaultBranchRef"]["target"]
    text = str((found.get("readme") or {}).get("text") or "")
    is_ours = text.casefold().startswith(_readme(repository).casefold())
    return target["parents"]["totalCount"] == 0 and _names(target) == {README} and is_ours
