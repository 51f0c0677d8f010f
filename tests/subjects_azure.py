"""ghcr.io, Docker Hub and Azure's registry as the contract suite must be told of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from fleet.sandbox.dockerhub import DockerHub
from fleet.sandbox.ghcr import Ghcr
from fleet.sandbox.github.state import State
from fleet.sandbox.token import TokenService, new_key
from fleet.testing import Subject
from tests.images import Image, push

_key = cache(new_key)
"""One for all services of a process, because every case starts one."""


class GhcrSubject(Subject):
    """A ghcr.io beside a GitHub with one organisation, read with a classic token; builds push with their run's own."""

    type = "ghcr"
    environment: ClassVar[Mapping[str, str]] = {"GHCR_TOKEN": "ghp_canary-classic-token"}
    without: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("login", "disarm", "neighbour"), "builds push with the token of their own run")
    }
    scopes = ("read:packages",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = State(folder / "github")
        self.state.create_user("ada")
        self.state.create_organization("example-org", admins=["ada"])
        token = self.state.tokens.pop(self.state.create_token("ada", scopes=self.scopes))
        self.state.tokens["ghp_canary-classic-token"] = self.known = token
        self.ghcr = Ghcr(self.state, key=_key())
        self.service = self.ghcr

    def close(self) -> None:
        self.state.close()

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"owner": "Example-Org", "url": url, "auth": {"token": {"env": "GHCR_TOKEN"}}}

    def snapshot(self) -> object:
        return str([self.ghcr.registry.repositories, self.ghcr.packages])

    def expire(self) -> None:
        self.state.tokens.clear()

    def renew(self) -> None:
        self.state.tokens["ghp_canary-classic-token"] = self.known

    def publish(self, name: str, tag: str) -> str:
        return _publish(self.ghcr.tokens, name, tag)


class OwnLoginGhcrSubject(GhcrSubject):
    """The same with an operator's own login for pushing: a classic token that may write packages."""

    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}
    scopes = ("write:packages",)

    def entry(self, url: str) -> Mapping[str, Any]:
        push = {"username": "ada", "password": {"env": "GHCR_TOKEN"}}
        return {"owner": "Example-Org", "url": url, "push": push}

    def disarm(self, image: str) -> None:
        self.state.account("example-org").members.clear()


class DockerHubSubject(Subject):
    """A Docker Hub where `ada` may push to one namespace."""

    type = "dockerhub"
    environment: ClassVar[Mapping[str, str]] = {"HUB_TOKEN": "dckr_pat_canary"}
    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hub = DockerHub(key=_key())
        self.renew()
        self.hub.namespaces["team"] = {"ada"}
        self.service = self.hub

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"namespace": "team", "url": url, "push": {"username": "ada", "password": {"env": "HUB_TOKEN"}}}

    def snapshot(self) -> object:
        return str(self.hub.registry.repositories)

    def expire(self) -> None:
        self.hub.users["ada"] = "another"

    def renew(self) -> None:
        self.hub.users["ada"] = "dckr_pat_canary"

    def publish(self, name: str, tag: str) -> str:
        return _publish(self.hub.tokens, name, tag)

    def disarm(self, image: str) -> None:
        self.hub.namespaces["team"].clear()


def _publish(tokens: TokenService, name: str, tag: str) -> str:
    host, _, path = name.partition("/")
    token = tokens.sign("", [{"type": "repository", "name": path, "actions": ["pull", "push"]}])
    return push(f"http://{host}/v2/{path}", Image(), tag, headers={"authorization": f"Bearer {token}"})
