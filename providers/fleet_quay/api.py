"""Quay's API, call by call, and what its refusals mean.

Source: `/api/v1/discovery` of a Quay for requests, and its open-source server for statuses and error bodies, which come
in three shapes: `{detail, error_message, error_type, …}`, `{message}` and `{error}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

from fleet.provider import Answer, Ask, Conflict, Http, OutOfBudget, ProviderError, Secret, Tag, host_of

Document = Mapping[str, Any]

_SCOPES = "repo:create, repo:admin and org:admin"
_NO_SUCH_ROBOT = "could not find robot"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call; `doing` completes "Quay does not let this token …"."""

    method: str
    path: str
    doing: str
    namespace: str
    body: Document | None = None


class Api:
    """The calls that fleet needs. Every refusal is a ProviderError that names what would help."""

    def __init__(self, url: str, http: Http, token: Callable[[], Secret]) -> None:
        self._url = url
        self._http = http
        self._token = token
        self._has_worked = False

    def repositories(self, namespace: str) -> Iterator[Document]:
        """Every repository of a namespace, a hundred to a request."""
        query = {"namespace": namespace}
        while True:
            path = f"/repository?{urlencode(query)}"
            page = self._object(_Call("GET", path, f"list the repositories of {namespace}", namespace))
            yield from _entries(page, "repositories")
            if not page.get("next_page"):
                return
            query["next_page"] = str(page["next_page"])

    def check_organization(self, namespace: str) -> None:
        """Raise ProviderError where there is no organisation of that name."""
        if self._ask("GET", f"/organization/{namespace}").status == 404:
            raise ProviderError(f"{self._host} has no organisation {namespace}; check the `namespace`")

    def repository(self, namespace: str, name: str) -> Document | None:
        """One repository, without its tags; None when it isn't there."""
        path = f"/repository/{namespace}/{name}?includeTags=false"
        answer = self._send(_Call("GET", path, f"see {namespace}/{name}", namespace), 404)
        return None if answer.status == 404 else _object(answer)

    def tags(self, namespace: str, name: str) -> Iterator[Tag]:
        """The tags of a repository, newest first, a hundred to a request as they are asked for; none if it isn't there.

        Public repositories of any namespace are shown to every token.
        """
        for page in count(1):
            path = f"/repository/{namespace}/{name}/tag/?onlyActiveTags=true&limit=100&page={page}"
            answer = self._send(_Call("GET", path, f"list the tags of {namespace}/{name}", namespace), 403, 404)
            if answer.status == 403:
                raise ProviderError(
                    f"{self._host} does not show {namespace}/{name} to this token: it does not exist, or it is private"
                )
            document = {"tags": []} if answer.status == 404 else _object(answer)
            listed = _entries(document, "tags")
            yield from map(_tag, listed)
            if not listed or document.get("has_additional") is not True:
                return

    def create_repository(self, namespace: str, name: str, visibility: str, description: str) -> bool:
        """Make a repository; False when it is there already."""
        body = {"namespace": namespace, "repository": name, "visibility": visibility, "description": description}
        doing = f"make {visibility} repositories in {namespace}"
        answer = self._send(_Call("POST", "/repository", doing, namespace, body), 400)
        if answer.status == 400:
            if "already exists" in _said(answer).lower():
                return False
            raise ProviderError(f"{self._host} does not take the repository {namespace}/{name}: {_said(answer)}")
        return True

    def set_visibility(self, namespace: str, name: str, visibility: str) -> None:
        """Make a repository public or private."""
        path = f"/repository/{namespace}/{name}/changevisibility"
        call = _Call("POST", path, f"make {namespace}/{name} {visibility}", namespace, {"visibility": visibility})
        if self._send(call).json() is None:  # what Quay answers, with 200, for a repository that isn't there
            raise Conflict(f"{namespace}/{name} is gone from {self._host}")

    def describe(self, namespace: str, name: str, description: str) -> None:
        """Replace a repository's description."""
        call = _Call("PUT", f"/repository/{namespace}/{name}", f"describe {namespace}/{name}", namespace)
        self._send(_with(call, {"description": description}))

    def robots(self, namespace: str) -> Mapping[str, Document]:
        """Every robot of an organisation by its full name, with repositories and teams, and without its token."""
        path = f"/organization/{namespace}/robots?permissions=true&token=false"
        page = self._object(_Call("GET", path, f"list the robots of {namespace}", namespace))
        return {str(robot.get("name")): robot for robot in _entries(page, "robots")}

    def robot(self, namespace: str, short: str) -> Document | None:
        """One robot with its token; None when it isn't there."""
        path = f"/organization/{namespace}/robots/{short}"
        answer = self._send(_Call("GET", path, f"see the robot {namespace}+{short}", namespace), 400, 404)
        if answer.status == 200:
            return _robot(answer)
        if answer.status == 404 or _NO_SUCH_ROBOT in _said(answer).lower():
            return None
        raise ProviderError(f"{self._host} does not show the robot {namespace}+{short}: {_said(answer)}")

    def create_robot(self, namespace: str, short: str, description: str) -> Document | None:
        """Make a robot and return it with its token; None when it is there already."""
        call = _Call("PUT", f"/organization/{namespace}/robots/{short}", f"make robots in {namespace}", namespace)
        answer = self._send(_with(call, {"description": description, "unstructured_metadata": {}}), 400)
        if answer.status == 400:
            if "existing robot" in _said(answer).lower():
                return None
            raise ProviderError(f"{self._host} does not take the robot {namespace}+{short}: {_said(answer)}")
        return _robot(answer)

    def delete_robot(self, namespace: str, short: str) -> None:
        """Delete a robot, its token and its permissions; no error when it is gone."""
        path = f"/organization/{namespace}/robots/{short}"
        answer = self._send(_Call("DELETE", path, f"delete robots of {namespace}", namespace), 400, 404)
        if answer.status == 400 and _NO_SUCH_ROBOT not in _said(answer).lower():
            raise ProviderError(f"{self._host} does not delete the robot {namespace}+{short}: {_said(answer)}")

    def roles(self, namespace: str, name: str) -> Mapping[str, str]:
        """The role of each user and robot on a repository; none for a repository that isn't there."""
        path = f"/repository/{namespace}/{name}/permissions/user/"
        answer = self._send(_Call("GET", path, f"see who may push to {namespace}/{name}", namespace), 404)
        permissions = {} if answer.status == 404 else _object(answer).get("permissions")
        if not isinstance(permissions, dict) or not all(isinstance(entry, dict) for entry in permissions.values()):
            raise ProviderError(f"the answer has no permissions of {namespace}/{name}; is it a Quay?")
        return {user: str(entry.get("role")) for user, entry in permissions.items()}

    def grant(self, namespace: str, name: str, robot: str, role: str) -> None:
        """Give a robot a role on a repository, whatever it had there."""
        path = f"/repository/{namespace}/{name}/permissions/user/{quote(robot, safe='+')}"
        doing = f"say who may push to {namespace}/{name}"
        answer = self._send(_Call("PUT", path, doing, namespace, {"role": role}), 400, 404)
        if answer.status != 200:
            gone = f"repository {namespace}/{name}" if answer.status == 404 else f"robot {robot}"
            raise Conflict(f"the {gone} is gone from {self._host}: somebody deleted it; run again to make it anew")

    def revoke(self, namespace: str, name: str, robot: str) -> None:
        """Take a robot's role on a repository away; no error when it has none."""
        path = f"/repository/{namespace}/{name}/permissions/user/{quote(robot, safe='+')}"
        self._send(_Call("DELETE", path, f"say who may push to {namespace}/{name}", namespace), 400, 404)

    def leave_team(self, namespace: str, team: str, robot: str) -> None:
        """Take a robot out of a team; no error when it isn't in it."""
        path = f"/organization/{namespace}/team/{quote(team)}/members/{quote(robot, safe='+')}"
        self._send(_Call("DELETE", path, f"change the team {team} of {namespace}", namespace), 400, 404)

    @property
    def _host(self) -> str:
        return host_of(self._url)

    def _object(self, call: _Call) -> Document:
        return _object(self._send(call))

    def _send(self, call: _Call, *also: int) -> Answer:
        """Make a call; statuses besides 2xx and `also` become errors."""
        answer = self._ask(call.method, call.path, call.body)
        if answer.status in (200, 201, 204) or answer.status in also:
            self._has_worked = True
            return answer
        raise self._refusal(call, answer)

    def _ask(self, method: str, path: str, body: Document | None = None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        return self._http.send(Ask(method, f"{self._url}/api/v1{path}", self._headers(body is not None), content))

    def _headers(self, has_body: bool) -> Mapping[str, str]:
        """Made in the expression that sends them: no variable holds the token."""
        kind = {"content-type": "application/json"} if has_body else {}
        return {"authorization": f"Bearer {self._token().expose()}", "accept": "application/json", **kind}

    def _refusal(self, call: _Call, answer: Answer) -> Exception:
        said = _said(answer)
        if answer.status == 401 or "csrf" in said.lower():  # a write with a bad token is answered as one without any
            return self._bad_token()
        if answer.status == 402:
            return ProviderError(
                f"{self._host} does not let {call.namespace} have one more private repository: "
                "its subscription's limit is reached; raise the limit, or write `visibility: public`"
            )
        if answer.status == 403:
            return ProviderError(f"{self._host} does not let this token {call.doing}: {self._why_forbidden(call)}")
        return ProviderError(
            f"{self._host} answers {answer.status} when asked to {call.doing}: {said or 'no reason given'}"
        )

    def _bad_token(self) -> Exception:
        help_ = f"make a new one in an OAuth application of the organisation, with the scopes {_SCOPES}"
        if self._has_worked:
            return OutOfBudget(f"the token for {self._host} stopped working during the run; {help_}, and run again")
        return ProviderError(f"{self._host} refuses the token of `auth`: it is wrong, expired or revoked; {help_}")

    def _why_forbidden(self, call: _Call) -> str:
        """One request more, after a refusal, tells a namespace that isn't there from a right that is missing."""
        if self._ask("GET", f"/organization/{call.namespace}").status == 404:
            return f"it has no organisation {call.namespace}; check the `namespace`"
        return f"it needs the scopes {_SCOPES}, and its user must be an administrator of {call.namespace}"


def _with(call: _Call, body: Document) -> _Call:
    return _Call(call.method, call.path, call.doing, call.namespace, body)


def _object(answer: Answer) -> Document:
    document = answer.json()
    if not isinstance(document, dict):
        raise ProviderError(f"{answer.ask.host} sends JSON to {answer.ask} that is not an object; is it a Quay?")
    return document


def _robot(answer: Answer) -> Document:
    """A robot, its token as a Secret that nothing prints; None where it isn't shown."""
    document = _object(answer)
    token = document.get("token")
    return {**document, "token": Secret(token) if isinstance(token, str) and token.strip() else None}


def _tag(entry: Document) -> Tag:
    name, digest, start = entry.get("name"), entry.get("manifest_digest"), entry.get("start_ts")
    if not isinstance(name, str) or not isinstance(digest, str) or type(start) is not int:
        raise ProviderError("the answer lists something that is no tag; is it a Quay?")
    return Tag(name, digest, datetime.fromtimestamp(start, UTC))


def _entries(page: Document, key: str) -> list[Document]:
    found = page.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ProviderError(f"the answer has no list of {key}; is it a Quay?")
    return found


def _said(answer: Answer) -> str:
    """Quay's own words for what is wrong, empty where it has none."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return ""
    for key in ("detail", "error_message", "message", "error"):
        if isinstance(document, dict) and isinstance(document.get(key), str) and document[key]:
            return str(document[key])
    return ""
