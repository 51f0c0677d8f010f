"""A sandbox Quay: its API, its token service and its registry behind one address, as quay.io has them.

What robots may push and pull is decided by the roles that the API gave them, and enforced by the registry.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

from fleet.sandbox.http import Loopback, Request, Response, Service
from fleet.sandbox.quay_api import QuayApi
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.store import replace_text
from fleet.sandbox.token import Rights, TokenService

ALL_SCOPES = ("repo:read", "repo:write", "repo:create", "repo:admin", "org:admin")

_ROLES = {
    "read": frozenset({"pull"}),
    "write": frozenset({"pull", "push"}),
    "admin": frozenset({"pull", "push", "delete"}),
}
_NOTHING: frozenset[str] = frozenset()
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<tag>[^/:]+)")


class QuayState:
    """All that a Quay knows, as plain dictionaries; hold `lock` to look at several of them at once.

    organizations: name → `private_limit` (None: no limit) and `teams` (name → `members`, `repositories` with a role).
    tokens: OAuth token → `scopes`, the `organizations` its user administers, `expired`.
    repositories: `organization/name` → `description`, `is_public`, `last_modified`, `permissions` (user → role).
    robots: `organization+short` → `token`, `description`, `created`, `unstructured_metadata`.
    pushed: `organization/name` → tag → when it was pushed last, in seconds since 1970.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.file = file
        self.organizations: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.repositories: dict[str, dict[str, Any]] = {}
        self.robots: dict[str, dict[str, Any]] = {}
        self.pushed: dict[str, dict[str, int]] = {}
        if file is not None and file.exists():
            vars(self).update(json.loads(file.read_text(encoding="utf-8")))

    def save(self) -> None:
        """Write everything to the file, where there is one."""
        if self.file is not None:
            kept = ("organizations", "tokens", "repositories", "robots", "pushed")
            replace_text(self.file, json.dumps({name: getattr(self, name) for name in kept}))

    def organization(self, name: str, private_limit: int | None = None) -> None:
        """Found an organisation, unless it is there."""
        with self.lock:
            self.organizations.setdefault(name, {"private_limit": private_limit, "teams": {}})
            self.save()

    def token(self, *organizations: str, scopes: tuple[str, ...] = ALL_SCOPES, value: str | None = None) -> str:
        """A new OAuth token of a user who administers these organisations."""
        value = value or secrets.token_urlsafe(30)
        with self.lock:
            self.tokens[value] = {"scopes": [*scopes], "organizations": [*organizations], "expired": False}
            self.save()
        return value

    def rights(self, username: str, password: str) -> Rights | None:
        """What a login may do on a repository; None when Quay does not know it."""
        with self.lock:
            robot = self.robots.get(username)
            token = self.tokens.get(password) if username == "$oauthtoken" else None
            if username and not (robot and robot["token"] == password) and not (token and not token["expired"]):
                return None
            if robot:
                robot["last_accessed"] = formatdate(usegmt=True)
        if token is not None:
            return lambda name: self._for_token(token, name)
        return lambda name: self._for_user(username, name)

    def teams_of(self, user: str) -> list[str]:
        """The teams of its organisation that a robot is in."""
        teams = self.organizations.get(user.partition("+")[0], {"teams": {}})["teams"]
        return [name for name, team in teams.items() if user in team["members"]]

    def _for_token(self, token: dict[str, Any], name: str) -> frozenset[str]:
        with self.lock:
            repository = self.repositories.get(name)
            if repository is None or name.partition("/")[0] not in token["organizations"]:
                return _public(repository)
            if "repo:admin" in token["scopes"] or "repo:write" in token["scopes"]:
                return _ROLES["write"]
            return _ROLES["read"] if "repo:read" in token["scopes"] else _public(repository)

    def _for_user(self, user: str, name: str) -> frozenset[str]:
        with self.lock:
            repository = self.repositories.get(name)
            if repository is None:
                return _NOTHING
            found = _public(repository) | _ROLES.get(repository["permissions"].get(user), _NOTHING)
            organization, _, short = name.partition("/")
            for team in self.organizations[organization]["teams"].values():
                if user in team["members"]:
                    found |= _ROLES.get(team["repositories"].get(short), _NOTHING)
            return found


def _public(repository: dict[str, Any] | None) -> frozenset[str]:
    return _ROLES["read"] if repository and repository["is_public"] else _NOTHING


