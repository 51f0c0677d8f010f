"""Files by path, commits and branches.

https://docs.github.com/rest/repos/contents, https://docs.github.com/rest/commits, https://docs.github.com/rest/branches
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.github import views, views_git
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.errors import ApiError, empty_repository, not_found
from fleet.sandbox.github.gitstore import ZERO
from fleet.sandbox.github.objects import (
    Commit,
    Entry,
    NotGit,
    edit_tree,
    find,
    history,
    is_path,
    read_commit,
    read_tree,
    write_tree,
)
from fleet.sandbox.github.pushes import Draft, Move, Refused, as_api_error, commit, push
from fleet.sandbox.github.rest.gitdata import decoded
from fleet.sandbox.http import Response

_INLINE = 1 << 20
"""Bigger files come without their bytes."""


def resolve(call: Call, name: str) -> str:
    """The commit that a branch, a tag or an id names; raises 404."""
    refs = call.repository.refs
    for ref in (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}", name):
        if ref in refs:
            return refs[ref]
    found = call.state.store.read(name)
    if found is None or found.kind != "commit":
        raise ApiError(404, f"No commit found for the ref {name}")
    return name


# --- contents


def get_contents(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/contents/{path}"""
    at = call.query("ref").get("ref", call.repository.default_branch)
    if not call.repository.refs:
        raise empty_repository() if call.repository.pending else ApiError(404, "This repository is empty.")
    tree = read_commit(call.state.store, resolve(call, at)).tree
    path = call.params.get("path", "").strip("/")
    entry = find(call.state.store, tree, path)
    if entry is None:
        raise not_found()
    if entry.kind == "tree":
        lines = read_tree(call.state.store, entry.oid).items()
        folder = f"{path}/" if path else ""
        return Response.of_json([_shown(call, folder + name, at, line) for name, line in lines])
    document = _shown(call, path, at, entry)
    data = _data(call, entry)
    inline = len(data) <= _INLINE
    content = {"content": views_git.wrapped(data) if inline else "", "encoding": "base64" if inline else "none"}
    return Response.of_json({**document, **content})


def _data(call: Call, entry: Entry) -> bytes:
    found = call.state.store.read(entry.oid) if entry.kind == "blob" else None
    return b"" if found is None else found.data


def _shown(call: Call, path: str, at: str, entry: Entry) -> dict[str, Any]:
    return views_git.content(call.base, call.repository, at, views_git.Located(path, entry, len(_data(call, entry))))


