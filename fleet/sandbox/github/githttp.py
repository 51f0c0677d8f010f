"""Clone, fetch and push by git's smart HTTP, through git's own `http-backend`.

https://git-scm.com/docs/git-http-backend
"""

from __future__ import annotations

import os
import re
import subprocess

from fleet.sandbox.github.errors import ApiError, not_found, unsupported
from fleet.sandbox.github.gitstore import ZERO, environment
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.pushes import WORKFLOW_RIGHT, Move, pushed
from fleet.sandbox.github.rights import Actor, Need, authenticate
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Request, Response

_GIT = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")


def is_git(request: Request) -> bool:
    """Whether this is git talking."""
    return _GIT.fullmatch(request.path) is not None


def handle(state: State, request: Request) -> Response:
    """Answer git; a push that moved refs is told to Actions."""
    match = _GIT.fullmatch(request.path)
    assert match is not None
    writes = "git-receive-pack" in (match[3], request.first("service"))
    try:
        actor = authenticate(state, request)
        repository = _repository(state, actor, f"{match[1]}/{match[2]}", writes=writes)
    except ApiError as error:
        challenge = {"www-authenticate": 'Basic realm="GitHub"'} if error.status in (401, 404) else {}
        status = 401 if error.status == 404 and "authorization" not in request.headers else error.status
        return Response(status, error.message.encode(), challenge)
    before = dict(repository.refs)
    response = _backend(request, repository, match[3])
    if match[3] == "git-receive-pack":
        state.reread_refs(repository)
        _tell(state, actor, repository, before)
    return response


def _repository(state: State, actor: Actor, full_name: str, *, writes: bool) -> Repository:
    repository = state.find_repository(full_name)
    if repository is None:
        raise not_found()
    state.settle(repository, looked=True)
    if not actor.sees(repository):
        raise not_found()
    if writes:
        actor.require(Need("contents", "write"), repository)
        if repository.archived:
            raise ApiError(403, "This repository was archived so it is read-only.")
        if repository.rulesets or repository.protection or not actor.has(WORKFLOW_RIGHT, repository):
            raise unsupported("branch rules and the right to write workflows for `git push`: use the API")
    return repository


def _backend(request: Request, repository: Repository, action: str) -> Response:
    variables = {
        **environment(),
        "GIT_PROJECT_ROOT": str(repository.bare),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{action}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": "&".join(f"{name}={value}" for name, values in request.query.items() for value in values),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REMOTE_USER": "git",
        "REMOTE_ADDR": "127.0.0.1",
        "PATH": os.environ.get("PATH", os.defpath),
    }
    done = subprocess.run(["git", "http-backend"], env=variables, input=request.body, capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200 OK").split()[0])
    return Response(status, body, headers)


def _tell(state: State, actor: Actor, repository: Repository, before: dict[str, str]) -> None:
    for ref in before.keys() | repository.refs.keys():
        old, new = before.get(ref, ZERO), repository.refs.get(ref, ZERO)
        if old != new:
            repository.pushed_at = state.clock.now()
            pushed(state, actor.require_account(), repository, Move(ref, old, new))
