"""GitHub as the contract suite must be told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from fleet.proposal import Text
from fleet.provider import Verdict
from fleet.sandbox.github import Limits, State
from fleet.sandbox.github.model import EVERYTHING, Account
from fleet.sandbox.github.model_actions import Environment, OrganizationSecret, OrganizationVariable, Variable
from fleet.sandbox.github.model_actions import Secret as StoredSecret
from fleet.sandbox.github.model_pulls import Comment, Pull
from fleet.sandbox.github.objects import read_commit, walk
from fleet.sandbox.github.pulls import propose_from_fork
from fleet.sandbox.github.pushes import commit_files
from fleet.sandbox.github.service import GitHub
from fleet.sandbox.http import Request, Response
from fleet.sandbox.push import Registries
from fleet.sandbox.registry import TOKEN_PATH
from fleet.testing import FLEET, NAME, CodeHostSubject, SeenProposal
from tests.subjects.common import NO_REGISTRY, OF_ISSUERS, OF_REGISTRIES, OF_TRANSPORT, SAME_CLIENT, VARIANT, Row
from tests.subjects.oci import OciSubject


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
        self.token = state.create_token("ada", {**EVERYTHING, "checks": "write"})  # which Apps have beside it all
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

    @property
    def _pulls(self) -> Mapping[int, Pull]:
        return self.state.repository(self.repository).pulls

    def proposals(self) -> list[SeenProposal]:
        with self.state.lock:
            return [self._seen(pull) for pull in self._pulls.values()]

    def _seen(self, pull: Pull) -> SeenProposal:
        files = self._files(read_commit(self.state.store, pull.head_sha).tree)
        changed = {path: data for path, data in files.items() if self.history()[-1].get(path) != data}
        text = Text(pull.title, pull.body or "")
        return SeenProposal(pull.number, pull.head, pull.head_sha, text, changed, pull.state == "open")

    def propose_elsewhere(self, branch: str, files: Mapping[str, bytes]) -> None:
        with self.state.lock:
            mallory = self.state.create_user("mallory")
            texts = {path: data.decode() for path, data in files.items()}
            propose_from_fork(self.state, self.state.repository(self.repository), mallory, texts).head = branch

    def say(self, number: int, text: str) -> None:
        with self.state.lock:
            stranger, now = self.state.create_user("stranger"), self.state.clock.now()
            self._pulls[number].comments.append(Comment(self.state.next_id(), stranger, text, now, now))

    def remarks(self, number: int) -> list[str]:
        with self.state.lock:
            return [comment.body for comment in self._pulls[number].comments]

    def verdicts(self, commit: str) -> list[Verdict]:
        with self.state.lock:
            checks = [one for one in self.state.repository(self.repository).checks if one.sha == commit]
            return [Verdict(one.name, one.conclusion, one.title, one.summary, one.details_url or "") for one in checks]

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
    without: ClassVar[Mapping[str, str]] = VARIANT
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


class OrganizationGitHubSubject(GitHubSubject):
    """The same for images that share a secret and a variable, which their organisation keeps."""

    without: ClassVar[Mapping[str, str]] = VARIANT
    credentials = frozenset({"organization-secret", "selected-secret", "organization-variable", "selected-variable"})
    reads_per_image = 1

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        found = super().document(url, images)
        for image in found["images"].values():
            shared = {"organization": "example-org", "shared": True}
            image |= {"secrets": shared, "variables": {"CHANNEL": "stable"}}
        return found

    @property
    def organization(self) -> Account:
        return self.state.account("example-org")

    def _kept(self) -> list[OrganizationSecret | OrganizationVariable]:
        return [*self.organization.secrets.values(), *self.organization.variables.values()]

    def snapshot(self) -> object:
        with self.state.lock:
            held = [
                (
                    one.name,
                    one.value,
                    one.visibility,
                    sorted(self.state.repositories[number].name for number in one.selected),
                )
                for one in self._kept()
            ]
            return super().snapshot(), str(sorted(held))

    def occupy(self, image: str, owner: str | None) -> None:
        super().occupy(image, owner)
        number = self.state.repository(f"example-org/{image}").id
        for one in self._kept():
            one.selected.add(number)

    def drift(self, image: str) -> None:
        super().drift(image)
        for one in self._kept():
            one.visibility, one.updated_at = "all", one.updated_at + timedelta(seconds=1)
        for variable in self.organization.variables.values():
            variable.value = "nightly"

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        return self._without("administration", "organization_secrets", "organization_actions_variables")


def _values(held: Environment) -> object:
    return [sorted((one.name, one.value) for one in kind.values()) for kind in (held.secrets, held.variables)]


_NO_REGISTRY = {NO_REGISTRY: sorted([*OF_REGISTRIES, *OF_ISSUERS])}

ROWS: Mapping[str, Row] = {
    "github": Row(GitHubSubject, _NO_REGISTRY),
    "github with an environment": Row(EnvironmentGitHubSubject, {**_NO_REGISTRY, SAME_CLIENT: OF_TRANSPORT}),
    "github with an organization": Row(OrganizationGitHubSubject, {**_NO_REGISTRY, SAME_CLIENT: OF_TRANSPORT}),
}
