"""Pull requests and the comments on them.

https://docs.github.com/rest/pulls/pulls, https://docs.github.com/rest/issues/comments
"""

from __future__ import annotations

from types import NoneType
from typing import Any

from fleet.sandbox.github import pulls, views_pulls
from fleet.sandbox.github.call import Call, Fields, Route, no_content
from fleet.sandbox.github.errors import ApiError, invalid, not_found, unsupported
from fleet.sandbox.github.model_pulls import Comment, Pull, PullEvent
from fleet.sandbox.github.objects import changed_paths, read_commit
from fleet.sandbox.http import Response

LONGEST_COMMENT = 65_536

_CREATE: Fields = {
    "title": str,
    "head": str,
    "base": str,
    "body": (str, NoneType),
    "draft": bool,
    "maintainer_can_modify": bool,
}
_UPDATE: Fields = {"title": str, "body": (str, NoneType), "state": str, "maintainer_can_modify": bool}
_MERGE: Fields = {"commit_title": str, "commit_message": str, "sha": str, "merge_method": str}


def _listed(call: Call, pull: Pull) -> dict[str, Any]:
    return views_pulls.pull(call.base, call.repository, pull, call.actor)


def _shown(call: Call, pull: Pull, status: int = 200) -> Response:
    repository, store = call.repository, call.state.store
    mergeable = None if pull.state == "closed" else pulls.merge_tree(repository, pull) is not None
    base = read_commit(store, pull.base_sha).tree
    changed = len(list(changed_paths(store, base, read_commit(store, pull.head_sha).tree)))
    document = views_pulls.full_pull(_listed(call, pull), call.base, pull, mergeable=mergeable, changed=changed)
    return Response.of_json(document, status, {"location": document["url"]} if status == 201 else {})


