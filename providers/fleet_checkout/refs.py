"""A branch that holds data in a local repository, bare or not: made of git's own objects, without a work tree.

`git update-ref` compares and swaps under the ref's lock. Around it the file `fleet-refs` in the git directory is held
by flock, which git's processes inherit: whoever holds it knows that no git of fleet's is alive there. It names the
commit that is being made the head; so a lock on the ref that a killed git left can be told from anybody else's, and is
removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fleet.provider import Branch, Conflict, ProviderError, Swap, Swapped, TryAgain
from fleet_checkout.git import Git, quote
from fleet_checkout.worktree import objects_in, safe_path

_NOBODY = ("-c", "user.name=fleet", "-c", "user.email=fleet@localhost")
"""Who commits: a machine without an operator's identity can keep state too."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A local repository: its git directory, shared by all of its work trees, and the ref of the branch in question."""

    folder: Path
    common_dir: Path
    branch: str

    @property
    def ref(self) -> str:
        """The full name of the branch."""
        return f"refs/heads/{self.branch}"

    @property
    def git(self) -> Git:
        """git, told of the directory itself, so that it works in a bare repository too."""
        return Git(self.common_dir)


def find_repository(folder: Path, branch: str) -> Repository:
    """The repository at a folder; raises ProviderError for a missing one, and for a branch that is checked out."""
    if not os.path.isdir(folder):  # noqa: PTH112 (pathlib raises where a parent folder may not be entered)
        raise ProviderError(f"the repository {folder} does not exist")
    found = Git(folder).run("rev-parse", "--path-format=absolute", "--git-common-dir")
    if found.returncode != 0:
        said = quote(found.stderr.decode(errors="backslashreplace"))
        raise ProviderError(f"{folder} cannot be used as a git repository: {said}")
    repository = Repository(folder, Path(os.fsdecode(found.stdout).removesuffix("\n")), branch)
    trees = os.fsdecode(repository.git.ask("worktree", "list", "--porcelain", "-z")).split("\0")
    if f"branch {repository.ref}" in trees:
        raise ProviderError(f"{branch} is checked out in {folder}; check out another branch: fleet moves this one")
    return repository


def read_branch(repository: Repository) -> Branch:
    """All files of the branch."""
    head = _head(repository)
    if not head:
        return Branch("", {}, time.time())
    names = os.fsdecode(repository.git.ask("ls-tree", "-r", "-z", "--full-tree", head)).split("\0")[:-1]
    entries = [(path, facts.split()) for facts, path in (line.split("\t", 1) for line in names)]
    blobs = {path: blob for path, (_mode, kind, blob) in entries if kind == "blob"}
    given = "".join(f"{blob}\n" for blob in blobs.values()).encode()
    found = objects_in(repository.git.ask("cat-file", "--batch", given=given)) if blobs else iter(())
    return Branch(head, {path: data for path, (_, data) in zip(blobs, found, strict=True)}, time.time())


def swap_branch(repository: Repository, swap: Swap) -> Swapped:
    """One commit on the branch, or its first one; raises Conflict when it stands elsewhere."""
    with _claimed(repository) as held:
        git = Git(repository.common_dir, held=(held,))
        _remove_lock_of_killed_git(repository, held)
        if _head(repository) != swap.expected_head:
            raise Conflict(
                f"{repository.branch} in {repository.folder} is not at {swap.expected_head or 'its beginning'}"
            )
        commit = _commit(git, swap)
        _note(held, commit)
        expected = swap.expected_head or "0" * len(commit)
        done = git.run("update-ref", "-m", "fleet", repository.ref, commit, expected)
        if done.returncode != 0:
            if _head(repository) != swap.expected_head:
                raise Conflict(f"{repository.branch} in {repository.folder} moved while it was being committed to")
            said = quote(done.stderr.decode(errors="backslashreplace"))
            if _lock_of(repository).exists():
                raise TryAgain(f"another git command holds {repository.branch} in {repository.folder}: {said}")
            raise ProviderError(f"{repository.branch} in {repository.folder} cannot be moved: {said}")
        _note(held, "")
        return Swapped(commit, time.time())


def _commit(git: Git, swap: Swap) -> str:
    with tempfile.TemporaryDirectory(prefix="fleet-refs-") as scratch:
        staged = git.on_index(Path(scratch) / "index")
        if swap.expected_head:
            staged.ask("read-tree", swap.expected_head)
        lines = []
        for asked, data in swap.contents.items():
            path = safe_path(asked, "", f"the branch {swap.branch}")
            if data is None:
                lines.append(f"0 {'0' * len(swap.expected_head)}\t{path}\n")
            else:
                blob = git.ask("hash-object", "-w", "--stdin", "--no-filters", given=data).decode().strip()
                lines.append(f"100644 {blob}\t{path}\n")
        staged.ask("update-index", "--add", "--index-info", given=os.fsencode("".join(lines)))
        parents = ("-p", swap.expected_head) if swap.expected_head else ()
        tree = staged.line("write-tree")
    return git.ask(*_NOBODY, "commit-tree", tree, *parents, given=swap.message.encode()).decode().strip()


def _head(repository: Repository) -> str:
    return repository.git.run("rev-parse", "-q", "--verify", f"{repository.ref}^{{commit}}").stdout.decode().strip()


@contextlib.contextmanager
def _claimed(repository: Repository) -> Iterator[int]:
    """Hold the claim; a live holder needs milliseconds, so it is waited for where it is."""
    place = repository.common_dir / "fleet-refs"
    try:
        held = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ProviderError(f"{place} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield held
    finally:
        os.close(held)


def _note(held: int, commit: str) -> None:
    os.ftruncate(held, 0)
    os.pwrite(held, commit.encode(), 0)


def _remove_lock_of_killed_git(repository: Repository, held: int) -> None:
    """Remove the ref's lock where our own git was killed with it: it is empty, or names the commit that we noted."""
    noted = os.pread(held, 100, 0).decode(errors="replace")
    if not noted:
        return
    lock = _lock_of(repository)
    with contextlib.suppress(FileNotFoundError):
        if lock.read_text(encoding="ascii", errors="replace").strip() in ("", noted):
            lock.unlink()
    _note(held, "")


def _lock_of(repository: Repository) -> Path:
    return repository.common_dir / f"{repository.ref}.lock"


def origin_of(folder: Path) -> str | None:
    """The URL of a checkout's remote `origin`; a path on this machine is absolute."""
    if not os.path.isdir(folder):  # noqa: PTH112
        return None
    found = Git(folder).run("remote", "get-url", "origin")
    url = os.fsdecode(found.stdout).removesuffix("\n") if found.returncode == 0 else ""
    if not url:
        return None
    path = repository_at(url)
    top = Git(folder).run("rev-parse", "--show-toplevel")
    return url if path is None else os.path.normpath(os.path.join(os.fsdecode(top.stdout).removesuffix("\n"), path))  # noqa: PTH118


def repository_at(url: str) -> str | None:
    """The path that a git URL names on this machine; None for any other. See git-clone(1), "GIT URLS"."""
    if url.startswith("file://"):
        return unquote(urlsplit(url).path) or None
    return url if url.startswith(("/", "./", "../")) else None
