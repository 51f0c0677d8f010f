"""Refs of a repository.

https://docs.github.com/rest/git/refs
"""

from __future__ import annotations

from fleet.sandbox.github import views_git
from fleet.sandbox.github.call import Call, Route, no_content
from fleet.sandbox.github.errors import ApiError, empty_repository, not_found
from fleet.sandbox.github.gitstore import ZERO, valid_ref
from fleet.sandbox.github.pushes import Move, Refused, as_api_error, push
from fleet.sandbox.http import Response


def require_contents(call: Call) -> None:
    """Git data needs a first commit; raises 409 until there is one."""
    if not call.repository.refs:
        raise empty_repository()


def get_ref(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/git/ref/{ref}"""
    require_contents(call)
    return _shown(call, _existing(call))


def list_matching_refs(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/git/matching-refs/{ref}"""
    require_contents(call)
    prefix = f"refs/{call.params['ref']}"
    names = sorted(name for name in call.repository.refs if name.startswith(prefix))
    return call.listed(names, lambda name: views_git.ref(call.base, call.repository, name))


def create_ref(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/git/refs"""
    fields = call.body({"ref": str, "sha": str}, ["ref", "sha"])
    require_contents(call)
    name, sha = fields["ref"], fields["sha"]
    if not name.startswith(("refs/heads/", "refs/tags/")) or not valid_ref(name):
        raise ApiError(422, "Reference name is not valid")
    if name in call.repository.refs:
        raise ApiError(422, "Reference already exists")
    _move(call, Move(name, ZERO, _commit_id(call, sha)))
    return _shown(call, name, 201)


def update_ref(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}/git/refs/{ref}"""
    fields = call.body({"sha": str, "force": bool}, ["sha"])
    require_contents(call)
    name = f"refs/{call.params['ref']}"
    if name not in call.repository.refs:
        raise ApiError(422, "Reference does not exist")
    old, new = call.repository.refs[name], _commit_id(call, fields["sha"])
    if old != new:
        _move(call, Move(name, old, new, fields.get("force", False)))
    return _shown(call, name)


def delete_ref(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/git/refs/{ref}"""
    call.body({})
    require_contents(call)
    name = f"refs/{call.params['ref']}"
    if name not in call.repository.refs:
        raise ApiError(422, "Reference does not exist")
    if name == f"refs/heads/{call.repository.default_branch}":
        raise ApiError(422, "Cannot delete the default branch")
    _move(call, Move(name, call.repository.refs[name], ZERO))
    return no_content()


def _existing(call: Call) -> str:
    name = f"refs/{call.params['ref']}"
    if name not in call.repository.refs:
        raise not_found()
    return name


def _shown(call: Call, name: str, status: int = 200) -> Response:
    document = views_git.ref(call.base, call.repository, name)
    return Response.of_json(document, status, {"location": document["url"]} if status == 201 else {})


def _commit_id(call: Call, sha: str) -> str:
    found = call.state.store.read(sha)
    if found is None:
        raise ApiError(422, "Object does not exist")
    if found.kind != "commit":
        raise ApiError(422, "Reference cannot be updated")
    return sha


def _move(call: Call, move: Move) -> None:
    try:
        push(call.state, call.actor, call.repository, move)
    except Refused as refused:
        raise as_api_error(refused, call.actor, 422) from None


_ROOT = "/repos/{owner}/{repo}/git"
ROUTES = (
    Route("GET", f"{_ROOT}/ref/{{ref+}}", get_ref, "contents=read"),
    Route("GET", f"{_ROOT}/matching-refs/{{ref+}}", list_matching_refs, "contents=read"),
    Route("POST", f"{_ROOT}/refs", create_ref, "contents=write"),
    Route("PATCH", f"{_ROOT}/refs/{{ref+}}", update_ref, "contents=write"),
    Route("DELETE", f"{_ROOT}/refs/{{ref+}}", delete_ref, "contents=write"),
)
