"""All of a sandbox Google Cloud as one service: its APIs, the token exchange, and the registry that obeys them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.artifactregistry_v1 import DockerImage

from fleet.sandbox.google.artifacts import ArtifactsApi
from fleet.sandbox.google.iam import IamApi, NewKey, key_login
from fleet.sandbox.google.projects import ProjectsApi
from fleet.sandbox.google.state import Principal, State, account_principal
from fleet.sandbox.google.sts import EXCHANGE, OAUTH, TokenExchange
from fleet.sandbox.google.wire import Refused
from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService, new_key

_LOCATED = re.compile(r"/v1/projects/[^/]+/locations/(?!global/).*")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<tag>[^/]+)")
_AR = "artifactregistry.repositories"
_ACTIONS = {"pull": f"{_AR}.downloadArtifacts", "push": f"{_AR}.uploadArtifacts", "delete": f"{_AR}.deleteArtifacts"}


class GoogleCloud:
    """Everything behind one address; `host` is the gcr.io host that its registry is, where it is one."""

    def __init__(
        self, state: State, location: str, host: str | None = None, key: rsa.RSAPrivateKey | None = None
    ) -> None:
        self.state = state
        self.location = location
        self.host = host
        self.tokens = TokenService(self._authenticate, service="google", key=key)
        self.registry = Registry(self.tokens)
        self.artifacts = ArtifactsApi(state, images=self.images)
        self.iam = IamApi(state, self._new_key(key))
        self.projects = ProjectsApi(state)
        self.exchange = TokenExchange(state)

    def handle(self, request: Request) -> Response:
        """Answer one request to any part of it."""
        try:
            if request.path == TOKEN_PATH:
                return self.tokens.handle(request)
            if request.path in (EXCHANGE, OAUTH):
                return self.exchange.handle(request)
            if re.match(r"/v2(/|$)", request.path):
                return self._immutable(request) or self._registry(request)
            if request.path.startswith("/v3/"):
                return self.projects.handle(request)
            return (self.artifacts if _LOCATED.fullmatch(request.path) else self.iam).handle(request)
        except Refused as refused:
            return refused.response

    def repository_of(self, name: str) -> str:
        """The full name of the repository that an image lies in, by the image's path."""
        project, _, rest = name.partition("/")
        short = self.host or rest.partition("/")[0]
        return f"projects/{project}/locations/{self.location}/repositories/{short}"

    def images(self, repository: str) -> list[DockerImage]:
        """The images in a repository, by its full name."""
        found = []
        for name, held in self.registry.repositories.items():
            image = name.split("/", 1 if self.host else 2)[-1]
            if self.repository_of(name) != repository:
                continue
            tags: dict[str, list[str]] = {digest: [] for digest in held["manifests"]}
            for tag, digest in sorted(held["tags"].items()):
                tags[digest].append(tag)
            for digest in tags:
                uploaded = self.state.uploads[name, digest]
                found.append(
                    DockerImage(
                        name=f"{repository}/dockerImages/{quote(image, safe='')}@{digest}",
                        uri=f"{self.host or f'{self.location}-docker.pkg.dev'}/{name}@{digest}",
                        tags=tags[digest],
                        upload_time=uploaded,
                        update_time=uploaded,
                    )
                )
        return found

    def _registry(self, request: Request) -> Response:
        answer = self.registry.handle(request)
        match = _MANIFEST.fullmatch(request.path)
        if match and answer.status == 201:
            self.state.uploads.setdefault((match["name"], answer.headers["docker-content-digest"]), datetime.now(UTC))
        return answer

    def _immutable(self, request: Request) -> Response | None:
        """The refusal of a tag that is pushed again where tags are immutable."""
        match = _MANIFEST.fullmatch(request.path) if request.method == "PUT" else None
        standing = match and self.state.repositories.get(self.repository_of(match["name"]))
        if not (match and standing and standing.docker_config.immutable_tags):
            return None
        held = self.registry.repositories.get(match["name"], {"tags": {}})["tags"]
        error = {"code": "DENIED", "message": f"The tag {match['tag']} is immutable."}
        return Response.of_json({"errors": [error]}, 400) if match["tag"] in held else None

    def _authenticate(self, username: str, password: str) -> Rights | None:
        """The rights of a docker login: nobody, an access token, or the key of a service account."""
        with self.state.lock:
            principal = self._principal(username, password)
        if principal is None:
            return None
        found = principal
        return lambda name: self._rights(found, name)

    def _principal(self, username: str, password: str) -> Principal | None:
        if not username:
            return Principal(frozenset())
        if username == "oauth2accesstoken":
            return self.state.of_token(password)
        email = key_login(self.state, username, password) if username.startswith("_json_key") else None
        return account_principal(email) if email else None

    def _rights(self, principal: Principal, name: str) -> frozenset[str]:
        with self.state.lock:
            repository = self.repository_of(name)
            if repository not in self.state.repositories:
                return frozenset()
            return frozenset(
                action for action, right in _ACTIONS.items() if self.state.may(principal, right, repository)
            )

    @staticmethod
    def _new_key(key: rsa.RSAPrivateKey | None) -> NewKey:
        return new_key if key is None else lambda: key
