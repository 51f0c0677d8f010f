"""Pull requests of fleet's own: one for each branch that fleet proposes from, found there again and brought up to date.

A proposal is one commit on top of the head of the branch that it is for. It is made of git objects, which nobody sees,
and becomes visible by one move of its branch; so it is never half there, and made anew it comes to the same tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fleet.provider import (
    Address,
    Change,
    CommitRequest,
    Context,
    Logged,
    Proposal,
    Proposed,
    ProviderError,
    Text,
    TryAgain,
    blob_id,
    proposal_branch,
)
from fleet_github.client import Client, Reply, said_by
from fleet_github.content import SKIP_CI
from fleet_github.files import read_at, read_files
from fleet_github.managed import MANAGED_MESSAGE, matters
from fleet_github.refs import tree_entry
from fleet_github.specs import ManagedFiles

GROUP = "files"
"""Names the group of a repository's managed files, whose branch is no other group's."""

COMMITS = 100
"""How far back from the head of the default branch commits are listed."""


def find_proposal(client: Client, repository: str, branch: str, paths: Collection[str]) -> Proposal | None:
    """The newest pull request from one of the repository's own branches, with these files at its head.

    One that cannot be merged, because its base has moved on in the same lines, counts as one that holds nothing. GitHub
    finds that out some time after a push; until then it is taken for one that can.
    """
    pull = _newest(client, repository, branch)
    if pull is None:
        return None
    url = str(pull["html_url"])
    if pull.get("merged_at"):
        return Proposal(url, "merged")
    is_open = pull["state"] == "open"
    if is_open and client.object(f"/repos/{repository}/pulls/{pull['number']}").get("mergeable") is False:
        return Proposal(url, "open")
    contents = read_at(client, repository, str(pull["head"]["sha"]), paths)
    return Proposal(url, "open" if is_open else "closed", contents)


def propose(client: Client, request: CommitRequest, branch: str, text: Text) -> str:
    """See that one pull request is open that holds exactly this commit; its address.

    Looks first, so that it may be repeated. What makes it hold the commit comes last: where that is missing, a reader
    sees that there is something left to do.
    """
    commit = _commit(client, request, branch)
    pull = _newest(client, request.repository, branch)
    root, wanted = f"/repos/{request.repository}/pulls", {"title": text.title, "body": text.body}
    if pull is not None and pull["state"] == "open":
        if (pull["title"], pull["body"]) != (text.title, text.body):
            client.rest("PATCH", f"{root}/{pull['number']}", wanted)
        _move(client, request.repository, branch, commit)
        return str(pull["html_url"])
    _move(client, request.repository, branch, commit)
    made = client.rest("POST", root, {**wanted, "head": branch, "base": request.branch}, 422)
    if made.status == 422:
        said = said_by(made.document)
        if "already exists" in said:
            raise TryAgain(f"{request.repository}: a pull request from {branch} is there and not to be seen yet")
        raise ProviderError(f"{client.host} opens no pull request from {branch} in {request.repository}: {said}")
    return str(made.document["html_url"])


def _newest(client: Client, repository: str, branch: str) -> Mapping[str, Any] | None:
    """The newest pull request from this very repository's branch; one of a fork is somebody else's."""
    owner = repository.partition("/")[0]
    query = urlencode({"head": f"{owner}:{branch}", "state": "all", "per_page": 100})
    reply = client.rest("GET", f"/repos/{repository}/pulls?{query}", None, 404)
    for pull in reply.document if reply.status == 200 else ():
        home = pull["head"].get("repo") or {}
        if str(home.get("full_name")).casefold() == repository.casefold():
            found: Mapping[str, Any] = pull
            return found
    return None


def _commit(client: Client, request: CommitRequest, branch: str) -> str:
    """The commit to propose: the branch's own where that is as wanted, else a new one that nothing shows yet."""
    root = f"/repos/{request.repository}/git"
    entries = [tree_entry(client, root, path, data) for path, data in request.contents.items()]
    tree = client.rest("POST", f"{root}/trees", {"base_tree": request.expected_head, "tree": entries}).document["sha"]
    standing = _head(client, request.repository, branch)
    if standing is not None:
        found = client.object(f"{root}/commits/{standing}")
        parents = [parent["sha"] for parent in found["parents"]]
        if (found["tree"]["sha"], parents) == (tree, [request.expected_head]):
            return standing
    wanted = {"message": request.message, "tree": tree, "parents": [request.expected_head]}
    return str(client.rest("POST", f"{root}/commits", wanted).document["sha"])


