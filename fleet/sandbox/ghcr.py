"""A sandbox ghcr.io: packages that a sandbox GitHub's tokens may push and pull, as GitHub has it.

A run's GITHUB_TOKEN with `packages: write` may make a package of its repository's owner, which is then linked to the
repository, and push to packages that are linked to it; no other. A classic token reaches all packages of the
organisations that its user administers; what it pushes is linked to the repository of the same owner that the image's
label names, and to nothing without that. A package has the visibility of its repository.
https://docs.github.com/packages/learn-github-packages/about-permissions-for-github-packages,
https://docs.github.com/packages/learn-github-packages/connecting-a-repository-to-a-package
"""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fleet.sandbox.github.model import Token
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.token import Rights, TokenService

REALM = "/token"
SOURCE = "org.opencontainers.image.source"

_PUSHED = re.compile(r"/v2/(.+)/manifests/[^/]+")
_READ, _WRITE, _NOTHING = frozenset({"pull"}), frozenset({"pull", "push"}), frozenset[str]()


class Ghcr:
    """Token service and registry as one service; `packages` holds the repository that each package is linked to.

    Hold `state.lock` to look at packages and repositories at once.
    """

    def __init__(self, state: State, folder: Path | None = None, key: RSAPrivateKey | None = None) -> None:
        self.state = state
        self.tokens = TokenService(self._authenticate, service="ghcr.io", key=key, denied=403)
        self.registry = Registry(self.tokens, folder, realm=REALM)
        self.packages: dict[str, str | None] = {}
        self._asked: dict[str, str | None] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request to the registry or its token service."""
        if request.path == REALM:
            return self.tokens.handle(request)
        answer = self.registry.handle(request)
        pushed = _PUSHED.fullmatch(request.path)
        if pushed and request.method == "PUT" and answer.status == 201:
            with self.state.lock:
                by_run = self._asked.get(pushed[1])
                linked = self.packages.get(pushed[1]) or by_run or self._labelled(pushed[1], request.body)
                self.packages[pushed[1]] = linked
        return answer

    def _labelled(self, name: str, manifest: bytes) -> str | None:
        """The repository of the package's owner that an image's label names."""
        source = self.registry.labels(name, manifest).get(SOURCE, "")
        repository = source.removeprefix(f"{self.state.url}/")
        of_owner = repository.partition("/")[0] == name.partition("/")[0]
        known = source != repository and of_owner and self.state.find_repository(repository)
        return repository if known else None

    def _authenticate(self, username: str, password: str) -> Rights | None:
        with self.state.lock:
            token = self.state.tokens.get(password)
        if username and token is None:
            return None
        return lambda name: self._rights(token, name)

    def _rights(self, token: Token | None, name: str) -> frozenset[str]:
        with self.state.lock:
            own = self._own(token, name) if token else _NOTHING
            return own | (_READ if self._is_public(name) else _NOTHING)

    def _own(self, token: Token, name: str) -> frozenset[str]:
        if token.scopes is not None:
            return self._of_person(token.owner, token.scopes, name)
        return self._of_run(token, name)

    def _of_person(self, login: str, scopes: frozenset[str], name: str) -> frozenset[str]:
        owner = self.state.accounts.get(name.partition("/")[0])
        if owner is None or (owner.login != login and owner.members.get(login) != "admin"):
            return _NOTHING
        if "write:packages" in scopes:
            self._asked[name] = None  # a package that a person pushes is linked to nothing
            return _WRITE
        return _READ if "read:packages" in scopes else _NOTHING

    def _of_run(self, token: Token, name: str) -> frozenset[str]:
        owner = name.partition("/")[0]
        ours = {repository for repository in token.repositories or () if repository.partition("/")[0] == owner}
        linked = self.packages.get(name)
        may = {"write": _WRITE, "read": _READ}.get(token.rights.get("packages", ""), _NOTHING)
        if name in self.packages:
            return may if linked in ours else _NOTHING
        self._asked[name] = min(ours, default=None)
        return may if ours else _NOTHING

    def _is_public(self, name: str) -> bool:
        linked = self.packages.get(name)
        return linked is not None and self.state.repository(linked).visibility == "public"
