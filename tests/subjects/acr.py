"""Azure's registry as the contract suite must be told of it."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import trustme

from fleet.sandbox.acr import Acr
from fleet.sandbox.azure import RIGHTS, AzureState, Client
from fleet.sandbox.http import Request, Response
from fleet.testing import Subject
from tests.subjects.common import NO_CODE_HOST, OF_CODE_HOSTS, OF_ISSUERS, OF_THINGS, Row, key, publish

_authority = trustme.CA()
_folder = tempfile.TemporaryDirectory(prefix="fleet-authority-")
AUTHORITY = f"{_folder.name}/authority.pem"
"""The file of the authority that signs for 127.0.0.1 here: Azure's packages send no token over plain http."""
_authority.cert_pem.write_to_path(AUTHORITY)


@cache
def server_context() -> ssl.SSLContext:
    """What to serve https with on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


class AcrSubject(Subject):
    """An Azure registry, its Resource Manager and its Entra, with one application that may issue credentials."""

    type = "acr"
    environment: ClassVar[Mapping[str, str]] = {"AZURE_SECRET": "canary-client-secret", "SSL_CERT_FILE": AUTHORITY}
    credentials = frozenset({"token"})
    reads_per_image = 0
    throttled = Response(429, b'{"error": {"code": "TooManyRequests"}}', {"retry-after": "7"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = AzureState()
        self.state.clients["the-application"] = self.client = Client("canary-client-secret")
        self.acr = Acr(self.state, key=key())
        self.service, self.tls = self.acr, server_context()

    def writes(self, request: Request) -> bool:
        return super().writes(request) and "/oauth2/" not in request.path

    def entry(self, url: str) -> Mapping[str, Any]:
        secret = {"env": "AZURE_SECRET"}
        auth = {"tenant": "the-tenant", "client_id": "the-application", "client_secret": secret, "authority": url}
        where = {"subscription": self.state.subscription, "resource_group": "hubs"}
        return {"registry": "example", "url": url, "manager": url, "auth": auth, **where}

    def snapshot(self) -> object:
        with self.state.lock:
            tokens = {
                name: (held["scope_map"], held["status"], len(held["passwords"]))
                for name, held in self.state.tokens.items()
            }
            return str([sorted(tokens.items()), sorted(self.state.scope_maps.items()), self.acr.registry.repositories])

    def occupy(self, image: str, owner: str | None) -> None:
        name = f"fleet-{image}"
        actions = [f"repositories/{image}/{action}" for action in ("content/read", "content/write", "metadata/read")]
        description = f"managed by fleet {owner}" if owner else "made by hand"
        self.state.scope_maps[name] = {"description": description, "actions": actions}
        self.state.tokens[name] = {"scope_map": name, "status": "enabled", "passwords": {}}

    def drift(self, image: str) -> None:
        name = f"fleet-{image}"
        self.state.scope_maps[name]["actions"] = ["repositories/neighbour/content/write"]
        self.state.scope_maps["by-hand"] = {"description": "", "actions": []}
        self.state.tokens[name] |= {"scope_map": "by-hand", "status": "disabled"}

    def expire(self) -> None:
        self.client.expired = True

    def renew(self) -> None:
        self.client.expired = False

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        def without(right: str) -> Callable[[], None]:
            return lambda: self.client.rights.discard(right)

        needed = [right for right in RIGHTS if not right.endswith("delete")]
        return {right: without(right) for right in needed}

    def publish(self, name: str, tag: str) -> str:
        return publish(self.acr.tokens, name, tag, "https")

    def disarm(self, image: str) -> None:
        self.state.scope_maps[f"fleet-{image}"]["actions"] = [f"repositories/{image}/content/read"]


class OwnLoginAcrSubject(AcrSubject):
    """The same with an operator's own login for pushing, a token that somebody made by hand."""

    environment: ClassVar[Mapping[str, str]] = {"PUSH_PASSWORD": "canary-push-password", "SSL_CERT_FILE": AUTHORITY}
    without: ClassVar[Mapping[str, str]] = {
        "neighbour": "an operator's own login may do more, and fleet says nothing",
        **dict.fromkeys(("kinds", "issuer"), "with an own login it makes nothing"),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        both = [
            f"repositories/{image}/content/{word}" for image in ("image", "neighbour") for word in ("read", "write")
        ]
        self.state.scope_maps["by-hand"] = {"description": "", "actions": both}
        self.state.tokens["builder"] = {"scope_map": "by-hand", "status": "enabled", "passwords": {}}
        self.renew()

    def entry(self, url: str) -> Mapping[str, Any]:
        return {
            "registry": "example",
            "url": url,
            "push": {"username": "builder", "password": {"env": "PUSH_PASSWORD"}},
        }

    def expire(self) -> None:
        self.state.tokens["builder"]["passwords"].clear()

    def renew(self) -> None:
        self.state.tokens["builder"]["passwords"]["password1"] = {"value": "canary-push-password", "created": ""}

    def disarm(self, image: str) -> None:
        self.state.scope_maps["by-hand"]["actions"].clear()


ROWS: Mapping[str, Row] = {
    "acr": Row(AcrSubject, {NO_CODE_HOST: OF_CODE_HOSTS}),
    "acr with an own login": Row(
        OwnLoginAcrSubject,
        {NO_CODE_HOST: OF_CODE_HOSTS, "with an own login it makes nothing": sorted([*OF_THINGS, *OF_ISSUERS])},
    ),
}
