"""One comment of ours on a pull request, and the check on its head.

A comment is ours when it holds our marker and was written by a bot or by somebody who may write here: the marker is no
secret, and anybody can comment on a public repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from fleet.provider import Remark, Verdict
from fleet_github.client import Client

A_PAGE = 100

PAGES = 30
"""Pages of comments that are looked through; GitHub keeps no more than 2,500 comments of a pull request."""

OURS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Who may write here: https://docs.github.com/en/graphql/reference/enums#commentauthorassociation"""


CHECK = "fleet"
"""The `external_id` of checks of ours."""


def put_comment(client: Client, repository: str, number: int, marker: str, body: str) -> str:
    """See that there is exactly one comment of ours; looks first, so that it may be repeated. Returns its address."""
    found = [comment for comment in _comments(client, repository, number) if _is_ours(comment, marker)]
    if not found:
        created = client.rest("POST", f"/repos/{repository}/issues/{number}/comments", {"body": body})
        return str(created.document["html_url"])
    first, *others = found
    for other in others:
        client.rest("DELETE", f"/repos/{repository}/issues/comments/{other['id']}", None, 404)
    if first["body"] != body:
        client.rest("PATCH", f"/repos/{repository}/issues/comments/{first['id']}", {"body": body})
    return str(first["html_url"])


def find_remark(client: Client, repository: str, commit: str, marker: str) -> Remark | None:
    """Our comment on the merged pull request that brought a commit to its branch."""
    listed = client.rest("GET", f"/repos/{repository}/commits/{commit}/pulls?per_page={A_PAGE}").document or []
    for pull in listed:
        if pull.get("merged_at") and pull.get("merge_commit_sha") == commit:
            for comment in _comments(client, repository, pull["number"]):
                if _is_ours(comment, marker):
                    return Remark(pull["number"], pull["head"]["sha"], comment["body"])
    return None


def put_check(client: Client, repository: str, commit: str, verdict: Verdict) -> str:
    """See that a commit has one finished check of ours of this name; looks first, so that it may be repeated.

    Returns its address. Only the token of an App may do this.
    """
    said = {
        "conclusion": verdict.conclusion,
        "output": {"title": verdict.title, "summary": verdict.summary},
        **({"details_url": verdict.url} if verdict.url else {}),
    }
    query = urlencode({"check_name": verdict.name, "per_page": A_PAGE})
    listed = client.object(f"/repos/{repository}/commits/{commit}/check-runs?{query}")["check_runs"]
    standing = next((one for one in listed if one.get("external_id") == CHECK), None)
    if standing is None:
        made = {"name": verdict.name, "head_sha": commit, "status": "completed", "external_id": CHECK, **said}
        return str(client.rest("POST", f"/repos/{repository}/check-runs", made).document["html_url"])
    if not _says(standing, said):
        client.rest("PATCH", f"/repos/{repository}/check-runs/{standing['id']}", said)
    return str(standing["html_url"])


def _says(standing: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    output = standing.get("output") or {}
    shown = {**standing, "output": {name: output.get(name) for name in ("title", "summary")}}
    return all(shown.get(name) == value for name, value in said.items())


def _comments(client: Client, repository: str, number: int) -> Iterator[Mapping[str, Any]]:
    for page in range(1, PAGES + 1):
        path = f"/repos/{repository}/issues/{number}/comments?per_page={A_PAGE}&page={page}"
        listed = client.rest("GET", path).document or []
        yield from listed
        if len(listed) < A_PAGE:
            return


def _is_ours(comment: Mapping[str, Any], marker: str) -> bool:
    author = comment.get("user") or {}
    is_writer = author.get("type") == "Bot" or comment.get("author_association") in OURS
    return is_writer and str(comment.get("body") or "").startswith(marker)
