"""GitHub's container registry as the contract suite must be told of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fleet.sandbox.ghcr import Ghcr
from fleet.sandbox.github.state import State
from fleet.testing import Subject
from tests.subjects.common import (
    MAKES_NOTHING,
    NO_CODE_HOST,
    NOT_ONCE,
    OF_CODE_HOSTS,
    OF_ISSUERS,
    OF_LOGINS,
    OF_THINGS,
    Row,
    key,
    publish,
)


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
        self.ghcr = Ghcr(self.state, key=key())
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
        return publish(self.ghcr.tokens, name, tag)


class OwnLoginGhcrSubject(GhcrSubject):
    """The same with an operator's own login for pushing: a classic token that may write packages."""

    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}
    scopes = ("write:packages",)

    def entry(self, url: str) -> Mapping[str, Any]:
        push = {"username": "ada", "password": {"env": "GHCR_TOKEN"}}
        return {"owner": "Example-Org", "url": url, "push": push}

    def disarm(self, image: str) -> None:
        self.state.account("example-org").members.clear()


ROWS: Mapping[str, Row] = {
    "ghcr": Row(
        GhcrSubject,
        {
            NO_CODE_HOST: OF_CODE_HOSTS,
            MAKES_NOTHING: OF_THINGS,
            "builds push with the token of their own run": OF_LOGINS,
            NOT_ONCE: OF_ISSUERS,
        },
    ),
    "ghcr with an own login": Row(
        OwnLoginGhcrSubject, {NO_CODE_HOST: OF_CODE_HOSTS, MAKES_NOTHING: OF_THINGS, NOT_ONCE: OF_ISSUERS}
    ),
}
