"""A configurator for sandbox hubs, written by us after the behaviour of jupyterhub-configurator.

The original is on no package index, so this one keeps its manners, the bad ones above all, because fleet must cope with
them: `GET config` needs no login; `POST config` needs an admin, takes any JSON, checks nothing, replaces everything and
answers with an empty 200; `GET schema` needs an admin.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

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


def make_application(data: Path, prefix: str) -> Any:
    """The service as a tornado application; `prefix` is where the hub's proxy serves it."""
    from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
    from tornado import web

    class Handler(HubOAuthenticated, web.RequestHandler):  # type: ignore[misc]
        def require_admin(self) -> None:
            if not self.current_user["admin"]:
                raise web.HTTPError(403)

    class Config(Handler):
        def get(self) -> None:
            self.set_header("content-type", "application/json")
            self.write(data.read_bytes() if data.exists() else b"{}")

        @web.authenticated
        def post(self) -> None:
            self.require_admin()
            document = json.loads(self.request.body)
            beside = data.with_suffix(".new")
            beside.write_text(json.dumps(document), encoding="utf-8")
            beside.replace(data)

    class Schema(Handler):
        @web.authenticated
        def get(self) -> None:
            self.require_admin()
            self.write({"type": "object", "properties": FIELDS})

    routes = [
        (f"{prefix}config", Config),
        (f"{prefix}schema", Schema),
        (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
    ]
    return web.Application(routes, cookie_secret=secrets.token_bytes(32))


def main(port: int) -> None:
    """Serve on loopback until stopped; the hub's environment says who may do what."""
    from tornado.ioloop import IOLoop

    make_application(Path(DATA), os.environ["JUPYTERHUB_SERVICE_PREFIX"]).listen(port, "127.0.0.1")
    IOLoop.current().start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
