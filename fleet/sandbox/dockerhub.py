"""A sandbox Docker Hub: registry, token service, limits and listing of tags, all of it behind one address.

Anybody is given a token, one that allows nothing where nothing may be seen. A GET of a manifest is a pull and uses up
the allowance, a HEAD is none; who asks too often is told a moment in seconds since 1970.
https://docs.docker.com/docker-hub/usage/pulls/, https://docs.docker.com/reference/api/hub/latest/
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.token import Rights, TokenService

REALM = "/token"
LOG_IN = "/v2/auth/token"
SERVICE = "registry.docker.io"
WINDOW = 21600
"""Seconds for which the allowance of pulls is given."""

_TAGS = re.compile(r"/v2/namespaces/(?P<namespace>[^/]+)/repositories/(?P<name>[^/]+)/tags")
_MANIFEST = re.compile(r"/v2/.+/manifests/[^/]+")


class DockerHub:
    """The whole Hub as one service.

    `users` has each user's password, `namespaces` who may push to each, `private` the repositories that only those see,
    `pulls` how many pulls are left, and `busy_until` the moment (seconds since 1970) until which everybody is refused.
    `realm` may be the URL of another host that serves the tokens, as auth.docker.io does. `page` is how many
    tags a page of the listing has at most.
    """

    def __init__(self, folder: Path | None = None, key: RSAPrivateKey | None = None, realm: str = REALM) -> None:
        self.tokens = TokenService(self._authenticate, service=SERVICE, key=key)
        self.registry = Registry(self.tokens, folder, realm=realm)
        self.users: dict[str, str] = {}
        self.namespaces: dict[str, set[str]] = {}
        self.private: set[str] = set()
        self.pulls = 100
        self.busy_until = 0.0
        self.page = 100
        self._sessions: dict[str, str] = {}
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Answer one request to the registry or its token service."""
        if request.path == REALM:
            return self.tokens.handle(request)
        if request.path == LOG_IN:
            return self._log_in(request)
        listing = _TAGS.fullmatch(request.path)
        if listing:
            return self._tags(request, f"{listing['namespace']}/{listing['name']}")
        if time.time() < self.busy_until:
            headers = {"x-retry-after": str(int(self.busy_until)), "content-type": "text/plain"}
            return Response(429, b"Too Many Requests\n", headers)
        if not _MANIFEST.fullmatch(request.path):
            return self.registry.handle(request)
        return self._metered(request)

    def _metered(self, request: Request) -> Response:
        with self._lock:
            if request.method == "GET" and not self.pulls:
                error = {"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}
                return Response.of_json({"errors": [error]}, 429, self._said())
        answer = self.registry.handle(request)
        with self._lock:
            if request.method == "GET" and answer.status == 200:
                self.pulls = max(0, self.pulls - 1)
            return Response(answer.status, answer.body, {**answer.headers, **self._said()})

    def _log_in(self, request: Request) -> Response:
        given = request.json()
        username = str(given.get("identifier"))
        if username not in self.users or self.users[username] != given.get("secret"):
            return Response.of_json({"detail": "Incorrect authentication credentials"}, 401)
        token = secrets.token_urlsafe(24)
        self._sessions[token] = username
        return Response.of_json({"access_token": token})

    def _tags(self, request: Request, name: str) -> Response:
        username = self._sessions.get(request.headers.get("authorization", "").removeprefix("Bearer "), "")
        held = self.registry.repositories.get(name)
        if held is None or "pull" not in self._rights(username, name):
            return Response.of_json({"message": "object not found"}, 404)
        dates = self.registry.pushed[name]
        newest = sorted(held["tags"], key=lambda tag: dates[tag], reverse=True)
        page, size = int(request.first("page") or 1), min(int(request.first("page_size") or 10), self.page)
        shown = newest[(page - 1) * size : page * size]
        following = f"{request.base_url}{request.path}?page={page + 1}&page_size={size}"
        results = [{"name": tag, "digest": held["tags"][tag], "last_updated": _moment(dates[tag])} for tag in shown]
        after = following if page * size < len(newest) else None
        return Response.of_json({"count": len(newest), "next": after, "previous": None, "results": results})

    def _said(self) -> dict[str, str]:
        return {"ratelimit-limit": f"100;w={WINDOW}", "ratelimit-remaining": f"{self.pulls};w={WINDOW}"}

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if username and self.users.get(username) != password:
            return None
        return lambda name: self._rights(username, name)

    def _rights(self, username: str, name: str) -> frozenset[str]:
        if username in self.namespaces.get(name.partition("/")[0], ()):
            return frozenset({"pull", "push"})
        return frozenset() if name in self.private else frozenset({"pull"})


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
