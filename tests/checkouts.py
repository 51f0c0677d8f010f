"""Real git repositories for tests, out of reach of the machine's own git configuration."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.provider import CommitRequest, Conflict, Context, ProviderError, Secret, SecretSource, TryAgain
from fleet_checkout import Checkout

IDENTITY = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"

CHANGES = {
    "config/common.yaml": "tag: two\n",
    "config/prod.yaml": "tag: two\nkeep: this\n",
    "new/hub.yaml": "tag: two\n",
}


@dataclass(frozen=True)
class Repository:
    """A work tree and the few commands that tests give it."""

    top: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.top), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def write(self, path: str, content: str) -> None:
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_bytes(content.encode())

    def read(self, path: str) -> str:
        return (self.top / path).read_bytes().decode()

    def commit_all(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head

    def hook(self, name: str, script: str) -> Path:
        path = Path(self.git("rev-parse", "--path-format=absolute", "--git-path", f"hooks/{name}"))
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def git_dir(self) -> Path:
        return Path(self.git("rev-parse", "--absolute-git-dir"))

    @property
    def status(self) -> str:
        return self.git("status", "--porcelain", "--untracked-files=all")

    def show(self, path: str) -> str:
        """A file of the head commit, byte for byte."""
        return subprocess.run(
            ["git", "-C", str(self.top), "cat-file", "blob", f"HEAD:{path}"], capture_output=True, check=True
        ).stdout.decode()

    @property
    def leftovers(self) -> list[str]:
        """Locks and files of ours, anywhere in the git directories and the work tree."""
        common = Path(self.git("rev-parse", "--path-format=absolute", "--git-common-dir"))
        found = {*common.rglob("*.lock"), *common.rglob("*fleet-commit*"), *self.top.rglob("*fleet-commit*")}
        return sorted(str(path.relative_to(self.top.parent)) for path in found)


def use_only(configuration: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on git reads this configuration and no other."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "EMAIL", "XDG_")):
            monkeypatch.delenv(name)
    (folder / "gitconfig").write_text(configuration)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(folder))


def create(top: Path, *options: str) -> Repository:
    """A repository with one commit of two files on main."""
    subprocess.run(["git", "init", "-q", *options, str(top)], check=True)
    repository = Repository(top)
    repository.write("config/common.yaml", "tag: one\n")
    repository.write("config/prod.yaml", "tag: one\nkeep: this\n")
    repository.commit_all("Begin")
    return repository


def checkout(folder: Path) -> Checkout:
    """The provider, for a fleet.yaml in `folder`."""

    def no_secret(source: SecretSource) -> Secret:
        raise AssertionError(f"a checkout needs no secret, and asked for {source}")

    return Checkout("values", None, Context("example", folder, no_secret, lambda: None))


def request(repository: Repository, head: str | None = None, **contents: str) -> CommitRequest:
    """Two files changed and one made, on the head as it is now; `head` and contents by path say otherwise."""
    return CommitRequest(
        str(repository.top),
        "main",
        repository.head if head is None else head,
        {path: text.encode() for path, text in (contents or CHANGES).items()},
        "Roll out two",
    )


def refused(host: Checkout, wanted: CommitRequest, said: str) -> None:
    """Assert that a commit is refused for good, in one line that matches `said`."""
    with pytest.raises(ProviderError, match=said) as caught:
        host.commit(wanted)
    assert not isinstance(caught.value, Conflict | TryAgain)
    assert "\n" not in str(caught.value)
