"""Quay's API under `/api/v1`, with the statuses, the three shapes of error body and the traps of the real one.

What it does not know is answered with 501, so that a test that needs it fails loudly. Longer than most modules, because
it is one table of calls and a few lines for each.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fleet.sandbox.http import Request, Response

if TYPE_CHECKING:
    from fleet.sandbox.quay import QuayState

PAGE = 100
"""Repositories on a page, which is fixed in Quay, and tags on one, at most."""

ROBOT = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
ROLES = ("read", "write", "admin")

_REPO = r"/repository/(?P<namespace>[^/]+)/(?P<name>[^/]+)"
_ROBOT = r"/organization/(?P<namespace>[^/]+)/robots/(?P<name>[^/]+)"
_ROUTES = tuple(
    (method, re.compile(f"/api/v1{pattern}"), handler)
    for method, pattern, handler in (
        ("GET", "/repository", "list_repositories"),
        ("POST", "/repository", "create_repository"),
        ("GET", _REPO, "get_repository"),
        ("PUT", _REPO, "describe_repository"),
        ("DELETE", _REPO, "delete_repository"),
        ("POST", f"{_REPO}/changevisibility", "change_visibility"),
        ("GET", f"{_REPO}/permissions/user/", "list_permissions"),
        ("PUT", rf"{_REPO}/permissions/user/(?P<user>[^/]+)", "grant"),
        ("DELETE", rf"{_REPO}/permissions/user/(?P<user>[^/]+)", "revoke"),
        ("GET", f"{_REPO}/tag/", "list_tags"),
        ("GET", "/organization/(?P<namespace>[^/]+)", "get_organization"),
        ("GET", "/organization/(?P<namespace>[^/]+)/robots", "list_robots"),
        ("GET", _ROBOT, "get_robot"),
        ("PUT", _ROBOT, "create_robot"),
        ("DELETE", _ROBOT, "delete_robot"),
        ("POST", f"{_ROBOT}/regenerate", "regenerate_robot"),
        ("DELETE", "/organization/(?P<namespace>[^/]+)/team/(?P<name>[^/]+)/members/(?P<user>[^/]+)", "leave_team"),
    )
)


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        self.response = response


_NOBODY: Mapping[str, Any] = {"scopes": (), "organizations": ()}


class Tags(Protocol):
    """What the registry behind an API holds."""

    def tag_names(self, name: str) -> list[str]:
        """The tags of a repository."""
        ...

    def digests(self, name: str, tags: Collection[str]) -> dict[str, str]:
        """What tags of a repository mean."""
        ...


class _Call(NamedTuple):
    """One call: the request, whose token it carries, and what its path names."""

    request: Request
    token: Mapping[str, Any]
    namespace: str
    name: str
    user: str

    @property
    def repository(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def robot(self) -> str:
        return f"{self.namespace}+{self.name}"


def api_error(status: int, error_type: str, detail: str) -> Response:
    """The first of Quay's error shapes."""
    document = {
        "detail": detail,
        "error_message": detail,
        "error_type": error_type,
        "title": error_type,
        "type": f"/api/v1/error/{error_type}",
        "status": status,
    }
    return Response.of_json(document, status)


def _message(status: int, message: str) -> Response:
    """The second of Quay's error shapes."""
    return Response.of_json({"message": message}, status)


