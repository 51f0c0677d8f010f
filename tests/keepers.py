"""What keeps a fleet's state, for tests: a folder, a branch of a local repository, and a branch on GitHub."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleet.config import load
from fleet.pace import Pace
from fleet.sandbox.github import Limits, Sandbox, serve_github
from fleet.sandbox.github.objects import find, history, read_commit
from fleet.services import Workshop
from fleet.state_branch import LEASE
from fleet.state_place import open_git_store, open_store
from fleet.store import Store
from tests.github_judge import Judge
from tests.little_fleet import git

FLEET = "example-org/fleet"
BRANCH = "fleet-state"


@dataclass(slots=True)
class Impatient:
    """A clock whose waits are over soon."""

    waited: float = 0.0

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic() + self.waited

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        """Give the others a moment."""
        interrupt.wait(min(seconds, 0.02))
        self.waited += seconds


class Keeper(ABC):
    """One place of state; each `open` is that of a run on a machine of its own, as far as the place allows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def runner(self) -> Path:
        """The folder of a new runner, with nothing but fleet.yaml in it."""
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix="runner-"))
        (folder / "fleet.yaml").write_text(json.dumps({"version": 1, "name": "example", **self.document()}))
        return folder

    def workshop(self) -> Workshop:
        """The providers of a new run."""
        loaded = load(self.runner() / "fleet.yaml")
        return Workshop(loaded.fleet, loaded.source.folder, Pace(clock=Impatient()), source=loaded.source)

    def open(self) -> Store:
        """The store, as a new run opens it."""
        return open_store(self.workshop())

    @abstractmethod
    def document(self) -> Mapping[str, Any]:
        """What fleet.yaml says of state."""

    @abstractmethod
    def outlive(self) -> None:
        """A run has been killed; let so much time pass that its lock is nobody's."""


class FolderKeeper(Keeper):
    """A folder of the local disk."""

    def document(self) -> Mapping[str, Any]:
        return {"state": str(self.folder / "state")}

    def outlive(self) -> None:
        """The kernel has given the lock back."""


class LocalKeeper(Keeper):
    """A branch of a bare repository on the local disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.repository = folder / "fleet.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.repository))

    def document(self) -> Mapping[str, Any]:
        return {"state": {"git": {"repository": str(self.repository)}}}

    def outlive(self) -> None:
        """The machine's clock is the host's, and goes on for nobody: so the lease is made to end in the past."""
        store = open_git_store(self.workshop())
        desk = store._desk
        branch = desk.read()
        lease = json.loads(branch.contents[LEASE]) | {"expires": "2001-01-01T00:00:00Z"}
        desk.swap(branch.head, {LEASE: json.dumps(lease).encode()}, "Time passes")


class GitHubKeeper(Keeper):
    """A branch on GitHub, every exchange judged by GitHub's published descriptions."""

    def __init__(self, folder: Path, github: Sandbox) -> None:
        super().__init__(folder)
        self.github = github
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        github.state.create_repository(FLEET, {"fleet.yaml": "version: 1\nname: example\n"})
        self.token = github.state.create_token("ada", {"contents": "write"})
        (folder / "token").write_text(self.token)

    def document(self) -> Mapping[str, Any]:
        token = {"file": str(self.folder / "token")}
        return {
            "state": {"git": {"repository": FLEET}},
            "code_hosts": {"github": {"type": "github", "base_url": self.github.url, "auth": {"token": token}}},
        }

    def outlive(self) -> None:
        self.github.state.clock.advance(310)

    @property
    def head(self) -> str | None:
        """Where the branch stands."""
        return self.github.state.repository(FLEET).refs.get(f"refs/heads/{BRANCH}")

    def text(self, path: str) -> str | None:
        """A file on the branch."""
        assert self.head is not None
        store = self.github.state.store
        entry = find(store, read_commit(store, self.head).tree, path)
        found = store.read(entry.oid) if entry else None
        return found.data.decode() if found else None

    def messages(self) -> list[str]:
        """The branch's commit messages, the first one first."""
        assert self.head is not None
        return [commit.message for _, commit in history(self.github.state.store, self.head)][::-1]


@contextmanager
def keeper_of(kind: str, folder: Path) -> Iterator[Keeper]:
    """A keeper that holds nothing yet."""
    if kind != "github":
        yield FolderKeeper(folder) if kind == "folder" else LocalKeeper(folder)
        return
    limits = replace(Limits(), content_per_minute=None, content_per_hour=None, graphql_points_per_minute=None)
    with serve_github(folder / "github", limits=limits) as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        yield GitHubKeeper(folder, github)
    assert judge.disagreements == []
