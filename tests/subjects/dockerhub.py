"""Docker Hub as the contract suite must be told of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fleet.sandbox.dockerhub import DockerHub
from fleet.testing import Subject
from tests.subjects.common import (
    MAKES_NOTHING,
    NO_CODE_HOST,
    NOT_ONCE,
    OF_CODE_HOSTS,
    OF_ISSUERS,
    OF_THINGS,
    Row,
    key,
    publish,
)


class DockerHubSubject(Subject):
    """A Docker Hub where `ada` may push to one namespace."""

    type = "dockerhub"
    environment: ClassVar[Mapping[str, str]] = {"HUB_TOKEN": "dckr_pat_canary"}
    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hub = DockerHub(key=key())
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
        return publish(self.hub.tokens, name, tag)

    def disarm(self, image: str) -> None:
        self.hub.namespaces["team"].clear()


ROWS: Mapping[str, Row] = {
    "dockerhub": Row(DockerHubSubject, {NO_CODE_HOST: OF_CODE_HOSTS, MAKES_NOTHING: OF_THINGS, NOT_ONCE: OF_ISSUERS}),
}
