"""The mutation `createCommitOnBranch`: many files in one signed commit, only if the branch has not moved."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLResolveInfo

from fleet.sandbox.github.graphql.values import Context, GitObject, Ref, refused
from fleet.sandbox.github.objects import Entry, NotGit, edit_tree, find, is_path, read_commit, write_tree
from fleet.sandbox.github.pushes import Draft, Move, Refused, commit, push


def _create(_: Any, info: GraphQLResolveInfo[Context], input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    branch = _branch(context, input["branch"])
    repository, expected = branch.repository, input["expectedHeadOid"]
    context.require("contents=write", repository)
    if repository.archived:
        raise refused("FORBIDDEN", "Repository was archived so is read-only.")
    head = repository.refs.get(branch.name)
    if head is None:
        raise refused("NOT_FOUND", f"Could not resolve to a branch with the name '{branch.name}'.")
    if head != expected:
        raise refused("STALE_DATA", f'Expected branch to point to "{head}" but it did not. Pull and try again.')
    oid = _commit(context, head, input)
    try:
        push(context.state, context.actor, repository, Move(branch.name, head, oid))
    except Refused as error:
        raise refused("FORBIDDEN" if error.reason == "workflow" else "UNPROCESSABLE", error.message) from None
    commit_id = input.get("clientMutationId")
    return {"clientMutationId": commit_id, "commit": GitObject(repository, oid, "commit"), "ref": branch}


def _branch(context: Context, given: Mapping[str, Any]) -> Ref:
    """The branch by its repository's name and its own, or by its id; a repository's earlier name leads nowhere."""
    name = given.get("repositoryNameWithOwner") or ""
    if given.get("id"):
        found = _by_id(context, given["id"])
    else:
        repository = context.state.find_repository(name)
        is_named = repository is not None and repository.full_name.lower() == name.lower()
        found = Ref(repository, _full(given.get("branchName") or "")) if repository and is_named else None
    if found is None or not context.actor.sees(found.repository):
        raise refused("NOT_FOUND", f"Could not resolve to a Repository with the name '{name}'.")
    context.state.settle(found.repository, looked=True)
    return found


def _full(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"refs/heads/{branch}"


def _by_id(context: Context, wanted: str) -> Ref | None:
    refs = (Ref(one, name) for one in context.state.repositories.values() for name in one.refs)
    return next((ref for ref in refs if ref.id == wanted), None)


def _commit(context: Context, head: str, given: Mapping[str, Any]) -> str:
    store = context.state.store
    tree = read_commit(store, head).tree
    changes = given.get("fileChanges") or {}
    edits: dict[str, Entry | None] = {one["path"]: None for one in changes.get("deletions") or ()}
    for addition in changes.get("additions") or ():
        if not is_path(addition["path"]):
            raise refused("UNPROCESSABLE", f"{addition['path']} contains a malformed path component")
        existing = find(store, tree, addition["path"])
        mode = existing.mode if existing is not None and existing.kind == "blob" else "100644"
        edits[addition["path"]] = Entry(mode, store.write("blob", _decoded(addition)))
    try:
        new = edit_tree(store, tree, edits) or write_tree(store, {})
    except NotGit as error:
        raise refused("UNPROCESSABLE", f"A path was requested for deletion which does not exist: {error}") from None
    headline, body = given["message"]["headline"], given["message"].get("body")
    message = f"{headline}\n\n{body}" if body else headline
    return commit(context.state, context.actor.require_account(), Draft(new, [head], message, signed=True))


def _decoded(addition: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(addition["contents"], validate=True)
    except binascii.Error:
        raise refused("UNPROCESSABLE", f"contents of {addition['path']} are not valid Base64") from None


RESOLVERS: dict[str, dict[str, Callable[..., Any]]] = {"Mutation": {"createCommitOnBranch": _create}}
