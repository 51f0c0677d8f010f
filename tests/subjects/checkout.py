"""A local git checkout as the contract suite must be told of it."""

from __future__ import annotations

import builtins
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from fleet import plugins
from fleet.provider import Provider
from fleet.services import CHECKOUT, Workshop
from fleet.testing import FLEET, CodeHostSubject
from tests.little_fleet import git
from tests.subjects.common import MAKES_NOTHING, NO_REGISTRY, OF_ISSUERS, OF_PROPOSALS, OF_REGISTRIES, OF_THINGS, Row

NO_PROPOSALS = "nobody proposes or judges anything on a local disk"


class CheckoutSubject(CodeHostSubject):
    """A git repository on the local disk."""

    type = "git"
    without: ClassVar[Mapping[str, str]] = {
        "service": "it works on the local disk",
        **dict.fromkeys(("proposals", "verdicts"), NO_PROPOSALS),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.top = folder / "infrastructure"
        self.top.mkdir()
        git(self.top, "init", "--quiet", "--initial-branch=main")
        git(self.top, "config", "user.name", "An Operator")
        git(self.top, "config", "user.email", "operator@example.org")
        self.commit(self.content)

    def open(self, workshop: Workshop) -> Provider:
        return workshop[CHECKOUT]

    @classmethod
    def provider(cls) -> builtins.type[Provider]:
        found = plugins.load_checkout()
        assert found is not None
        return found

    @property
    def repository(self) -> str:
        return "./infrastructure"

    def entry(self, url: str) -> Mapping[str, Any]:
        return {}

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        return {"version": 1, "name": FLEET}

    def commit(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_bytes(data)
        git(self.top, "add", ".")
        git(self.top, "commit", "--quiet", "--message=By hand")

    def history(self) -> list[Mapping[str, bytes]]:
        return [self._files(commit) for commit in git(self.top, "rev-list", "--reverse", "HEAD").split()]

    def _files(self, commit: str) -> Mapping[str, bytes]:
        paths = git(self.top, "ls-tree", "-r", "--name-only", commit).split()
        return {path: self._bytes(f"{commit}:{path}") for path in paths}

    def _bytes(self, name: str) -> bytes:
        return subprocess.run(["git", "cat-file", "blob", name], cwd=self.top, check=True, capture_output=True).stdout

    def snapshot(self) -> object:
        status = git(self.top, "status", "--porcelain", "--untracked-files=all")
        leftovers = [*(self.top / ".git").rglob("*.lock"), *self.top.rglob("*fleet-commit*")]
        files = {path: (self.top / path).read_bytes() for path in git(self.top, "ls-files").split()}
        names = sorted(str(path.relative_to(self.top)) for path in leftovers)
        return self.history(), status, names, files


ROWS: Mapping[str, Row] = {
    "checkout": Row(
        CheckoutSubject,
        {
            NO_REGISTRY: sorted([*OF_REGISTRIES, *OF_ISSUERS]),
            "it makes no requests": ["opening a provider asks nobody"],
            MAKES_NOTHING: OF_THINGS,
            NO_PROPOSALS: OF_PROPOSALS,
        },
    ),
}