class RateLimit:
    """A bucket of `burst` requests that fills at `per_second`, as nginx's limit_req without delay."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left, self._last = float(burst), clock()
        self._lock = threading.Lock()

    def takes(self) -> bool:
        """Whether one more request is taken now."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._last) * self._per_second)
            self._last = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Quay:
    """API, token service and registry as one service; `registry` may be put in later, but before the first request."""

    def __init__(self, state: QuayState, tokens: TokenService, rate: RateLimit | None = None) -> None:
        self.state = state
        self.tokens = tokens
        self.rate = rate
        self.registry: Service = Registry(tokens)
        self.api = QuayApi(state, self)

    def handle(self, request: Request) -> Response:
        """Answer one request to any part of Quay."""
        if request.path == TOKEN_PATH:
            return self.tokens.handle(request)
        if re.match(r"/v2(/|$)", request.path):
            return self._record(request, self.registry.handle(request))
        if not request.path.startswith("/api/v1/"):
            return Response(404, b"<html>404</html>", {"content-type": "text/html"})
        if self.rate is not None and not self.rate.takes():
            return Response(429, b"<html>429 Too Many Requests</html>", {"content-type": "text/html"})
        return self.api.handle(request)

    def tags(self, name: str) -> dict[str, str]:
        """Tag → digest of a repository."""
        return self.digests(name, self.tag_names(name))

    def tag_names(self, name: str) -> list[str]:
        """The tags of a repository, asked of the registry page by page."""
        found: list[str] = []
        more = True
        while more:
            answer = self._ask("GET", name, "tags/list", {"last": found[-1:]} if found else {})
            found += json.loads(answer.body)["tags"] or [] if answer.status == 200 else []
            more = any(header.lower() == "link" for header in answer.headers)
        return found

    def digests(self, name: str, tags: Collection[str]) -> dict[str, str]:
        """What tags of a repository mean, asked of the registry."""
        answers = {tag: self._ask("HEAD", name, f"manifests/{tag}").headers for tag in tags}
        lowered = {tag: {key.lower(): value for key, value in found.items()} for tag, found in answers.items()}
        return {tag: found["docker-content-digest"] for tag, found in lowered.items()}

    def _record(self, request: Request, answer: Response) -> Response:
        pushed = _MANIFEST.fullmatch(request.path)
        if pushed and request.method == "PUT" and answer.status == 201:
            with self.state.lock:
                self.state.pushed.setdefault(pushed["name"], {})[pushed["tag"]] = int(time.time())
                self.state.save()
        return answer

    def _ask(self, method: str, name: str, path: str, query: Mapping[str, list[str]] | None = None) -> Response:
        """Ask the registry, with a token of our own."""
        token = self.tokens.sign("", [{"type": "repository", "name": name, "actions": ["pull"]}])
        accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
        accept += "application/vnd.docker.distribution.manifest.v2+json"
        headers = {"authorization": f"Bearer {token}", "accept": accept, "host": "registry"}
        whole = f"/v2/{name}/{path}"
        return self.registry.handle(Request(method, whole, whole, query or {}, headers, b""))


@dataclass(frozen=True, slots=True)
class RunningQuay:
    """A sandbox Quay that is being served; `token` is an OAuth token that may do everything in `organization`."""

    loopback: Loopback
    quay: Quay
    organization: str
    token: str

    @property
    def url(self) -> str:
        """What a `url:` in fleet.yaml says."""
        return self.loopback.url

    @property
    def registry_host(self) -> str:
        """The host in an image's name."""
        return self.loopback.host

    @property
    def state(self) -> QuayState:
        """All that this Quay knows."""
        return self.quay.state

    def close(self) -> None:
        """Stop serving."""
        self.loopback.close()

    def __enter__(self) -> RunningQuay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve_quay(
    folder: Path | None = None,
    port: int = 0,
    organization: str = "example",
    token: str | None = None,
    rate: RateLimit | None = None,
) -> RunningQuay:
    """Serve a Quay on loopback with one organisation and one OAuth token; with `folder` it survives a restart.

    `token` is made up where it is not given, or taken from the last time.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    state = QuayState(folder / "quay.json" if folder else None)
    state.organization(organization)
    known = [value for value, held in state.tokens.items() if organization in held["organizations"]]
    value = token or (known[0] if known else None)
    if value is None or value not in state.tokens:
        value = state.token(organization, value=value)
    tokens = TokenService(state.rights, service="quay")
    quay = Quay(state, tokens, rate)
    quay.registry = Registry(tokens, folder)
    return RunningQuay(Loopback(quay, port), quay, organization, value)