class QuayApi:
    """Answers API calls on a state; `registry` says what repositories hold."""

    def __init__(self, state: QuayState, registry: Tags) -> None:
        self._state = state
        self._registry = registry

    def handle(self, request: Request) -> Response:
        """Answer one call."""
        try:
            token = self._token(request)
            for method, pattern, handler in _ROUTES:
                if method == request.method and (match := pattern.fullmatch(request.path)):
                    named = {"namespace": "", "name": "", "user": "", **match.groupdict()}
                    with self._state.lock:
                        response: Response = getattr(self, f"_{handler}")(_Call(request, token, **named))
                        if request.method != "GET":
                            self._state.save()
                    return response
        except _Refused as refused:
            return refused.response
        return _message(501, f"the sandbox does not know {request.method} {request.path}")

    def _token(self, request: Request) -> Mapping[str, Any]:
        if request.method == "GET" and "authorization" not in request.headers:
            return _NOBODY
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = self._state.tokens.get(value) if scheme == "Bearer" else None
        if token is None or token["expired"]:
            if request.method != "GET":
                raise _Refused(Response.of_json({"error": "CSRF token was invalid or missing."}, 403))
            raise _Refused(api_error(401, "invalid_token", "Invalid token"))
        return token

    def _may(self, call: _Call, *scopes: str) -> None:
        """Refuse a call whose token lacks all of the scopes, or whose user does not administer the namespace."""
        if call.token is _NOBODY:
            raise _Refused(api_error(401, "invalid_token", "Requires authentication"))
        if not set(scopes) & set(call.token["scopes"]):
            raise _Refused(api_error(403, "insufficient_scope", "Unauthorized"))
        if call.namespace not in call.token["organizations"] or call.namespace not in self._state.organizations:
            raise _Refused(api_error(403, "insufficient_scope", "Unauthorized"))

    def _repository(self, call: _Call) -> dict[str, Any]:
        self._may(call, "repo:admin")
        if call.repository not in self._state.repositories:
            raise _Refused(api_error(404, "not_found", "Not Found"))
        return self._state.repositories[call.repository]

    def _list_repositories(self, call: _Call) -> Response:
        namespace = call.request.first("namespace")
        if not namespace:
            return api_error(400, "invalid_request", "namespace, starred or public are required for this API call")
        own = namespace in call.token["organizations"]
        listed = [
            (name, held)
            for name, held in sorted(self._state.repositories.items())
            if name.partition("/")[0] == namespace and (own or held["is_public"])
        ]
        start = _page_start(call.request.first("next_page"))
        page = listed[start : start + PAGE]
        modified = call.request.first("last_modified") == "true"
        document: dict[str, Any] = {"repositories": [_summary(name, held, modified) for name, held in page]}
        if start + PAGE < len(listed):
            document["next_page"] = base64.urlsafe_b64encode(f"start:{start + PAGE}".encode()).decode()
        return Response.of_json(document)

    def _create_repository(self, call: _Call) -> Response:
        body = _body(call.request, "repository", "visibility", "description")
        call = call._replace(namespace=body.get("namespace", ""), name=body["repository"])
        self._may(call, "repo:create")
        if body["visibility"] not in ("public", "private"):
            return api_error(400, "invalid_request", f"{body['visibility']!r} is not one of ['public', 'private']")
        if not REPOSITORY.fullmatch(call.name):
            return api_error(400, "invalid_request", "Invalid repository name")
        if call.repository in self._state.repositories:
            return api_error(400, "invalid_request", "Repository already exists")
        if body["visibility"] == "private":
            self._check_plan(call.namespace)
        self._state.repositories[call.repository] = {
            "description": body["description"],
            "is_public": body["visibility"] == "public",
            "last_modified": int(time.time()),
            "permissions": {},
        }
        return Response.of_json({"namespace": call.namespace, "name": call.name, "kind": "image"}, 201)

    def _check_plan(self, namespace: str) -> None:
        limit = self._state.organizations[namespace]["private_limit"]
        mine = [held for name, held in self._state.repositories.items() if name.partition("/")[0] == namespace]
        if limit is not None and sum(not held["is_public"] for held in mine) >= limit:
            raise _Refused(api_error(402, "exceeds_license", "Payment Required"))

    def _get_repository(self, call: _Call) -> Response:
        held = self._repository(call)
        document = {**_summary(call.repository, held, False), "can_write": True, "can_admin": True}
        if call.request.first("includeTags", "true") == "true":
            names = self._registry.tag_names(call.repository)
            digests = self._registry.digests(call.repository, names)
            document["tags"] = {name: {"name": name, "manifest_digest": digest} for name, digest in digests.items()}
        return Response.of_json(document)

    def _describe_repository(self, call: _Call) -> Response:
        self._repository(call)["description"] = _body(call.request, "description")["description"]
        return Response.of_json({"success": True})

    def _delete_repository(self, call: _Call) -> Response:
        self._may(call, "repo:admin")
        self._state.repositories.pop(call.repository, None)
        return Response(204)

    def _change_visibility(self, call: _Call) -> Response:
        self._may(call, "repo:admin")
        held = self._state.repositories.get(call.repository)
        if held is None:
            return Response.of_json(None)
        visibility = _body(call.request, "visibility")["visibility"]
        if visibility == "private" and held["is_public"]:
            self._check_plan(call.namespace)
        held["is_public"] = visibility == "public"
        return Response.of_json({"success": True})

    def _list_permissions(self, call: _Call) -> Response:
        permissions = self._repository(call)["permissions"]
        return Response.of_json({"permissions": {user: _permission(user, role) for user, role in permissions.items()}})

    def _grant(self, call: _Call) -> Response:
        held = self._repository(call)
        role = _body(call.request, "role")["role"]
        if role not in ROLES:
            return api_error(400, "invalid_request", f"{role!r} is not one of {list(ROLES)}")
        if call.user not in self._state.robots or call.user.partition("+")[0] != call.namespace:
            return api_error(400, "invalid_request", f"Invalid username: {call.user}")
        held["permissions"][call.user] = role
        return Response.of_json(_permission(call.user, role))

    def _revoke(self, call: _Call) -> Response:
        if self._repository(call)["permissions"].pop(call.user, None) is None:
            return api_error(400, "invalid_request", "User does not have permission for repo.")
        return Response(204)

    def _list_tags(self, call: _Call) -> Response:
        held = self._state.repositories.get(call.repository)
        if held is None or not held["is_public"]:
            self._may(call, "repo:read", "repo:write", "repo:admin")
        if held is None:
            return api_error(404, "not_found", "Not Found")
        wanted = call.request.first("specificTag")
        page, limit = int(call.request.first("page", "1")), min(int(call.request.first("limit", "50")), PAGE)
        pushed = self._state.pushed.get(call.repository, {})
        names = [name for name in self._registry.tag_names(call.repository) if wanted in ("", name)]
        shown = sorted(names, key=lambda name: pushed.get(name, 0), reverse=True)[(page - 1) * limit : page * limit]
        digests = self._registry.digests(call.repository, shown)
        document = {
            "tags": [_tag(name, digest, pushed.get(name, 0)) for name, digest in digests.items()],
            "page": page,
            "has_additional": len(names) > page * limit,
        }
        return Response.of_json(document)

    def _get_organization(self, call: _Call) -> Response:
        if call.namespace not in self._state.organizations:
            return api_error(404, "not_found", "Not Found")
        return Response.of_json({"name": call.namespace, "is_admin": call.namespace in call.token["organizations"]})

    def _list_robots(self, call: _Call) -> Response:
        self._may(call, "org:admin")
        listed = []
        for name, held in self._state.robots.items():
            if name.partition("+")[0] != call.namespace:
                continue
            robot = {"name": name, "description": held["description"], "created": held["created"]}
            robot["last_accessed"] = held.get("last_accessed")
            if call.request.first("token", "true") == "true":
                robot["token"] = held["token"]
            if call.request.first("permissions") == "true":
                robot["teams"] = [{"name": team} for team in self._state.teams_of(name)]
                robot["repositories"] = [
                    repository.partition("/")[2]
                    for repository, found in self._state.repositories.items()
                    if name in found["permissions"]
                ]
            listed.append(robot)
        return Response.of_json({"robots": listed})

    def _robot(self, call: _Call) -> dict[str, Any]:
        self._may(call, "org:admin")
        if call.robot not in self._state.robots:
            raise _Refused(_message(400, "Could not find robot with specified username"))
        return self._state.robots[call.robot]

    def _get_robot(self, call: _Call) -> Response:
        return Response.of_json({"name": call.robot, **self._robot(call)})

    def _create_robot(self, call: _Call) -> Response:
        self._may(call, "org:admin")
        body = _body(call.request) if call.request.body else {}
        if not (ROBOT.fullmatch(call.name) and 2 <= len(call.name) <= 255):
            return _message(400, f"Invalid robot name: {call.name}")
        if len(body.get("description", "")) > 255:
            return api_error(400, "invalid_request", "description is too long")
        if call.robot in self._state.robots:
            return api_error(400, "invalid_request", f"Existing robot with name: {call.robot}")
        self._state.robots[call.robot] = {
            "token": _robot_token(),
            "description": body.get("description", ""),
            "created": formatdate(usegmt=True),
            "unstructured_metadata": body.get("unstructured_metadata", {}),
        }
        return Response.of_json({"name": call.robot, **self._robot(call)}, 201)

    def _delete_robot(self, call: _Call) -> Response:
        self._robot(call)
        del self._state.robots[call.robot]
        for held in self._state.repositories.values():
            held["permissions"].pop(call.robot, None)
        for team in self._state.organizations[call.namespace]["teams"].values():
            team["members"] = [member for member in team["members"] if member != call.robot]
        return Response(204)

    def _regenerate_robot(self, call: _Call) -> Response:
        held = self._robot(call)
        held["token"] = _robot_token()
        return Response.of_json({key: value for key, value in held.items() if key != "unstructured_metadata"})

    def _leave_team(self, call: _Call) -> Response:
        self._may(call, "org:admin")
        team = self._state.organizations[call.namespace]["teams"].get(call.name)
        if team is None:
            return api_error(404, "not_found", "Not Found")
        if call.user not in team["members"]:
            return api_error(400, "invalid_request", f"User {call.user} does not belong to team {call.name}")
        team["members"].remove(call.user)
        return Response(204)