def _head(client: Client, repository: str, branch: str) -> str | None:
    reply = client.rest("GET", f"/repos/{repository}/git/ref/heads/{quote(branch)}", None, 404)
    return str(reply.document["object"]["sha"]) if reply.status == 200 else None


def _move(client: Client, repository: str, branch: str, commit: str) -> None:
    """Have the branch stand at a commit; whatever stood there was a proposal that this one replaces."""
    root, standing = f"/repos/{repository}/git/refs", _head(client, repository, branch)
    if standing == commit:
        return
    if standing is None:
        reply = client.rest("POST", root, {"ref": f"refs/heads/{branch}", "sha": commit}, 422)
        _check(client, repository, branch, reply)
    else:
        reply = client.rest("PATCH", f"{root}/heads/{quote(branch)}", {"sha": commit, "force": True}, 422)
        _check(client, repository, branch, reply)


def _check(client: Client, repository: str, branch: str, reply: Reply) -> None:
    if reply.status != 422:
        return
    said = said_by(reply.document)
    if "already exists" in said or "does not exist" in said:
        raise TryAgain(f"{repository}: somebody else moves {branch}")
    raise ProviderError(
        f"{client.host} does not let fleet push to {branch} of {repository}: {' '.join(said.split())} (no ruleset may "
        "forbid branches that begin with `fleet/`)"
    )


def managed_proposals(client: Client, context: Context, changes: Collection[Change]) -> dict[Address, Proposal]:
    """The pull requests, open or closed unmerged, that hold just what these changes of managed files want."""
    branch = proposal_branch(context.fleet, GROUP)

    def find(change: Change) -> Proposal | None:
        wanted = change.after
        assert isinstance(wanted, ManagedFiles)
        found = find_proposal(client, change.address.name, branch, list(wanted.files))
        if found is None or found.status == "merged":
            return None
        holds = {path: blob_id(data) for path, data in found.contents.items()} == wanted.files
        return found if holds else None

    asked = [change for change in changes if isinstance(change.after, ManagedFiles)]
    answers = context.each(find, asked)
    return {change.address: found for change, found in zip(asked, answers, strict=True) if found is not None}


def propose_managed(client: Client, context: Context, address: Address, wanted: ManagedFiles) -> Proposed | None:
    """Propose the managed files that differ; None where none does.

    The commit carries no `[skip ci]`, so that the pull request is tested. Its title does where no build is needed, for
    GitHub takes the title over when it merges.
    """
    repository = address.name
    contents = {path: context.blob(oid) for path, oid in wanted.files.items()}
    found = read_files(client, repository, None, list(contents))
    differing = {path: data for path, data in contents.items() if found.contents.get(path) != data}
    if not differing:
        return None
    builds = any(matters(found.contents.get(path), data) for path, data in differing.items())
    trailer = f"Fleet: {context.fleet}\n"
    request = CommitRequest(repository, found.branch, found.head, differing, f"{MANAGED_MESSAGE}\n\n{trailer}")
    text = Text(
        MANAGED_MESSAGE if builds else f"{MANAGED_MESSAGE} {SKIP_CI}",
        "\n".join([*_about(differing, found.contents, builds=builds), "", trailer.strip()]),
    )
    url = propose(client, request, proposal_branch(context.fleet, GROUP), text)
    return Proposed(url, {address: {"builds": False, "files": dict(wanted.files)}})


def _about(wanted: Mapping[str, bytes], standing: Mapping[str, bytes], *, builds: bool) -> Sequence[str]:
    after = "Merging it starts a build." if builds else "No image comes out otherwise, so no build is needed."
    return [
        "These files are kept up to date from a template, and differ from it:",
        "",
        *(f"- `{path}`: {'changed' if path in standing else 'new'}" for path in sorted(wanted)),
        "",
        f"{after} Closed unmerged, this is held until the files are to be others.",
    ]


def list_commits(client: Client, repository: str, old: str, new: str) -> Sequence[Logged]:
    """The commits of the default branch after `old` up to `new`, newest first: one request."""
    reply = client.rest("GET", f"/repos/{repository}/commits?per_page={COMMITS}", None, 404, 409)
    listed = reply.document if reply.status == 200 else []
    ids = [str(one["sha"]) for one in listed]
    first = next((number for number, oid in enumerate(ids) if oid.startswith(new)), None)
    last = next((number for number, oid in enumerate(ids) if oid.startswith(old)), None)
    if first is None or last is None:
        return []
    return [Logged(str(one["sha"]), str(one["commit"]["message"]).partition("\n")[0]) for one in listed[first:last]]
