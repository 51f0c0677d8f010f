"""The example on Azure Container Registry: a token for each image, whose password is proved and stored sealed."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme

from fleet.sandbox.acr import AUDIENCE, EXCHANGE, NOBODY, Acr
from fleet.sandbox.azure import AzureState, Client
from fleet.sandbox.http import Loopback
from fleet.sandbox.registries import Example, Served
from fleet.sandbox.store import replace_text

_FLEET, _NODES = "the-fleet", "the-nodes"


@contextmanager
def _serve(folder: Path, port: int) -> Iterator[Served]:
    state = AzureState()
    secret = secrets.token_urlsafe(30)
    state.clients[_FLEET] = Client(secret)
    state.clients[_NODES] = Client(secrets.token_urlsafe(30), rights=set())
    replace_text(folder / "azure-secret", f"{secret}\n")
    authority = folder / "authority.pem"
    acr = Acr(state)
    # Azure's packages send no token over plain http; builds and hubs, which know no authority of ours, come in by it.
    with Loopback(acr, port, tls=_certified(authority)) as azure, Loopback(acr) as plain:
        login = {"tenant": state.tenant, "client_id": _FLEET, "authority": azure.url}
        yield Served(
            url=azure.url,
            entry={
                "type": "acr",
                "registry": state.registry,
                "namespace": "example",
                "subscription": state.subscription,
                "resource_group": state.group,
                "url": azure.url,
                "manager": azure.url,
                "auth": {**login, "client_secret": {"file": "azure-secret"}},
            },
            pulls={azure.host: (NOBODY, _node_password(plain.url, state))},
            environment={"SSL_CERT_FILE": str(authority)},
            addresses={azure.host: plain.url},
        )


def _certified(authority: Path) -> ssl.SSLContext:
    """A context that serves 127.0.0.1, and the file of the authority that vouches for it."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return context


def _node_password(url: str, state: AzureState) -> str:
    """What a node pulls with: its identity has the role AcrPull, and the registry takes its token for a password.

    https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
    """
    with httpx.Client(base_url=url, trust_env=False) as client:
        login = {"grant_type": "client_credentials", "scope": f"{AUDIENCE}/.default"}
        who = {"client_id": _NODES, "client_secret": state.clients[_NODES].secret}
        asked = client.post(f"/{state.tenant}/oauth2/v2.0/token", data={**login, **who}).raise_for_status().json()
        given = {"grant_type": "access_token", "service": state.registry, "access_token": asked["access_token"]}
        return str(client.post(EXCHANGE, data=given).raise_for_status().json()["refresh_token"])


EXAMPLE = Example(
    title="Azure Container Registry",
    makes="a token that pushes to one repository, its password (made, proved, sealed, shown once), workflows, a build, "
    "hubs.",
    serve=_serve,
)
"""`fleet sandbox up -registry=acr`."""
