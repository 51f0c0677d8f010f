"""Starts and stops the sandbox for a person, and visits its hubs: `fleet sandbox up`, `down`, `status` and `visit`."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import FleetError
from fleet.sandbox import example, registries
from fleet.sandbox.hub.client import CodeFailed, Event, HubClient, SpawnFailed
from fleet.sandbox.serving import ENVIRONMENT, OPERATOR, READY

FOLDER = Path(example.FOLDER)
"""Where the sandbox keeps everything."""

PATIENCE = 180.0
"""Seconds within which the sandbox answers, or something is wrong; the first time its hubs' proxy is installed."""

LOG = "sandbox.log"
"""What the sandbox says; also how its folder is known."""

_IMAGE = "import os; print(os.environ['JUPYTER_IMAGE'])"
"""What a kernel is asked: KubeSpawner tells every server its image so."""


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers: its process, the registry of its images, and where services and hubs are, by name."""

    process: int
    registry: str
    services: Mapping[str, str]
    hubs: Mapping[str, str]


def up(folder: Path, port: int, registry: str | None = None) -> Running:
    """Start the sandbox afresh unless it is up, with an example fleet.yaml where there is none.

    Its images live in the Quay, or in another `registry`: then its fleet.yaml lies in the folder. Raises UsageError for
    a registry that there is not, FleetError where the sandbox is up with another one.
    """
    registries.load(registry or registries.QUAY)
    found = status(folder) or _start(folder, port, registry or registries.QUAY)
    if registry not in (None, found.registry):
        raise FleetError(f"the sandbox is up with its images in {found.registry}; stop it first: fleet sandbox down")
    if found.registry == registries.QUAY and not Path("fleet.yaml").exists():
        Path("fleet.yaml").write_text(example.fleet_file(port), encoding="utf-8")
    return found


def environment(folder: Path) -> Mapping[str, str]:
    """What fleet must find in its environment there, beside what its files hold."""
    if status(folder) is None:
        return {}
    try:
        words = shlex.split((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    pairs = (word.partition("=") for word in words if word != "export")
    return {name: value for name, _, value in pairs}


def down(folder: Path) -> bool:
    """Stop the sandbox and wait until it has ended; False when it was not up. Its folder stays to be looked at."""
    running = status(folder)
    if running is None:
        return False
    os.kill(running.process, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while _is_alive(running.process):
        if time.monotonic() > deadline:
            raise FleetError(f"the sandbox (process {running.process}) does not end; see {folder / LOG}")
        time.sleep(0.05)
    return True


def status(folder: Path) -> Running | None:
    """The sandbox of a folder, when it is up."""
    try:
        document = json.loads((folder / READY).read_text(encoding="utf-8"))
        running = Running(**document)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if _is_alive(running.process) else None


def running(folder: Path) -> Running:
    """The sandbox of a folder; raises FleetError when it is not up."""
    found = status(folder)
    if found is None:
        raise FleetError("the sandbox is not up; start it with: fleet sandbox up")
    return found


def visit(folder: Path, hub: str, choice: str | None, told: Callable[[Event], None]) -> str:
    """Start a server anew as a user of a hub would, and return the image that a kernel in it sees.

    `choice` is one of the hub's profiles' option `image`. The server goes on running. Raises FleetError with the hub's
    own reason where no server starts.
    """
    hubs = running(folder).hubs
    if hub not in hubs:
        raise FleetError(f"the sandbox has no hub {hub!r}; it has {', '.join(hubs)}")
    client = HubClient(hubs[hub], (folder / "hubs" / f"{hub}-token").read_text(encoding="utf-8").strip())
    try:
        if client.is_running(OPERATOR):
            client.stop(OPERATOR)
        client.start(OPERATOR, options_of(choice), told)
        return client.run(OPERATOR, _IMAGE).strip()
    except (SpawnFailed, CodeFailed) as error:
        raise FleetError(f"{hub}: {error}") from error


def options_of(choice: str | None) -> Mapping[str, str]:
    """What a user of an example's hub chooses: a hub that is told nothing starts what the user had the last time."""
    return {"profile": "standard", **({"image": choice} if choice else {})}


def _start(folder: Path, port: int, registry: str) -> Running:
    _make_afresh(folder)
    log = folder / LOG
    process = _spawn([sys.executable, "-m", "fleet.sandbox.serving", str(folder), str(port), registry], log)
    deadline = time.monotonic() + PATIENCE
    while (running := status(folder)) is None:
        if not _is_alive(process) or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            raise FleetError(f"the sandbox did not start: {_last_line(log)} (all of it: {log})")
        time.sleep(0.05)
    return running


def _make_afresh(folder: Path) -> None:
    """An empty folder; one that holds anything but an earlier sandbox is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / LOG).exists():
            raise FleetError(f"{folder} is no sandbox's folder and not empty; name another with -folder=DIR")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _spawn(command: list[str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # An authority that an earlier sandbox made is gone with it, and there is none to ask beyond loopback.
    environment = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _is_alive(process: int) -> bool:
    """Whether a process runs; one of our own that has ended is collected first."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process, os.WNOHANG)[0] == process:
            return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
