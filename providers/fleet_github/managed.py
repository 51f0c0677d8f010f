"""The files that fleet keeps up to date in a repository: one commit, which starts a build only where one is needed."""

from __future__ import annotations

from typing import Any

from fleet.provider import CommitRequest, Conflict, Context, ProviderError
from fleet_github.client import Client
from fleet_github.content import SKIP_CI
from fleet_github.files import read_files, write_commit
from fleet_github.specs import ManagedFiles

MANAGED_MESSAGE = "Update the files that fleet manages"

RACES = 5
"""How often a commit is tried on a branch that moves between reading and committing."""


def write_managed(client: Client, context: Context, repository: str, wanted: ManagedFiles) -> dict[str, Any]:
    """The managed files in one commit, if any differs; the receipt names the commit, and whether it starts a build."""
    contents = {path: context.blob(oid) for path, oid in wanted.files.items()}
    for _ in range(RACES):
        found = read_files(client, repository, None, list(contents))
        differing = {path: data for path, data in contents.items() if found.contents.get(path) != data}
        if not differing:
            return {"commit": found.head, "builds": False, "files": dict(wanted.files)}
        builds = any(matters(found.contents.get(path), data) for path, data in differing.items())
        headline = MANAGED_MESSAGE if builds else f"{MANAGED_MESSAGE} {SKIP_CI}"
        message = f"{headline}\n\nFleet: {context.fleet}\n"
        try:
            commit = write_commit(client, CommitRequest(repository, found.branch, found.head, differing, message))
        except Conflict:
            continue
        return {"commit": commit, "builds": builds, "files": dict(wanted.files)}
    raise ProviderError(f"{repository}: its branch moved each of the {RACES} times that fleet committed")


def matters(old: bytes | None, new: bytes) -> bool:
    """Whether a build comes out otherwise: another pin of an action or another comment changes no image."""
    return old is None or _essence(old) != _essence(new)


def _essence(data: bytes) -> list[bytes]:
    lines = (line.split(b" #")[0].rstrip() for line in data.splitlines())
    return [line.partition(b"@")[0] if b"uses:" in line else line for line in lines if line and line[:1] != b"#"]
