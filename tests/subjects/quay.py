"""Quay as the contract suite must be told of it: a robot for each image, or an operator's own login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from fleet.sandbox.http import Response
from fleet.sandbox.quay import ALL_SCOPES, Quay, QuayState
from fleet.sandbox.token import TokenService
from fleet.testing import FLEET, Subject
from tests.subjects.common import (
    ISSUES_NOTHING,
    NO_CODE_HOST,
    OF_CODE_HOSTS,
    OF_ISSUERS,
    OF_TRANSPORT,
    SAME_CLIENT,
    VARIANT,
    Row,
    key,
    publish,
)

MARK = "managed by fleet "


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
        self.tokens = TokenService(self.state.rights, service="quay", key=key())
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
        return publish(self.tokens, name, tag)

    def disarm(self, image: str) -> None:
        self.state.repositories[f"example/{image}"]["permissions"][f"example+{image}"] = "read"


class OwnLoginQuaySubject(QuaySubject):
    """The same with an operator's own login for pushing, so that no robot is made."""

    environment: ClassVar[Mapping[str, str]] = {**QuaySubject.environment, "PUSH_PASSWORD": "canary-push-password"}
    without: ClassVar[Mapping[str, str]] = {
        **VARIANT,
        "neighbour": "an operator's own login may do more, and fleet says nothing",
        "issuer": ISSUES_NOTHING,
    }

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


ROWS: Mapping[str, Row] = {
    "quay": Row(QuaySubject, {NO_CODE_HOST: OF_CODE_HOSTS}),
    "quay with an own login": Row(
        OwnLoginQuaySubject, {NO_CODE_HOST: OF_CODE_HOSTS, ISSUES_NOTHING: OF_ISSUERS, SAME_CLIENT: OF_TRANSPORT}
    ),
}
