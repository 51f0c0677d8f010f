"""The git side of the sandbox: objects and refs on disk, that real git can clone, push to and check.

All repositories share one object database, as the forks of one network do on GitHub, so that generating a repository
from a template copies nothing. Objects are written as loose objects by this module (a subprocess for each would cost
more than everything else) and are read back through one long-lived `git cat-file --batch`, which also finds what a
real `git push` brought. Refs are moved by `git update-ref` with compare-and-swap.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ZERO = "0" * 40
"""Stands for "no such ref" in git's compare-and-swap."""

_CACHED_BYTES = 1 << 16
"""Objects up to this size are kept in memory; bigger ones are read from disk each time."""


class RefMoved(Exception):
    """A ref is not where the caller expected it, so nothing was moved."""


@dataclass(frozen=True, slots=True)
class Object:
    """One git object: its kind (blob, tree, commit or tag) and its bytes."""

    kind: str
    data: bytes


class GitStore:
    """Bare repositories with one object database, in a new folder under `parent` that `close` removes."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="git-", dir=parent))
        self._skeleton = self.folder / "skeleton.git"
        self._objects = self._skeleton / "objects"
        _git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(self._skeleton))
        for name, value in {"http.receivepack": "true", "gc.auto": "0", "receive.autogc": "false"}.items():
            _git(self._skeleton, "config", name, value)
        self._reader = _Reader(self._skeleton)
        self._cache: dict[str, Object] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the process that reads objects, and remove everything: what the sandbox knew of it is gone too."""
        self._reader.close()
        shutil.rmtree(self.folder)

    def create(self, name: str, default_branch: str) -> Path:
        """Make an empty bare repository and return its folder."""
        bare = self.folder / f"{name}.git"
        (bare / "refs" / "heads").mkdir(parents=True)
        (bare / "objects").symlink_to(self._objects.resolve(), target_is_directory=True)
        shutil.copy(self._skeleton / "config", bare / "config")
        (bare / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        return bare

    def write(self, kind: str, data: bytes) -> str:
        """Store an object and return its id."""
        raw = b"%s %d\0%s" % (kind.encode(), len(data), data)
        oid = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        path = self._objects / oid[:2] / oid[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(f"{oid[2:]}.{threading.get_ident()}")
            part.write_bytes(zlib.compress(raw, 1))
            part.replace(path)
        self._remember(oid, Object(kind, data))
        return oid

    def read(self, oid: str) -> Object | None:
        """The object with this id, or None."""
        with self._lock:
            found = self._cache.get(oid)
            if found is None and len(oid) == 40:
                found = self._reader.read(oid)
        if found is not None:
            self._remember(oid, found)
        return found

    def _remember(self, oid: str, found: Object) -> None:
        if len(found.data) <= _CACHED_BYTES:
            with self._lock:
                self._cache[oid] = found


class _Reader:
    """One `git cat-file --batch`; its caller holds a lock."""

    def __init__(self, bare: Path) -> None:
        self._process = subprocess.Popen(
            ["git", "cat-file", "--batch"], cwd=bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )

    def read(self, oid: str) -> Object | None:
        """The object with this id, or None."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{oid}\n".encode())
        stdin.flush()
        words = stdout.readline().split()
        if len(words) != 3:
            return None
        data = stdout.read(int(words[2]) + 1)
        return Object(words[1].decode(), data[:-1])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def read_refs(bare: Path) -> dict[str, str]:
    """All refs of a repository and the objects they name."""
    lines = _git(bare, "for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def move_ref(bare: Path, ref: str, new: str, old: str) -> None:
    """Set a ref to `new` if it is still at `old`; ZERO creates or deletes. Raises RefMoved."""
    try:
        if new == ZERO:
            _git(bare, "update-ref", "-d", ref, old)
        else:
            _git(bare, "update-ref", ref, new, old)
    except subprocess.CalledProcessError as error:
        raise RefMoved(error.stderr.decode(errors="replace").strip()) from None


def set_head(bare: Path, branch: str) -> None:
    """Name the branch that a clone checks out."""
    _git(bare, "symbolic-ref", "HEAD", f"refs/heads/{branch}")


def merge_trees(bare: Path, ours: str, theirs: str) -> str | None:
    """The tree that merging two commits makes, by git's own merge; None when they conflict."""
    command = ["git", "merge-tree", "--write-tree", "--no-messages", ours, theirs]
    done = subprocess.run(command, cwd=bare, env=environment(), capture_output=True, check=False)
    if done.returncode > 1:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout.decode().split()[0] if done.returncode == 0 else None


def blame(bare: Path, commit: str, path: str) -> list[str]:
    """The commit that last changed each line of a file; none for a file that is not there."""
    try:
        answer = _git(bare, "blame", "--line-porcelain", commit, "--", path)
    except subprocess.CalledProcessError:
        return []
    headers = re.findall(rb"^([0-9a-f]{40}) \d+ (\d+)(?: \d+)?$", answer, flags=re.MULTILINE)
    return [oid.decode() for oid, _ in sorted(headers, key=lambda header: int(header[1]))]


def valid_ref(ref: str) -> bool:
    """Whether git takes this as a ref's full name."""
    done = subprocess.run(["git", "check-ref-format", ref], capture_output=True, check=False)
    return done.returncode == 0


def _git(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment(), capture_output=True, check=True)
    return done.stdout


def environment() -> Mapping[str, str]:
    """This process's environment without what would let the operator's own git settings reach the sandbox."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
