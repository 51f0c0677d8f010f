"""The right to write one work tree: git's own index lock, in a form that outlives no process.

A *claim* is the file `fleet-commit` in the git directory, held by flock. The kernel drops that lock when we die and
every git command and hook that we started has ended too (they inherit the descriptor), so a claim that can be taken
belongs to nobody alive; no process id is ever trusted. `index.lock` is a hard link to the claim: it appears with its
content, no git command can write the index or commit while it stands, and it is ours exactly if it is the same file.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path

from fleet.provider import ProviderError, TryAgain
from fleet_checkout.worktree import WorkTree

_ATTEMPTS = 100
"""Races with other runs that end at this moment, before we give way."""


class Claim:
    """A claim that is held, until `release`."""

    def __init__(self, descriptor: int, tree: WorkTree) -> None:
        self.descriptor = descriptor
        self._file = _place(tree)
        # git follows a symbolic link to the index before it adds .lock
        self.index = Path(os.path.realpath(tree.git_dir / "index"))
        self.index_lock = self.index.with_name(self.index.name + ".lock")

    def sign(self) -> None:
        """Write who we are, for whoever finds the lock."""
        text = json.dumps({"program": "fleet", "pid": os.getpid(), "host": socket.gethostname()}) + "\n"
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)
        os.fsync(self.descriptor)

    def lock_index(self) -> None:
        """Take git's index lock, or keep it where it is ours; raises TryAgain while another command has it."""
        if self.has_index():
            return
        try:
            os.link(self._file, self.index_lock)
        except FileExistsError:
            raise TryAgain(
                f"another git command is writing {self.index}; if none is, one was killed: remove {self.index_lock}"
            ) from None
        except OSError as error:
            raise ProviderError(f"{self.index_lock} cannot be created: {error.strerror}") from None

    def has_index(self) -> bool:
        """Whether git's index lock is this claim's: taken by us, or by the dead run whose claim we took over."""
        return _is_at(self.descriptor, self.index_lock)

    def release(self) -> None:
        """Let go of everything, the index lock first: it must never stand without the claim that explains it."""
        if self.has_index():
            self.index_lock.unlink()
        if _is_at(self.descriptor, self._file):
            self._file.unlink()


def claim(tree: WorkTree) -> Claim:
    """Claim a work tree, whatever a dead run left there; raises TryAgain while a live one holds it."""
    found = _take(tree, os.O_RDWR | os.O_CREAT)
    assert found is not None
    return found


def claim_of_dead_run(tree: WorkTree) -> Claim | None:
    """Take over the claim that a killed run left; None when there is none."""
    return _take(tree, os.O_RDWR)


def _take(tree: WorkTree, flags: int) -> Claim | None:
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(_place(tree), flags, 0o666)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ProviderError(f"{_place(tree)} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise TryAgain(f"{holder}, or a git command or hook that it started, is committing in {tree.top}") from None
        if _is_at(descriptor, _place(tree)):
            return Claim(descriptor, tree)
        os.close(descriptor)
    raise TryAgain(f"other runs of fleet are committing in {tree.top}")


def _place(tree: WorkTree) -> Path:
    return tree.git_dir / "fleet-commit"


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return f"another run of fleet (process {found['pid']} on {found['host']})"
    except (ValueError, LookupError, TypeError):
        return "another run of fleet"