def _body(request: Request, *required: str) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Refused(api_error(400, "invalid_request", "the body is not a JSON object"))
    for key in required:
        if not isinstance(body.get(key), str):
            raise _Refused(api_error(400, "invalid_request", f"'{key}' is a required property"))
    return body


def _summary(full_name: str, held: dict[str, Any], modified: bool) -> dict[str, Any]:
    namespace, _, name = full_name.partition("/")
    document = {
        "namespace": namespace,
        "name": name,
        "description": held["description"],
        "is_public": held["is_public"],
        "kind": "image",
        "state": held.get("state", "NORMAL"),
    }
    return {**document, "last_modified": held["last_modified"]} if modified else document


def _tag(name: str, digest: str, pushed: int) -> dict[str, Any]:
    modified = format_datetime(datetime.fromtimestamp(pushed, UTC))
    dates = {"start_ts": pushed, "last_modified": modified, "reversion": False}
    return {"name": name, "manifest_digest": digest, "is_manifest_list": False, **dates}


def _permission(user: str, role: str) -> dict[str, Any]:
    return {"name": user, "role": role, "is_robot": "+" in user, "is_org_member": True}


def _page_start(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("start:"))
    except ValueError:
        raise _Refused(api_error(400, "invalid_request", "Invalid page token")) from None


def _robot_token() -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(64))