def put_contents(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/contents/{path}: creates a file, or changes the one with the blob `sha`."""
    fields = call.body({"message": str, "content": str, "sha": str, "branch": str}, ["message", "content"])
    data, path = decoded(fields["content"]), call.params["path"]
    if not is_path(path):
        raise ApiError(422, "path contains a malformed path component")
    existing = _existing(call, fields)
    _check_sha(path, existing, fields.get("sha"))
    entry = Entry(existing.mode if existing else "100644", call.state.store.write("blob", data))
    oid = _commit(call, fields, {path: entry})
    branch = fields.get("branch", call.repository.default_branch)
    return _committed(call, oid, _shown(call, path, branch, entry), 200 if existing else 201)


def delete_contents(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/contents/{path}"""
    fields = call.body({"message": str, "sha": str, "branch": str}, ["message", "sha"])
    path, existing = call.params["path"], _existing(call, fields)
    if existing is None:
        raise not_found()
    _check_sha(path, existing, fields["sha"])
    return _committed(call, _commit(call, fields, {path: None}), None, 200)


def _branch_head(call: Call, fields: Mapping[str, Any]) -> tuple[str, str | None]:
    """The ref to commit to, and where it is; only the default branch of an empty repository may be absent."""
    repository = call.repository
    if not repository.refs and repository.pending:
        raise empty_repository()
    branch = fields.get("branch", repository.default_branch)
    ref = f"refs/heads/{branch}"
    head = repository.refs.get(ref)
    if head is None and (repository.refs or branch != repository.default_branch):
        raise ApiError(404, f"Branch {branch} not found")
    return ref, head


def _existing(call: Call, fields: Mapping[str, Any]) -> Entry | None:
    _, head = _branch_head(call, fields)
    return find(call.state.store, read_commit(call.state.store, head).tree, call.params["path"]) if head else None


def _check_sha(path: str, existing: Entry | None, sha: str | None) -> None:
    if existing is not None and sha is None:
        raise ApiError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if sha is not None and (existing is None or existing.oid != sha):
        raise ApiError(409, f"{path} does not match {sha}")


def _commit(call: Call, fields: Mapping[str, Any], changes: Mapping[str, Entry | None]) -> str:
    state, me = call.state, call.actor.require_account()
    ref, head = _branch_head(call, fields)
    base = read_commit(state.store, head).tree if head else None
    try:
        tree = edit_tree(state.store, base, changes) or write_tree(state.store, {})
    except NotGit as error:
        raise ApiError(422, str(error)) from None
    oid = commit(state, me, Draft(tree, [head] if head else [], fields["message"]))
    try:
        push(state, call.actor, call.repository, Move(ref, head or ZERO, oid))
    except Refused as refused:
        raise as_api_error(refused, call.actor, 409) from None
    return oid


def _committed(call: Call, oid: str, content: dict[str, Any] | None, status: int) -> Response:
    shown = views_git.git_commit(call.base, call.repository, oid, read_commit(call.state.store, oid))
    return Response.of_json({"content": content, "commit": shown}, status)


# --- commits


def _commit_view(call: Call, oid: str, shown: Commit) -> dict[str, Any]:
    return views_git.commit(call.base, call.state, call.repository, oid, shown)


def list_commits(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits, newest first; `path` keeps those that changed what lies there."""
    if not call.repository.refs:
        raise empty_repository()
    query = call.query("sha", "path")
    head = resolve(call, query.get("sha", call.repository.default_branch))
    commits = list(history(call.state.store, head))
    if "path" in query:
        commits = [(oid, shown) for oid, shown in commits if _touches(call, shown, query["path"])]
    return call.listed(commits, lambda found: _commit_view(call, *found))


def _touches(call: Call, shown: Commit, path: str) -> bool:
    store = call.state.store
    before = find(store, read_commit(store, shown.parents[0]).tree, path) if shown.parents else None
    return find(store, shown.tree, path) != before


def get_commit(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits/{ref}"""
    if not call.repository.refs:
        raise empty_repository()
    try:
        oid = resolve(call, call.params["ref"])
    except ApiError:
        raise ApiError(422, f"No commit found for SHA: {call.params['ref']}") from None
    return Response.of_json(_commit_view(call, oid, read_commit(call.state.store, oid)))


# --- branches


def list_branches(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/branches"""
    wanted = call.query("protected").get("protected")
    branches = [ref.removeprefix("refs/heads/") for ref in call.repository.refs if ref.startswith("refs/heads/")]
    shown = [name for name in sorted(branches) if wanted is None or _is_protected(call, name) == (wanted == "true")]
    return call.listed(shown, lambda name: _short_branch(call, name))


def _is_protected(call: Call, branch: str) -> bool:
    return branch in call.repository.protection


def _short_branch(call: Call, branch: str) -> dict[str, Any]:
    oid, url = call.repository.refs[f"refs/heads/{branch}"], views.repository_url(call.base, call.repository)
    commit_link = {"sha": oid, "url": f"{url}/commits/{oid}"}
    return {"name": branch, "commit": commit_link, "protected": _is_protected(call, branch)}


def get_branch(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/branches/{branch}"""
    branch = call.params["branch"]
    oid = call.repository.refs.get(f"refs/heads/{branch}")
    if oid is None:
        raise ApiError(404, "Branch not found")
    url = f"{views.repository_url(call.base, call.repository)}/branches/{branch}"
    protected = _is_protected(call, branch)
    checks = {"enforcement_level": "off", "contexts": [], "checks": []}
    return Response.of_json(
        {
            "name": branch,
            "commit": _commit_view(call, oid, read_commit(call.state.store, oid)),
            "_links": {"self": url, "html": f"{call.base}/{call.repository.full_name}/tree/{branch}"},
            "protected": protected,
            "protection": {"enabled": protected, "required_status_checks": checks},
            "protection_url": f"{url}/protection",
        }
    )


_ROOT = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_ROOT}/contents/?", get_contents, "contents=read"),
    Route("GET", f"{_ROOT}/contents/{{path+}}", get_contents, "contents=read"),
    Route("PUT", f"{_ROOT}/contents/{{path+}}", put_contents, "contents=write"),
    Route("DELETE", f"{_ROOT}/contents/{{path+}}", delete_contents, "contents=write"),
    Route("GET", f"{_ROOT}/commits", list_commits, "contents=read"),
    Route("GET", f"{_ROOT}/commits/{{ref+}}", get_commit, "contents=read"),
    Route("GET", f"{_ROOT}/branches", list_branches, "contents=read"),
    Route("GET", f"{_ROOT}/branches/{{branch+}}", get_branch, "contents=read"),
)
