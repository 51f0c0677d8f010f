"""The process behind `fleet sandbox up`: serves the sandbox's services until it is told to stop.

It holds everything in memory and in its folder, and nothing outlives it but what others were given: the values
repository and fleet's own state.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from fleet.sandbox import example, registries
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.hub.proxy import proxy_command
from fleet.sandbox.hub.serving import SandboxHub, serve_hub
from fleet.sandbox.hub.settings import HubSettings, Node
from fleet.sandbox.push import Login, Pusher, Registries, build
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.sandbox.registries import Served
from fleet.sandbox.store import replace_text

READY = "ready.json"
"""Written into the folder once everything answers: the process and the addresses."""

FLEET_FILE, ENVIRONMENT = "fleet.yaml", "environment"
"""For a registry that is no Quay, in the folder: the example's fleet file, and what a shell is to `source` for it."""

ORGANIZATION, OPERATOR = "example-org", "ada"
"""Who owns the source repositories on the sandbox's GitHub, and who administers them and the hubs."""

_STEWARD = "the-steward"
"""The token of whoever publishes the upstream images; only this process uses it."""


@dataclass(frozen=True, slots=True)
class World:
    """The services of the example while they are served."""

    quay: RunningQuay
    github: Sandbox
    registry: Served | None
    hubs: Mapping[str, SandboxHub]


@contextmanager
def serve(folder: Path, port: int, name: str = registries.QUAY) -> Iterator[World]:
    """Serve the example's world on the ports from `port` on: five, and one more where its images' registry is no Quay.

    Its files and secrets lie in `folder`, and so does its fleet.yaml for a registry of another `name`.
    """
    with ExitStack() as running:
        quay = running.enter_context(serve_quay(port=port))
        registry = _serve_registry(folder, port, name, running)
        github = running.enter_context(
            serve_github(
                folder / "github",
                port + example.GITHUB_PORT,
                registries=registry.addresses if registry else None,
                services=registry.services if registry else None,
            )
        )
        if registry is not None:
            registry.trust(github.issuer)
        _publish_upstream(quay)
        replace_text(folder / "quay-token", f"{quay.token}\n")
        _open_github(github, folder)
        infrastructure = folder / "infrastructure"
        example.make_infrastructure(infrastructure, port)
        node = Node(registries=registry.addresses, pulls=registry.pulls) if registry else Node()
        yield World(quay, github, registry, _start_hubs(folder, example.hubs(infrastructure, port, node), running))


def main() -> None:
    """Serve the sandbox in a folder until told to stop, as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("registry")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder: Path = options.folder.absolute()
    with serve(folder, options.port, options.registry) as world:
        ready = {
            "process": os.getpid(),
            "registry": options.registry,
            "services": {
                "Quay": world.quay.url,
                "GitHub": world.github.url,
                **_other(options.registry, world.registry),
            },
            "hubs": {name: hub.url for name, hub in world.hubs.items()},
        }
        replace_text(folder / READY, json.dumps(ready) + "\n")
        stop.wait()
        (folder / READY).unlink(missing_ok=True)


def _serve_registry(folder: Path, port: int, name: str, running: ExitStack) -> Served | None:
    """The registry that is no Quay, its fleet.yaml, and what fleet must find in its environment."""
    found = registries.load(name)
    if found is None:
        return None
    served = running.enter_context(found.serve(folder, port + example.REGISTRY_PORT))
    replace_text(folder / FLEET_FILE, example.fleet_file_with(name, served.entry, port))
    exports = [f"export {variable}={shlex.quote(value)}\n" for variable, value in served.environment.items()]
    replace_text(folder / ENVIRONMENT, "".join(exports))
    return served


def _other(name: str, served: Served | None) -> Mapping[str, str]:
    """The registry that is no Quay, by what it is called."""
    found = registries.load(name)
    return {found.title: served.url} if found and served else {}


def _start_hubs(folder: Path, settings: Mapping[str, HubSettings], running: ExitStack) -> Mapping[str, SandboxHub]:
    """All at once: each takes some seconds, most of them spent waiting. One that does not start stops the others."""
    cache = Path(os.environ.get("FLEET_CACHE") or ".cache")
    proxy_command(cache.absolute())  # installed once, before three hubs want it
    with ThreadPoolExecutor() as pool:
        starting = {name: pool.submit(serve_hub, folder / "hubs" / name, hub, cache) for name, hub in settings.items()}
    hubs = {name: running.enter_context(hub.result()) for name, hub in starting.items() if not hub.exception()}
    for name, hub in starting.items():
        if hub.exception():
            raise RuntimeError(f"the hub {name}: {hub.exception()}")
        replace_text(folder / "hubs" / f"{name}-token", f"{hubs[name].token}\n")
        replace_text(folder / "hubs" / f"{name}-password", f"{hubs[name].password}\n")
    return hubs


def _open_github(github: Sandbox, folder: Path) -> None:
    """An organisation without repositories, the operator's token, and the same as a git credential."""
    github.state.create_user(OPERATOR, "Ada Lovelace")
    github.state.create_organization(ORGANIZATION, admins=[OPERATOR])
    token = github.state.create_token(OPERATOR)
    replace_text(folder / "github-token", f"{token}\n")
    replace_text(folder / "git-credentials", github.url.replace("://", f"://{OPERATOR}:{token}@") + "\n")


def _publish_upstream(quay: RunningQuay) -> None:
    for organization in {name.partition("/")[0] for name in example.UPSTREAM}:
        quay.state.organization(organization)
    quay.state.token(*{name.partition("/")[0] for name in example.UPSTREAM}, value=_STEWARD)
    login = Login("$oauthtoken", _STEWARD)
    with (
        httpx.Client(base_url=f"{quay.url}/api/v1", headers={"authorization": f"Bearer {_STEWARD}"}) as api,
        Pusher(Registries(), quay.registry_host, login) as pusher,
    ):
        for name, tags in example.UPSTREAM.items():
            namespace, _, repository = name.partition("/")
            described = {"namespace": namespace, "repository": repository, "visibility": "public", "description": ""}
            api.post("/repository", json=described).raise_for_status()
            for number, tag in enumerate(tags):
                files = {"/srv/repo/environment.yml": f"# {name}:{tag}\n".encode()}
                pusher.push(name, build(files, {"repo2docker.ref": tag}, f"2026-0{number + 1}-01T00:00:00Z"), [tag])


if __name__ == "__main__":
    main()
