"""The providers of this repository as the contract suite must be told of them."""

from __future__ import annotations

import builtins
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from fleet import plugins
from fleet.provider import Provider
from fleet.sandbox.github import Limits, State
from fleet.sandbox.github.model_actions import Environment, Variable
from fleet.sandbox.github.model_actions import Secret as StoredSecret
from fleet.sandbox.github.objects import read_commit, walk
from fleet.sandbox.github.pushes import commit_files
from fleet.sandbox.github.service import GitHub
from fleet.sandbox.http import Request, Response
from fleet.sandbox.push import Registries
from fleet.sandbox.quay import ALL_SCOPES, Quay, QuayState
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService, new_key
from fleet.testing import FLEET, NAME, CodeHostSubject, Subject
from tests.images import Image, push
from tests.little_fleet import git

MARK = "managed by fleet "

_key = cache(new_key)
"""One for all services of a process, because every case starts one."""


class QuaySubject(Subject):
    """A Quay with one organisation, whose team of builders holds nobody yet."""

    type = "quay"
    environment: ClassVar[Mapping[str, str]] = {"QUAY_TOKEN": "canary-oauth-token"}
    credentials = frozenset({"robot"})
    throttled = Response(429, b"<html>429 Too Many Requests</html>", {"content-type": "text/html"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = QuayState()
        self.state.organization("example")
        self.state.organizations["example"]["teams"]["builders"] = {"members": [], "repositories": {}}
        self.state.token("example", value="canary-oauth-token")
        self.tokens = TokenService(self.state.rights, service="quay", key=_key())
        self.service = Quay(self.state, self.tokens)

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"namespace": "example", "url": url, "auth": {"token": {"env": "QUAY_TOKEN"}}}

    def snapshot(self) -> object:
        with self.state.lock:
            repositories = {
                name: {key: value for key, value in held.items() if key != "last_modified"}
                for name, held in self.state.repositories.items()
            }
            robots = {name: held["description"] for name, held in self.state.robots.items()}
            return str([sorted(repositories.items()), sorted(robots.items()), self.state.organizations])

    def occupy(self, image: str, owner: str | None) -> None:
        description = f"{MARK}{owner}" if owner else ""
        robot = f"example+{image}"
        self.state.repositories[f"example/{image}"] = {
            "description": description,
            "is_public": True,
            "last_modified": 0,
            "permissions": {robot: "write"},
        }
        self.state.robots[robot] = {
            "token": "T" * 64,
            "description": description or "made by hand",
            "created": "",
            "unstructured_metadata": {},
        }

    def drift(self, image: str) -> None:
        robot = f"example+{image}"
        self.state.repositories[f"example/{image}"] |= {
            "description": f"Changed by hand.\n\n{MARK}{FLEET}",
            "is_public": False,
            "permissions": {robot: "admin"},
        }
        self.state.repositories["example/neighbour"]["permissions"][robot] = "write"
        self.state.organizations["example"]["teams"]["builders"]["members"].append(robot)

    def expire(self) -> None:
        self.state.tokens["canary-oauth-token"]["expired"] = True

    def renew(self) -> None:
        self.state.tokens["canary-oauth-token"]["expired"] = False

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        def without(scope: str) -> Callable[[], None]:
            kept = [other for other in ALL_SCOPES if other != scope]
            return lambda: self.state.tokens["canary-oauth-token"].update(scopes=kept)

        return {scope: without(scope) for scope in ("repo:create", "repo:admin", "org:admin")}

    def publish(self, name: str, tag: str) -> str:
        host, _, path = name.partition("/")
        grant = {"type": "repository", "name": path, "actions": ["pull", "push"]}
        return push(f"http://{host}/v2/{path}", Image(), tag, headers=_bearer(self.tokens, grant))

    def disarm(self, image: str) -> None:
        self.state.repositories[f"example/{image}"]["permissions"][f"example+{image}"] = "read"


class OwnLoginQuaySubject(QuaySubject):
    """The same with an operator's own login for pushing, so that no robot is made."""

    environment: ClassVar[Mapping[str, str]] = {**QuaySubject.environment, "PUSH_PASSWORD": "canary-push-password"}
    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        robot = {"description": "by hand", "created": "", "unstructured_metadata": {}}
        self.state.robots["example+builder"] = {**robot, "token": "canary-push-password"}
        self.state.organizations["example"]["teams"]["builders"] = {
            "members": ["example+builder"],
            "repositories": {"image": "write", "neighbour": "write"},
        }

    def entry(self, url: str) -> Mapping[str, Any]:
        login = {"username": "example+builder", "password": {"env": "PUSH_PASSWORD"}}
        return {**super().entry(url), "push": login}

    def drift(self, image: str) -> None:
        changed = {"description": f"Changed by hand.\n\n{MARK}{FLEET}", "is_public": False}
        self.state.repositories[f"example/{image}"] |= changed

    def expire(self) -> None:
        super().expire()
        self.state.robots["example+builder"]["token"] = "another"

    def renew(self) -> None:
        super().renew()
        self.state.robots["example+builder"]["token"] = "canary-push-password"

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        return {word: take for word, take in super().rights.items() if word == "repo:create"}

    def disarm(self, image: str) -> None:
        self.state.organizations["example"]["teams"]["builders"]["repositories"].clear()


class OciSubject(Subject):
    """A registry where `ada` may pull and push."""

    type = "oci"
    environment: ClassVar[Mapping[str, str]] = {"ADAS_PASSWORD": "canary-adas-password"}
    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens = TokenService(self._authenticate, key=_key())
        self.registry = Registry(self.tokens)
        self.password = "canary-adas-password"
        self.actions = frozenset({"pull", "push"})
        self.service = self

    def handle(self, request: Request) -> Response:
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)

    def _authenticate(self, username: str, password: str) -> Rights | None:
        return (lambda name: self.actions) if (username, password) == ("ada", self.password) else None

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"namespace": "team", "url": url, "push": {"username": "ada", "password": {"env": "ADAS_PASSWORD"}}}

    def snapshot(self) -> object:
        return str(self.registry.repositories)

    def expire(self) -> None:
        self.password = "another"

    def renew(self) -> None:
        self.password = "canary-adas-password"

    def publish(self, name: str, tag: str) -> str:
        host, _, path = name.partition("/")
        grant = {"type": "repository", "name": path, "actions": ["pull", "push"]}
        return push(f"http://{host}/v2/{path}", Image(), tag, headers=_bearer(self.tokens, grant))

    def disarm(self, image: str) -> None:
        self.actions = frozenset({"pull"})


