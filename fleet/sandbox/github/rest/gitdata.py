"""Commits, trees and blobs.

https://docs.github.com/rest/git
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any

from fleet.sandbox.github import views_git
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.errors import ApiError, invalid, not_found, unsupported
from fleet.sandbox.github.objects import (
    MODES,
    Commit,
    Entry,
    NotGit,
    Person,
    Tree,
    edit_tree,
    is_path,
    read_commit,
    read_tree,
    walk,
    write_tree,
)
from fleet.sandbox.github.pushes import WORKFLOW_RIGHT, WORKFLOWS, person
from fleet.sandbox.github.rest.refs import require_contents
from fleet.sandbox.http import Response

_PERSON = ("name", "email", "date")
_ENTRY = {"path", "mode", "type", "sha", "content"}


def get_commit(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/git/commits/{sha}"""
    require_contents(call)
    sha = call.params["sha"]
    try:
        commit = read_commit(call.state.store, sha)
    except NotGit:
        raise not_found() from None
    return Response.of_json(views_git.git_commit(call.base, call.repository, sha, commit))


def create_commit(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/git/commits"""
    known = {"message": str, "tree": str, "parents": list, "author": dict, "committer": dict}
    fields = call.body(known, ["message", "tree"])
    require_contents(call)
    tree = call.state.store.read(fields["tree"])
    if tree is None or tree.kind != "tree":
        raise ApiError(422, "Tree SHA does not exist")
    parents = fields.get("parents", [])
    for parent in parents:
        found = call.state.store.read(str(parent))
        if found is None or found.kind != "commit":
            raise ApiError(422, "Parent SHA does not exist or is not a commit object")
    author = _person(call, fields.get("author"))
    committer = _person(call, fields["committer"]) if "committer" in fields else author
    commit = Commit(fields["tree"], tuple(parents), author, committer, fields["message"])
    sha = call.state.store.write("commit", commit.encode())
    document = views_git.git_commit(call.base, call.repository, sha, commit)
    return Response.of_json(document, 201, {"location": document["url"]})


def _person(call: Call, fields: Mapping[str, Any] | None) -> Person:
    if fields is None:
        return person(call.state, call.actor.require_account())
    for name in fields:
        if name not in _PERSON:
            raise unsupported(f"the field {name!r} of an author")
    for name in ("name", "email"):
        if not fields.get(name):
            raise ApiError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    return Person(fields["name"], fields["email"], _moment(call, fields.get("date")))


def _moment(call: Call, text: str | None) -> datetime:
    if text is None:
        return call.state.clock.now()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Commit", "date", f"{text} is not a date", "invalid") from None


def get_tree(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/git/trees/{sha}: a tree, a commit's or a branch's."""
    require_contents(call)
    recursive = "recursive" in call.query("recursive")
    oid = _tree_id(call, call.params["sha"])
    store = call.state.store
    return _shown_tree(call, oid, dict(walk(store, oid)) if recursive else read_tree(store, oid))


def _tree_id(call: Call, name: str) -> str:
    oid = call.repository.refs.get(f"refs/heads/{name}", name)
    found = call.state.store.read(oid)
    if found is None or found.kind not in ("tree", "commit"):
        raise not_found()
    return oid if found.kind == "tree" else Commit.parse(found.data).tree


def _shown_tree(call: Call, oid: str, entries: Tree, status: int = 200) -> Response:
    shown = [
        views_git.tree_entry(call.base, call.repository, path, entry, _size(call, entry))
        for path, entry in entries.items()
    ]
    url = f"{call.base}/repos/{call.repository.full_name}/git/trees/{oid}"
    document = {"sha": oid, "url": url, "tree": shown, "truncated": False}
    return Response.of_json(document, status, {"location": url} if status == 201 else {})


def _size(call: Call, entry: Entry) -> int | None:
    found = call.state.store.read(entry.oid) if entry.kind == "blob" else None
    return None if found is None else len(found.data)


def create_tree(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/git/trees"""
    fields = call.body({"tree": list, "base_tree": (str, NoneType)}, ["tree"])
    require_contents(call)
    base = _base_tree(call, fields.get("base_tree"))
    changes = dict(_change(call, line) for line in fields["tree"])
    if any(path.startswith(f"{WORKFLOWS}/") for path in changes) and not call.actor.has(
        WORKFLOW_RIGHT, call.repository
    ):
        raise call.actor.refusal(WORKFLOW_RIGHT)
    try:
        oid = edit_tree(call.state.store, base, changes) or write_tree(call.state.store, {})
    except NotGit as error:
        raise ApiError(422, f"GitRPC::BadObjectState: {error}") from None
    return _shown_tree(call, oid, read_tree(call.state.store, oid), 201)


def _base_tree(call: Call, sha: str | None) -> str | None:
    if sha is None:
        return None
    found = call.state.store.read(sha)
    if found is None or found.kind not in ("tree", "commit"):
        raise not_found()
    return sha if found.kind == "tree" else Commit.parse(found.data).tree


def _change(call: Call, line: Mapping[str, Any]) -> tuple[str, Entry | None]:
    for name in line:
        if name not in _ENTRY:
            raise unsupported(f"the field {name!r} of a tree's entry")
    path, mode = line.get("path", ""), line.get("mode", "100644")
    if not is_path(path):
        raise ApiError(422, "tree.path contains a malformed path component")
    if mode not in MODES:
        raise ApiError(422, "Must supply a valid tree.mode")
    if "sha" in line and line["sha"] is None:
        return path, None
    if ("sha" in line) == ("content" in line):
        raise ApiError(422, "Must supply either tree.sha or tree.content")
    if "content" in line:
        return path, Entry(mode, call.state.store.write("blob", line["content"].encode()))
    found = call.state.store.read(line["sha"])
    if found is None or found.kind != MODES[mode]:
        raise ApiError(422, f"tree.sha {line['sha']} is not a valid {MODES[mode]}")
    return path, Entry(mode, line["sha"])


def get_blob(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/git/blobs/{sha}"""
    require_contents(call)
    sha = call.params["sha"]
    found = call.state.store.read(sha)
    if found is None or found.kind != "blob":
        raise not_found()
    return Response.of_json(views_git.blob(call.base, call.repository, sha, found.data))


def create_blob(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/git/blobs"""
    fields = call.body({"content": str, "encoding": str}, ["content"])
    require_contents(call)
    encoding = fields.get("encoding", "utf-8")
    if encoding not in ("utf-8", "base64"):
        raise ApiError(422, f"{encoding} is not a valid encoding")
    data = decoded(fields["content"]) if encoding == "base64" else fields["content"].encode()
    oid = call.state.store.write("blob", data)
    url = f"{call.base}/repos/{call.repository.full_name}/git/blobs/{oid}"
    return Response.of_json({"sha": oid, "url": url}, 201, {"location": url})


def decoded(text: str) -> bytes:
    """Bytes of base64, line ends allowed; raises 422."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ApiError(422, "content is not valid Base64") from None


_ROOT = "/repos/{owner}/{repo}/git"
ROUTES = (
    Route("GET", f"{_ROOT}/commits/{{sha}}", get_commit, "contents=read"),
    Route("POST", f"{_ROOT}/commits", create_commit, "contents=write"),
    Route("GET", f"{_ROOT}/trees/{{sha+}}", get_tree, "contents=read"),
    Route("POST", f"{_ROOT}/trees", create_tree, "contents=write"),
    Route("GET", f"{_ROOT}/blobs/{{sha}}", get_blob, "contents=read"),
    Route("POST", f"{_ROOT}/blobs", create_blob, "contents=write"),
)
