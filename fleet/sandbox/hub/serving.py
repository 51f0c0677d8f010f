"""Starts and stops sandbox hubs: each is one process group of the proxy, the hub and, if it has one, a configurator."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from fleet.sandbox.hub.client import HubClient
from fleet.sandbox.hub.proxy import proxy_command
from fleet.sandbox.hub.settings import QUICKLY, ConfiguratorService, HubSettings, Running
from fleet.sandbox.store import replace_text

START = 60.0
"""Seconds that a hub may take until it answers; it takes about four."""

TRIES = 3
"""A port that was free may be taken by the time that the hub wants it."""

STOP = 15.0
"""Seconds that a hub and its users' servers may take to end before they are killed."""

_CONFIG = Path(__file__).parent / "jupyterhub_config.py"


@dataclass(slots=True)
class SandboxHub:
    """A running hub; a context manager.

    `token` belongs to a service with every right of an admin; a user logs in with `password`, an admin with `token`.
    """

    running: Running
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where users find it."""
        return self.running.url

    @property
    def token(self) -> str:
        """A token of an admin service, and the password of the hub's admins."""
        return self.running.token

    @property
    def password(self) -> str:
        """The password of every user who is no admin."""
        return self.running.password

    @property
    def folder(self) -> Path:
        """Where its log files, its users' homes and the configurator's data lie."""
        return self.running.folder

    @property
    def client(self) -> HubClient:
        """Starts, uses and stops servers of its users."""
        return HubClient(self.url, self.token)

    @property
    def process_group(self) -> int:
        """The process group of all its processes."""
        return self._processes[0].pid

    def start(self, proxy: list[str]) -> None:
        """Start the processes and wait until the hub answers; raises RuntimeError with the end of its log."""
        running = self.running
        self._run("proxy", [*proxy, *_proxy_arguments(running)], {"CONFIGPROXY_AUTH_TOKEN": running.proxy_token})
        if isinstance(running.settings.image, ConfiguratorService):
            command = [*QUICKLY, "fleet.sandbox.hub.configurator", str(running.configurator_port)]
            self._run("configurator", command, {"JUPYTERHUB_API_URL": f"http://127.0.0.1:{running.hub_port}/hub/api"})
        file = str(running.folder / "hub.json")
        self._run("hub", [*QUICKLY, "jupyterhub", f"--config={_CONFIG}"], {"FLEET_SANDBOX_HUB": file})
        self._wait()

    def close(self) -> None:
        """Stop the hub, its users' servers, and what stands beside it."""
        group = self.process_group
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        ends = time.monotonic() + STOP
        for process in self._processes[::-1]:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, ends - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def __enter__(self) -> SandboxHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self.process_group if self._processes else 0,
            )
        self._processes.append(process)

    def _wait(self) -> None:
        """The hub is ready when the proxy knows the way to it."""
        ends = time.monotonic() + START
        routes = f"http://127.0.0.1:{self.running.proxy_port}/api/routes"
        headers = {"authorization": f"token {self.running.proxy_token}"}
        with httpx.Client(trust_env=False, headers=headers) as client:
            while time.monotonic() < ends and all(process.poll() is None for process in self._processes):
                with suppress(httpx.HTTPError):  # of another program's, where the port was taken in between
                    if "/" in client.get(routes).raise_for_status().json():
                        return
                time.sleep(0.05)
        self.close()
        logs = "\n".join(path.read_text(errors="replace")[-1000:] for path in sorted(self.folder.glob("*.log")))
        raise RuntimeError(f"the hub did not start:\n{logs}")


def serve_hub(folder: Path, settings: HubSettings, cache: Path | None = None) -> SandboxHub:
    """Start a hub that keeps its files in `folder`, and wait until it answers.

    The proxy is installed once below `cache` (`FLEET_CACHE`, else `.cache`). Raises RuntimeError when the hub does not
    start, InstallFailed when npm fails.
    """
    proxy = proxy_command((cache or Path(os.environ.get("FLEET_CACHE") or ".cache")).absolute())
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES - 1):
        with suppress(RuntimeError):
            return _start(folder, settings, proxy)
    return _start(folder, settings, proxy)


def _start(folder: Path, settings: HubSettings, proxy: list[str]) -> SandboxHub:
    ports = _free_ports(4)
    running = Running(
        settings=settings,
        folder=folder,
        port=settings.port or ports[0],
        proxy_port=ports[1],
        hub_port=ports[2],
        configurator_port=ports[3],
        token=secrets.token_hex(32),
        password=secrets.token_urlsafe(9),
        proxy_token=secrets.token_hex(32),
    )
    replace_text(folder / "hub.json", running.model_dump_json())
    hub = SandboxHub(running)
    hub.start(proxy)
    return hub


def _proxy_arguments(running: Running) -> list[str]:
    return [
        "--ip=127.0.0.1",
        f"--port={running.port}",
        "--api-ip=127.0.0.1",
        f"--api-port={running.proxy_port}",
        f"--error-target=http://127.0.0.1:{running.hub_port}/hub/error",
        "--log-level=warn",
    ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