def list_pulls(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/pulls, newest first."""
    query = call.query("state", "head", "base")
    state, head = query.get("state", "open"), query.get("head")
    owner, _, branch = head.rpartition(":") if head else ("", "", None)
    found = [
        pull
        for pull in reversed(call.repository.pulls.values())
        if state in ("all", pull.state)
        and branch in (None, pull.head)
        and owner.lower() in ("", (pull.author if pull.from_fork else call.repository.owner).login.lower())
        and query.get("base") in (None, pull.base)
    ]
    return call.listed(found, lambda pull: _listed(call, pull))


def create(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/pulls: between branches of this repository."""
    fields, repository = call.body(_CREATE, ["title", "head", "base"]), call.repository
    owner, _, head = fields["head"].rpartition(":")
    base = fields["base"]
    if owner.lower() not in ("", repository.owner.login.lower()):
        raise unsupported("pull requests from other repositories")
    for name, branch in (("head", head), ("base", base)):
        if f"refs/heads/{branch}" not in repository.refs:
            raise ApiError(422, "Validation Failed", [{"resource": "PullRequest", "field": name, "code": "invalid"}])
    ours = [one for one in repository.pulls.values() if not one.from_fork]
    if any((one.head, one.base, one.state) == (head, base, "open") for one in ours):
        raise invalid("PullRequest", "head", f"A pull request already exists for {repository.owner.login}:{head}.")
    if not pulls.has_commits(call.state, repository, head, base):
        raise invalid("PullRequest", "head", f"No commits between {base} and {head}")
    now, me = call.state.clock.now(), call.actor.require_account()
    heads = repository.refs[f"refs/heads/{head}"], repository.refs[f"refs/heads/{base}"]
    number = len(repository.pulls) + 1
    pull = Pull(call.state.next_id(), number, me, fields["title"], fields.get("body"), head, base, *heads, now, now)
    pull.draft = fields.get("draft", False)
    repository.pulls[number] = pull
    call.state.events.append(PullEvent(repository, pull, "opened", me))
    return _shown(call, pull, 201)


def _pull(call: Call) -> Pull:
    number = call.params["number"]
    found = call.repository.pulls.get(int(number)) if number.isdecimal() else None
    if found is None:
        raise not_found()
    return found


def get(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/pulls/{number}"""
    return _shown(call, _pull(call))


def update(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}/pulls/{number}"""
    fields, pull, now = call.body(_UPDATE), _pull(call), call.state.clock.now()
    state = fields.get("state", pull.state)
    if state not in ("open", "closed"):
        raise invalid("PullRequest", "state", f"{state} is not a state", "invalid")
    if state == "open" and pull.merged:
        raise invalid("PullRequest", "state", "state cannot be changed. The pull request cannot be reopened.")
    pull.title, pull.body = fields.get("title", pull.title), fields.get("body", pull.body)
    if state != pull.state:
        pull.state, pull.closed_at = state, now if state == "closed" else None
        if state == "open":
            me = call.actor.require_account()
            call.state.events.append(PullEvent(call.repository, pull, "reopened", me))
    pull.updated_at = now
    return _shown(call, pull)


def merge(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/pulls/{number}/merge"""
    fields, pull = call.body(_MERGE), _pull(call)
    method = fields.get("merge_method", "merge")
    if method not in ("merge", "squash"):
        raise unsupported(f"the merge method {method!r}")
    if fields.get("sha", pull.head_sha) != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    squash, owner = method == "squash", call.repository.owner.login
    default = (
        f"{pull.title} (#{pull.number})" if squash else f"Merge pull request #{pull.number} from {owner}/{pull.head}"
    )
    title, text = fields.get("commit_title", default), fields.get("commit_message", "" if squash else pull.title)
    message = f"{title}\n\n{text}" if text else title
    how = pulls.Merge(call.actor.require_account(), squash, message)
    oid = pulls.merge(call.state, call.repository, pull, how)
    return Response.of_json({"sha": oid, "merged": True, "message": "Pull Request successfully merged"})


# --- comments


def list_comments(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/issues/{number}/comments, oldest first."""
    call.query()
    pull = _pull(call)
    return call.listed(pull.comments, lambda one: _comment(call, pull, one))


def _comment(call: Call, pull: Pull, comment: Comment) -> dict[str, Any]:
    return views_pulls.comment(call.base, call.repository, pull.number, comment)


def _body(call: Call) -> str:
    body = str(call.body({"body": str}, ["body"])["body"])
    if len(body) > LONGEST_COMMENT:
        message = f"Body is too long (maximum is {LONGEST_COMMENT} characters)"
        raise ApiError(
            422, "Validation Failed", [{"resource": "IssueComment", "code": "unprocessable", "message": message}]
        )
    return body


def create_comment(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/issues/{number}/comments"""
    body, pull, now = _body(call), _pull(call), call.state.clock.now()
    comment = Comment(call.state.next_id(), call.actor.require_account(), body, now, now)
    pull.comments.append(comment)
    document = _comment(call, pull, comment)
    return Response.of_json(document, 201, {"location": document["url"]})


def _found_comment(call: Call) -> tuple[Pull, Comment]:
    for pull in call.repository.pulls.values():
        for comment in pull.comments:
            if str(comment.id) == call.params["id"]:
                return pull, comment
    raise not_found()


def get_comment(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/issues/comments/{id}"""
    return Response.of_json(_comment(call, *_found_comment(call)))


def update_comment(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}/issues/comments/{id}"""
    body, (pull, comment) = _body(call), _found_comment(call)
    comment.body, comment.updated_at = body, call.state.clock.now()
    return Response.of_json(_comment(call, pull, comment))


def delete_comment(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/issues/comments/{id}"""
    pull, comment = _found_comment(call)
    pull.comments.remove(comment)
    return no_content()


_ROOT = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_ROOT}/pulls", list_pulls, "pull_requests=read"),
    Route("POST", f"{_ROOT}/pulls", create, "pull_requests=write"),
    Route("GET", f"{_ROOT}/pulls/{{number}}", get, "pull_requests=read"),
    Route("PATCH", f"{_ROOT}/pulls/{{number}}", update, "pull_requests=write"),
    Route("PUT", f"{_ROOT}/pulls/{{number}}/merge", merge, "contents=write"),
    Route("GET", f"{_ROOT}/issues/comments/{{id}}", get_comment, "pull_requests=read"),
    Route("PATCH", f"{_ROOT}/issues/comments/{{id}}", update_comment, "pull_requests=write"),
    Route("DELETE", f"{_ROOT}/issues/comments/{{id}}", delete_comment, "pull_requests=write"),
    Route("GET", f"{_ROOT}/issues/{{number}}/comments", list_comments, "pull_requests=read"),
    Route("POST", f"{_ROOT}/issues/{{number}}/comments", create_comment, "pull_requests=write"),
)
