"""Any OCI registry as the contract suite must be told of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
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


class OciSubject(Subject):
    """A registry where `ada` may pull and push."""

    type = "oci"
    environment: ClassVar[Mapping[str, str]] = {"ADAS_PASSWORD": "canary-adas-password"}
    without: ClassVar[Mapping[str, str]] = {"neighbour": "an operator's own login may do more, and fleet says nothing"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens = TokenService(self._authenticate, key=key())
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
        return publish(self.tokens, name, tag)

    def disarm(self, image: str) -> None:
        self.actions = frozenset({"pull"})


ROWS: Mapping[str, Row] = {
    "oci": Row(OciSubject, {NO_CODE_HOST: OF_CODE_HOSTS, MAKES_NOTHING: OF_THINGS, NOT_ONCE: OF_ISSUERS}),
}
