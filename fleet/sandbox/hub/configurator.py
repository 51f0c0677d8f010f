"""A configurator for sandbox hubs, written by us after the behaviour of jupyterhub-configurator.

The original is on no package index, so this one keeps its manners, the bad ones above all, because fleet must cope with
them: `GET config` needs no login; `POST config` needs an admin, takes any JSON, checks nothing, replaces everything and
answers with an empty 200; `GET schema` needs an admin; who is not logged in is sent to the hub's login.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from fleet.sandbox.http import Loopback, Request, Response
from fleet.sandbox.hub.settings import SERVICE

FIELDS: dict[str, dict[str, Any]] = {
    "z2jh.image": {
        "type": "string",
        "traitlet": "KubeSpawner.image",
        "title": "User image",
        "description": "The image that servers start with; empty for the hub's own default.",
    },
    "z2jh.default_interface": {
        "type": "string",
        "traitlet": "Spawner.default_url",
        "title": "Default interface",
        "description": "Where users land.",
        "enum": ["/tree", "/lab", "/rstudio"],
        "default": "/lab",
    },
}
"""The settings that a hub takes from here, and the trait of the spawner that each sets."""

DATA = "configurator_data.json"
"""The file in which the settings lie, in the folder that the service is started in."""

PREFIX = f"/services/{SERVICE}"

Identify = Callable[[str], dict[str, Any] | None]
"""Who bears a token, as the hub describes them (`admin`, `scopes`); None where nobody does."""


class Configurator:
    """The service; its settings lie in the file `data`."""

    def __init__(self, data: Path, identify: Identify) -> None:
        self.data = data
        self.fields = FIELDS
        self._identify = identify
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Answer one request below `/services/configurator/`."""
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "/config":
                return Response(200, self._read(), {"content-type": "application/json"})
            case "POST", "/config":
                return self._refusal(request) or self._replace(request.body)
            case "GET", "/schema":
                schema = {"type": "object", "properties": self.fields}
                return self._refusal(request) or Response.of_json(schema)
        return Response(404)

    def _read(self) -> bytes:
        with self._lock:
            return self.data.read_bytes() if self.data.exists() else b"{}"

    def _replace(self, body: bytes) -> Response:
        try:
            document = json.loads(body)
        except ValueError:
            return Response(500)
        with self._lock:
            self.data.write_text(json.dumps(document), encoding="utf-8")
        return Response(200, b"", {"content-type": "text/html; charset=UTF-8"})

    def _refusal(self, request: Request) -> Response | None:
        """Why the request is not answered, None where it comes from an admin who may access this service."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        who = self._identify(token) if token else None
        if who is None:
            if request.method == "GET":
                return Response(302, b"", {"location": f"/hub/api/oauth2/authorize?client_id=service-{SERVICE}"})
            return Response(403)
        may_access = {"access:services", f"access:services!service={SERVICE}"} & set(who["scopes"])
        return None if who.get("admin") and may_access else Response(403)


def ask_hub(api: str) -> Identify:
    """Identifies by the hub's API: a token is described to who shows it."""
    client = httpx.Client(trust_env=False)

    def identify(token: str) -> dict[str, Any] | None:
        answer = client.get(f"{api}/user", headers={"authorization": f"token {token}"})
        return dict(answer.json()) if answer.status_code == 200 else None

    return identify


def main(port: int) -> None:
    """Serve on loopback until killed."""
    with Loopback(Configurator(Path(DATA), ask_hub(os.environ["JUPYTERHUB_API_URL"])), port):
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
