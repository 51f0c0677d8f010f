"""A sandbox Docker Hub: registry, token service and limits, as registry-1.docker.io and auth.docker.io have them.

Anybody is given a token, one that allows nothing where nothing may be seen. A GET of a manifest is a pull and uses up
the allowance, a HEAD is none; who asks too often is told a moment in seconds since 1970.
https://docs.docker.com/docker-hub/usage/pulls/, https://docs.docker.com/reference/api/hub/latest/
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.token import Rights, TokenService

REALM = "/token"
SERVICE = "registry.docker.io"
WINDOW = 21600
"""Seconds for which the allowance of pulls is given."""

_MANIFEST = re.compile(r"/v2/.+/manifests/[^/]+")


class DockerHub:
    """The whole Hub as one service.

    `users` has each user's password, `namespaces` who may push to each, `private` the repositories that only those see,
    `pulls` how many pulls are left, and `busy_until` the moment (seconds since 1970) until which everybody is refused.
    `realm` may be the URL of another host that serves the tokens, as auth.docker.io does.
    """

    def __init__(self, folder: Path | None = None, key: RSAPrivateKey | None = None, realm: str = REALM) -> None:
        self.tokens = TokenService(self._authenticate, service=SERVICE, key=key)
        self.registry = Registry(self.tokens, folder, realm=realm)
        self.users: dict[str, str] = {}
        self.namespaces: dict[str, set[str]] = {}
        self.private: set[str] = set()
        self.pulls = 100
        self.busy_until = 0.0
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Answer one request to the registry or its token service."""
        if request.path == REALM:
            return self.tokens.handle(request)
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
