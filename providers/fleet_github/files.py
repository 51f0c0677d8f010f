"""Files of a repository, read at one commit and written as one: GraphQL for both, REST for what it does not show."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fleet.provider import CommitRequest, Conflict, Files, ProviderError, blob_id
from fleet_github.batches import batches
from fleet_github.branch_rules import FORBIDDING
from fleet_github.client import Client, Reply

FILES_A_QUERY = 100
"""Files that one query asks for; GitHub answers within 10 seconds or not at all."""

_BRANCH = """
query($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name, followRenames: false) {
    isArchived viewerPermission
    defaultBranchRef { ...branch }
    ref(qualifiedName: $ref) { ...branch }
  }
}
fragment branch on Ref {
  name target { oid } branchProtectionRule { pattern }
  rules(first: 100) { nodes { type repositoryRuleset { name } } }
}
"""

MAY_PUSH = frozenset({"ADMIN", "MAINTAIN", "WRITE"})

_COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}
"""


def read_files(client: Client, repository: str, ref: str | None, paths: Collection[str]) -> Files:
    """The files at the head of a branch (the default one unless `ref` names another), all of one commit."""
    owner, _, name = repository.partition("/")
    reply = client.graphql(_BRANCH, {"owner": owner, "name": name, "ref": f"refs/heads/{ref or ''}"})
    found = _repository(client, repository, reply)
    branch = found["defaultBranchRef"] if ref is None else found["ref"]
    if branch is None:
        missing = f"has no branch {ref}" if ref else "is empty: it has no commit yet"
        raise ProviderError(f"{repository} {missing}")
    head = str(branch["target"]["oid"])
    contents = read_at(client, repository, head, paths)
    warning = _warning(f"{branch['name']} of {repository}", branch)
    return Files(str(branch["name"]), head, contents, _refusal(repository, found), warning)


def read_at(client: Client, repository: str, commit: str, paths: Collection[str]) -> dict[str, bytes]:
    """The files at a commit; one that is not there has no entry."""
    contents: dict[str, bytes] = {}
    for batch in batches(sorted(set(paths)), FILES_A_QUERY):
        contents |= _read_batch(client, repository, commit, batch)
    return contents


def _refusal(repository: str, found: Mapping[str, Any]) -> str:
    if found.get("isArchived"):
        return f"{repository} is archived, so nothing can be committed to it"
    if found.get("viewerPermission") not in MAY_PUSH:
        return f"the token's owner may not push to {repository}: it needs the role Write there"
    return ""


def _warning(where: str, branch: Mapping[str, Any]) -> str:
    rules = [rule for rule in (branch.get("rules") or {}).get("nodes") or () if rule.get("type") in FORBIDDING]
    names = sorted({f"{rule['type']} ({(rule.get('repositoryRuleset') or {}).get('name', '?')})" for rule in rules})
    if branch.get("branchProtectionRule"):
        names.insert(0, f"the protection of {branch['branchProtectionRule']['pattern']}")
    return f"{where} has rules that may refuse fleet's commit: {', '.join(names)}" if names else ""


def _repository(client: Client, repository: str, reply: Reply) -> Mapping[str, Any]:
    found = (reply.document.get("data") or {}).get("repository")
    if not isinstance(found, dict):
        raise ProviderError(
            f"{client.host} shows no repository {repository} to this token: it was renamed, moved or deleted, or the "
            "token may not see it (it needs Contents: read and write)"
        )
    return found


def _read_batch(client: Client, repository: str, head: str, paths: Sequence[str]) -> dict[str, bytes]:
    owner, _, name = repository.partition("/")
    names = [f"f{number}" for number in range(len(paths))]
    declared = "".join(f", ${alias}: String!" for alias in names)
    fields = " ".join(f"{alias}: object(expression: ${alias}) {{ ...blob }}" for alias in names)
    query = (
        f"query($owner: String!, $name: String!{declared}) {{ "
        f"repository(owner: $owner, name: $name, followRenames: false) {{ {fields} }} }} "
        "fragment blob on GitObject { __typename ... on Blob { oid text isBinary isTruncated } }"
    )
    expressions = {alias: f"{head}:{path}" for alias, path in zip(names, paths, strict=True)}
    found = _repository(client, repository, client.graphql(query, {"owner": owner, "name": name, **expressions}))
    contents = {}
    for alias, path in zip(names, paths, strict=True):
        blob = found.get(alias)
        if blob is None:
            continue
        if blob.get("__typename") != "Blob":
            raise ProviderError(f"{path} in {repository} is not a file")
        contents[path] = _content(client, repository, blob)
    return contents


def _content(client: Client, repository: str, blob: Mapping[str, Any]) -> bytes:
    """A blob's bytes; the text that GraphQL shows is taken only where it is all of them, which the blob's id tells."""
    text = blob.get("text")
    if isinstance(text, str) and not blob.get("isTruncated") and blob_id(text.encode()) == blob["oid"]:
        return text.encode()
    document = client.rest("GET", f"/repos/{repository}/git/blobs/{blob['oid']}").document
    data = base64.b64decode(document["content"])
    if blob_id(data) != blob["oid"]:
        raise ProviderError(f"{client.host} sent other bytes of {repository} than those of blob {blob['oid']}")
    return data


def write_commit(client: Client, request: CommitRequest) -> str:
    """Make one commit, if the branch is still where it was read; GitHub signs it in the name of the token's owner."""
    headline, _, body = request.message.partition("\n\n")
    additions = [{"path": path, "contents": base64.b64encode(data).decode()} for path, data in request.contents.items()]
    wanted = {
        "branch": {"repositoryNameWithOwner": request.repository, "branchName": request.branch},
        "expectedHeadOid": request.expected_head,
        "message": {"headline": headline, "body": body},
        "fileChanges": {"additions": additions},
    }
    document = client.graphql(_COMMIT, {"input": wanted}, writes=True).document
    for error in document.get("errors") or ():
        if error.get("type") == "STALE_DATA":
            raise Conflict(f"{request.repository}: {request.branch} is no longer at {request.expected_head[:12]}")
        raise ProviderError(
            f"{client.host} does not take a commit to {request.branch} of {request.repository}: "
            f"{error.get('message') or 'it gives no reason'} (the token needs {_rights(request)}, and the "
            "branch's rules must let it push)"
        )
    return str(document["data"]["createCommitOnBranch"]["commit"]["oid"])


def _rights(request: CommitRequest) -> str:
    is_workflow = any(path.startswith(".github/workflows/") for path in request.contents)
    return "contents=write and workflows=write" if is_workflow else "contents=write"
