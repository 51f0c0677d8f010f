"""A branch that holds data: read whole with one query, and moved by one commit that GitHub compares and swaps.

The first commit of a branch has no parent, which only REST's git objects can make: three requests, once. Creating the
ref is the comparison then: GitHub refuses a second one of the same name.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from fleet.provider import Branch, Conflict, ProviderError, Swap, Swapped, TryAgain, blob_id
from fleet_github.client import API, Client, Reply, said_by

_BRANCH = """
query($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name, followRenames: false) {
    ref(qualifiedName: $ref) { target { oid ... on Commit { tree { entries { ...entry object {
      ... on Tree { entries { ...entry } }
    } } } } } }
  }
}
fragment entry on TreeEntry { name type object { ... on Blob { oid text isTruncated } } }
"""
"""Files at the top of a branch and in its folders; what lies deeper is not asked for."""

_COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}
"""

_GONE = frozenset({"STALE_DATA", "NOT_FOUND"})
"""Types of errors that say that the branch is elsewhere, or not there any more."""


def read_branch(client: Client, repository: str, branch: str) -> Branch:
    """All files of a branch: one request, and one for each file that GraphQL does not show whole."""
    owner, _, name = repository.partition("/")
    reply = client.graphql(_BRANCH, {"owner": owner, "name": name, "ref": f"refs/heads/{branch}"})
    found = (reply.document.get("data") or {}).get("repository")
    if not isinstance(found, dict):
        raise ProviderError(
            f"{client.host} shows no repository {repository} to this token: its name is another, or the token may not "
            "see it (it needs Contents: read and write)"
        )
    if reply.document.get("errors"):
        raise ProviderError(f"{client.host} does not show {branch} of {repository}: {_said(reply)}")
    if found.get("ref") is None:
        return Branch("", {}, _time(client, reply))
    target = found["ref"]["target"]
    files = dict(_files(client, repository, target["tree"]["entries"]))
    return Branch(str(target["oid"]), files, _time(client, reply))


def _files(
    client: Client, repository: str, entries: list[Mapping[str, Any]], folder: str = ""
) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        path, shown = f"{folder}{entry['name']}", entry["object"] or {}
        if entry["type"] == "tree":
            yield from _files(client, repository, shown.get("entries") or [], f"{path}/")
        elif "oid" in shown:
            yield path, _content(client, repository, shown)


def _content(client: Client, repository: str, blob: Mapping[str, Any]) -> bytes:
    text = blob.get("text")
    if isinstance(text, str) and blob_id(text.encode()) == blob["oid"]:
        return text.encode()
    document = client.rest("GET", f"/repos/{repository}/git/blobs/{blob['oid']}").document
    data = base64.b64decode(document["content"])
    if blob_id(data) != blob["oid"]:
        raise TryAgain(f"{client.host} sent other bytes of {repository} than those of blob {blob['oid']}")
    return data


def swap_branch(client: Client, swap: Swap) -> Swapped:
    """One commit on a branch that must be where it was read: one request, or three to begin the branch."""
    return _commit_on(client, swap) if swap.expected_head else _begin(client, swap)


def _commit_on(client: Client, swap: Swap) -> Swapped:
    headline, _, body = swap.message.partition("\n\n")
    additions = [
        {"path": path, "contents": base64.b64encode(data).decode()}
        for path, data in swap.contents.items()
        if data is not None
    ]
    deletions = [{"path": path} for path, data in swap.contents.items() if data is None]
    wanted = {
        "branch": {"repositoryNameWithOwner": swap.repository, "branchName": swap.branch},
        "expectedHeadOid": swap.expected_head,
        "message": {"headline": headline, "body": body},
        "fileChanges": {"additions": additions, "deletions": deletions},
    }
    reply = client.graphql(_COMMIT, {"input": wanted}, writes=True)
    for error in reply.document.get("errors") or ():
        if error.get("type") in _GONE:
            raise Conflict(f"{swap.branch} of {swap.repository} is no longer at {swap.expected_head[:12]}")
        raise _refused(client, swap, _said(reply))
    return Swapped(str(reply.document["data"]["createCommitOnBranch"]["commit"]["oid"]), _time(client, reply))


def _begin(client: Client, swap: Swap) -> Swapped:
    root = f"/repos/{swap.repository}/git"
    contents = {path: data for path, data in swap.contents.items() if data is not None}
    tree = [tree_entry(client, root, path, data) for path, data in contents.items()]
    made = client.rest("POST", f"{root}/trees", {"tree": tree}, 409)
    if made.status == 409:
        raise ProviderError(f"{swap.repository} is empty: give it a first commit, and then fleet can keep state in it")
    wanted = {"message": swap.message, "tree": made.document["sha"], "parents": []}
    commit = str(client.rest("POST", f"{root}/commits", wanted).document["sha"])
    reply = client.rest("POST", f"{root}/refs", {"ref": f"refs/heads/{swap.branch}", "sha": commit}, 422)
    if reply.status == 422:
        if "already exists" in said_by(reply.document):
            raise Conflict(f"somebody else has begun {swap.branch} of {swap.repository}")
        raise _refused(client, swap, said_by(reply.document))
    return Swapped(commit, _time(client, reply))


def tree_entry(client: Client, root: str, path: str, data: bytes) -> dict[str, str]:
    """A file as an entry of a tree; one that is no text is stored as a blob first."""
    entry = {"path": path, "mode": "100644", "type": "blob"}
    try:
        return {**entry, "content": data.decode()}
    except UnicodeDecodeError:
        given = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
        return {**entry, "sha": str(client.rest("POST", f"{root}/blobs", given).document["sha"])}


def _refused(client: Client, swap: Swap, said: str) -> ProviderError:
    return ProviderError(
        f"{client.host} does not take a commit to {swap.branch} of {swap.repository}: {' '.join(said.split())} (the "
        "token needs Contents: read and write there, and no branch protection or ruleset may cover this branch)"
    )


def _said(reply: Reply) -> str:
    return str(reply.document["errors"][0].get("message") or "it gives no reason")


def _time(client: Client, reply: Reply) -> float:
    """GitHub's own time of an answer. https://www.rfc-editor.org/rfc/rfc9110#name-date"""
    try:
        return parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError):
        raise TryAgain(f"{client.host} does not say what time it is") from None


def repository_at(client: Client, url: str) -> str | None:
    """The repository that a git remote's URL names on this GitHub, as `owner/name`; None for any other host.

    The forms are those of git-clone(1), "GIT URLS": `https://HOST/OWNER/NAME`, `ssh://git@HOST/…`, `git@HOST:…`.
    """
    if "://" not in url:
        host, _, path = url.partition(":")
        url = f"ssh://{host}/{path}"
    parts = urlsplit(url)
    ours = urlsplit(client.base_url)
    hosts = {"github.com", "ssh.github.com"} if client.base_url == API else {ours.hostname}
    path = parts.path.strip("/").removesuffix(".git")
    if parts.hostname not in hosts or path.count("/") != 1 or not all(path.split("/")):
        return None
    return path