class CheckoutSubject(CodeHostSubject):
    """A git repository on the local disk."""

    type = "git"
    without: ClassVar[Mapping[str, str]] = {"service": "it works on the local disk"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.top = folder / "infrastructure"
        self.top.mkdir()
        git(self.top, "init", "--quiet", "--initial-branch=main")
        git(self.top, "config", "user.name", "An Operator")
        git(self.top, "config", "user.email", "operator@example.org")
        self.commit(self.content)

    @classmethod
    def provider(cls) -> builtins.type[Provider]:
        found = plugins.load_checkout()
        assert found is not None
        return found

    @property
    def repository(self) -> str:
        return "./infrastructure"

    def entry(self, url: str) -> Mapping[str, Any]:
        return {}

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        return {"version": 1, "name": FLEET}

    def commit(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_bytes(data)
        git(self.top, "add", ".")
        git(self.top, "commit", "--quiet", "--message=By hand")

    def history(self) -> list[Mapping[str, bytes]]:
        return [self._files(commit) for commit in git(self.top, "rev-list", "--reverse", "HEAD").split()]

    def _files(self, commit: str) -> Mapping[str, bytes]:
        paths = git(self.top, "ls-tree", "-r", "--name-only", commit).split()
        return {path: self._bytes(f"{commit}:{path}") for path in paths}

    def _bytes(self, name: str) -> bytes:
        return subprocess.run(["git", "cat-file", "blob", name], cwd=self.top, check=True, capture_output=True).stdout

    def snapshot(self) -> object:
        status = git(self.top, "status", "--porcelain", "--untracked-files=all")
        leftovers = [*(self.top / ".git").rglob("*.lock"), *self.top.rglob("*fleet-commit*")]
        files = {path: (self.top / path).read_bytes() for path in git(self.top, "ls-files").split()}
        names = sorted(str(path.relative_to(self.top)) for path in leftovers)
        return self.history(), status, names, files


class GitHubSubject(CodeHostSubject):
    """A sandbox GitHub with one organisation and one repository, and a registry whose login is stored as a secret."""

    type = "github"
    environment: ClassVar[Mapping[str, str]] = {"ADAS_PASSWORD": "canary-adas-password"}
    credentials = frozenset({"secret"})
    reads_per_image = 2
    throttled = Response.of_json({"message": "You exceeded a secondary rate limit."}, 429, {"retry-after": "7"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        state = State(folder / "github")
        state.create_user("ada")
        state.create_organization("example-org", admins=["ada"])
        state.create_repository(self.repository, {path: data.decode() for path, data in self.content.items()})
        self.token = state.create_token("ada")
        (folder / "token").write_text(self.token)
        self.known = state.tokens[self.token]
        self.state = state
        self.github = GitHub(state, replace(Limits(), content_per_minute=None, content_per_hour=None), Registries({}))
        self.registry = OciSubject(folder)
        self.service = self

    def handle(self, request: Request) -> Response:
        is_registry = request.path.startswith("/v2") or request.path == TOKEN_PATH
        return (self.registry if is_registry else self.github).handle(request)

    def writes(self, request: Request) -> bool:
        return super().writes(request) and not (request.path == "/graphql" and b"mutation" not in request.body)

    def close(self) -> None:
        self.github.close()

    @property
    def repository(self) -> str:
        return "example-org/infrastructure"

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"base_url": url, "auth": {"token": {"file": "token"}}}

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        return {
            "version": 1,
            "name": FLEET,
            "code_hosts": {NAME: {"type": self.type, **self.entry(url)}},
            "registries": {"registry": {"type": "oci", **self.registry.entry(url)}},
            "images": {name: {"registry": "registry", "repository": f"example-org/{name}"} for name in images},
        }

    def commit(self, files: Mapping[str, bytes]) -> None:
        with self.state.lock:
            commit_files(self.state, self.state.repository(self.repository), files, "By hand")

    def history(self) -> list[Mapping[str, bytes]]:
        found: list[Mapping[str, bytes]] = []
        with self.state.lock:
            oid = self.state.repository(self.repository).head
            while oid:
                commit = read_commit(self.state.store, oid)
                found.insert(0, self._files(commit.tree))
                oid = commit.parents[0] if commit.parents else None
        return found

    def _files(self, tree: str) -> Mapping[str, bytes]:
        blobs = [(path, entry) for path, entry in walk(self.state.store, tree) if entry.kind == "blob"]
        found = {path: self.state.store.read(entry.oid) for path, entry in blobs}
        return {path: blob.data for path, blob in found.items() if blob is not None}

    def snapshot(self) -> object:
        with self.state.lock:
            made = {
                held.full_name: (
                    held.description,
                    held.visibility,
                    held.topics,
                    {secret: stored.value for secret, stored in held.secrets.items()},
                    held.head is not None,
                )
                for held in self.state.repositories.values()
            }
            return str(sorted(made.items(), key=str)), self.history()

    def occupy(self, image: str, owner: str | None) -> None:
        made = self.state.create_repository(f"example-org/{image}", {"README.md": "made by hand"})
        made.topics = (f"fleet-{owner}",) if owner else ()
        now = self.state.clock.now()
        made.secrets["DOCKER_PASSWORD"] = StoredSecret("DOCKER_PASSWORD", "stored-by-hand", now, now)

    def drift(self, image: str) -> None:
        made = self.state.repository(f"example-org/{image}")
        made.description, made.visibility = "changed by hand", "private"

    def expire(self) -> None:
        self.state.tokens.pop(self.token, None)

    def renew(self) -> None:
        self.state.tokens[self.token] = self.known

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        return self._without("administration", "secrets")

    def _without(self, *rights: str) -> Mapping[str, Callable[[], None]]:
        def without(right: str) -> Callable[[], None]:
            kept = {name: level for name, level in self.known.rights.items() if name != right}
            return lambda: self.state.tokens.update({self.token: replace(self.known, rights=kept)})

        return {right: without(right) for right in rights}


class EnvironmentGitHubSubject(GitHubSubject):
    """The same for images whose secret and variable lie in an environment."""

    credentials = frozenset({"environment-secret"})
    reads_per_image = 5

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        found = super().document(url, images)
        for image in found["images"].values():
            image |= {"secrets": {"environment": "registry"}, "variables": {"CHANNEL": "stable"}}
        return found

    def snapshot(self) -> object:
        with self.state.lock:
            held = [
                (
                    repository.full_name,
                    one.name,
                    one.policy,
                    sorted(one.branches.values()),
                    one.wait_timer,
                    _values(one),
                )
                for repository in self.state.repositories.values()
                for one in repository.environments.values()
            ]
            return super().snapshot(), str(sorted(held, key=str))

    def occupy(self, image: str, owner: str | None) -> None:
        super().occupy(image, owner)
        now, number = self.state.clock.now(), self.state.next_id()
        made = Environment(number, "registry", now, now, "custom", {number: ("branch", "main")})
        made.secrets["DOCKER_PASSWORD"] = StoredSecret("DOCKER_PASSWORD", "stored-by-hand", now, now)
        made.variables["CHANNEL"] = Variable("CHANNEL", "stable", now, now)
        self.state.repository(f"example-org/{image}").environments["registry"] = made

    def drift(self, image: str) -> None:
        super().drift(image)
        made = self.state.repository(f"example-org/{image}").environments.get("registry")
        if made is not None:
            made.policy, made.wait_timer, made.variables["CHANNEL"].value = "protected", 5, "nightly"

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        return self._without("administration", "environments")


def _values(held: Environment) -> object:
    return [sorted((one.name, one.value) for one in kind.values()) for kind in (held.secrets, held.variables)]


def _bearer(tokens: TokenService, grant: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.sign('', [grant])}"}
