"""The process behind `fleet sandbox up`: serves the sandbox's services until it is told to stop.

What it holds lies in its folder, so that a sandbox that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx

from fleet.sandbox.push import Login, Pusher, Registries, build
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.sandbox.store import replace_text

READY = "ready.json"
"""Written into the folder once everything answers: the process and the addresses."""

UPSTREAM = {
    "climate/climate-image": ("9be04c1f77aa", "3f2a1b4c5d6e", "7d1c0e55ab42"),
    "pangeo/ml-notebook": ("2026.01.30", "2026.04.29"),
}
"""Images that somebody else built, and their tags."""

_STEWARD = "the-steward"
"""The token of whoever publishes the upstream images; only this process uses it."""


def main() -> None:
    """Serve the sandbox in a folder on a port, as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve_quay(options.folder / "quay", options.port) as quay:
        _publish_upstream(quay)
        _write_secret(options.folder / "quay-token", quay.token)
        ready: dict[str, Any] = {"process": os.getpid(), "quay": quay.url}
        replace_text(options.folder / READY, json.dumps(ready) + "\n")
        stop.wait()
    (options.folder / READY).unlink(missing_ok=True)


def _publish_upstream(quay: RunningQuay) -> None:
    for organization in {name.partition("/")[0] for name in UPSTREAM}:
        quay.state.organization(organization)
    quay.state.token(*{name.partition("/")[0] for name in UPSTREAM}, value=_STEWARD)
    login = Login("$oauthtoken", _STEWARD)
    with (
        httpx.Client(base_url=f"{quay.url}/api/v1", headers={"authorization": f"Bearer {_STEWARD}"}) as api,
        Pusher(Registries(), quay.registry_host, login) as pusher,
    ):
        for name, tags in UPSTREAM.items():
            if name in quay.state.repositories:
                continue
            namespace, _, repository = name.partition("/")
            described = {"namespace": namespace, "repository": repository, "visibility": "public", "description": ""}
            api.post("/repository", json=described).raise_for_status()
            for number, tag in enumerate(tags):
                files = {"/srv/repo/environment.yml": f"# {name}:{tag}\n".encode()}
                pusher.push(name, build(files, {"repo2docker.ref": tag}, f"2026-0{number + 1}-01T00:00:00Z"), [tag])


def _write_secret(path: Path, secret: str) -> None:
    """A file that only its owner can read; the sandbox's token opens nothing outside this machine."""
    path.touch(mode=0o600)
    path.write_text(secret + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
