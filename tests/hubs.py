"""A hub of the sandbox for tests: real processes, so each module that needs one starts it once and shares it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.sandbox.example import git
from fleet.sandbox.hub.serving import SandboxHub, serve_hub
from fleet.sandbox.hub.settings import HubSettings

CACHE = Path(os.environ.get("FLEET_CACHE") or Path(__file__).parents[1] / ".cache")


@contextmanager
def running(folder: Path, settings: HubSettings) -> Iterator[SandboxHub]:
    """A hub while it is needed."""
    with serve_hub(folder, settings, CACHE) as hub:
        yield hub


def commit(folder: Path, name: str, text: str) -> None:
    """Commit one file to the repository in a folder, which is made when there is none."""
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "config", "user.name", "An Operator")
        git(folder, "config", "user.email", "operator@example.org")
    (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message=An edit")
