"""Makes one commit in a work tree: compare-and-swap on the branch, the operator's hooks and signing, all or nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fleet.provider import CommitRequest, Conflict, ProviderError, blob_id
from fleet_checkout.git import Git, quote
from fleet_checkout.lock import Claim, claim, claim_of_dead_run
from fleet_checkout.undertaking import Journal, Undertaking, parents_of, tree_of
from fleet_checkout.worktree import WorkTree, branch_of, head_of

_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "sequencer": "cherry-pick or revert",
}
"""What stands in the git directory while a command waits to be continued. Source: gitrepository-layout(5)."""

_NEW_FILE = "100644"


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the index: its tag as of `ls-files -v`, its mode and its blob."""

    tag: str
    mode: str
    blob: str

    @property
    def is_skipped(self) -> bool:
        """Whether the file stays out of the work tree: a sparse checkout, or one's own copy that git overlooks."""
        return self.tag == "S"


def recover(tree: WorkTree) -> None:
    """Settle what a killed run left in a work tree; writes nothing where there is nothing left."""
    with _disk_errors_named(tree):
        if (found := claim_of_dead_run(tree)) is not None:
            with _undertaking(tree, found):
                pass


def commit(tree: WorkTree, request: CommitRequest) -> str:
    """Make the commit and return its id; see `fleet.provider.CodeHost.commit`."""
    contents = {tree.path(asked): data for asked, data in request.contents.items()}
    if len(contents) < len(request.contents):
        raise ProviderError(f"one file of {tree.top} is named twice in one commit")
    with _disk_errors_named(tree), _undertaking(tree, claim(tree)) as work:
        work.claim.sign()
        work.claim.lock_index()
        return _commit(work, request, contents)


@contextmanager
def _disk_errors_named(tree: WorkTree) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProviderError(f"{error.filename or tree.top} cannot be written or read: {error.strerror}") from None


@contextmanager
def _undertaking(tree: WorkTree, held: Claim) -> Iterator[Undertaking]:
    """Settle before, settle after, release. Where settling itself fails, the claim stays for the next run to settle."""
    work = Undertaking(tree, held)
    try:
        work.settle(alive=False)
        try:
            yield work
        finally:
            work.settle(alive=True)
            held.release()
    finally:
        os.close(held.descriptor)


def _commit(work: Undertaking, request: CommitRequest, contents: Mapping[str, bytes]) -> str:
    _check_branch(work.tree, request)
    work.copy_index()
    _check_index(work, request.expected_head)
    entries = _entries(work.git)
    wanted = {path: blob_id(data, work.tree.object_format) for path, data in contents.items()}
    wanted = {path: blob for path, blob in wanted.items() if path not in entries or entries[path].blob != blob}
    if not wanted:
        return request.expected_head
    written = {path: blob for path, blob in wanted.items() if path not in entries or not entries[path].is_skipped}
    _check_files(work, written, entries, frozenset(request.unfinished))
    work.begin(Journal(request.branch, request.expected_head, written, _missing_folders(work.tree.top, written)))
    _stage(work, {path: contents[path] for path in wanted}, entries)
    work.write(written, work.staged_git)
    return _run_commit(work, request)


def _check_branch(tree: WorkTree, request: CommitRequest) -> None:
    branch = branch_of(tree)
    if not branch:
        raise ProviderError(f"{tree.top} has no branch checked out (HEAD is detached); check out {request.branch}")
    if branch != request.branch:
        raise ProviderError(f"{tree.top} has {branch} checked out, not {request.branch}; check it out there")
    for name, what in _UNDER_WAY.items():
        if (tree.git_dir / name).exists():
            raise ProviderError(f"a {what} is under way in {tree.top}; finish or abort it first")
    if (head := head_of(tree, f"refs/heads/{branch}")) != request.expected_head:
        raise Conflict(f"{branch} in {tree.top} is at {head or 'no commit'}, not at {request.expected_head}")


def _check_index(work: Undertaking, head: str) -> None:
    staged = _names(work.git.ask("diff-index", "--cached", "--name-only", "-z", tree_of(work.git, head), "--"))
    if staged:
        raise ProviderError(
            f"{_listed(staged)} in {work.tree.top} is staged for another commit; commit it, or unstage it with "
            "git restore --staged"
        )


def _check_files(
    work: Undertaking, paths: Mapping[str, str], entries: Mapping[str, _Entry], unfinished: frozenset[str]
) -> None:
    for path in paths:
        _check_place(work.tree.top, path, entries)
    work.staged_git.run("update-index", "-q", "--refresh")  # ends with 1 where something is dirty, which is no error
    dirty = _names(work.staged_git.ask("diff-files", "--name-only", "-z", "--"))
    untracked = {path for path in paths if path not in entries and os.path.lexists(work.tree.top / path)}
    concerned = sorted((dirty | untracked) & set(paths))
    found = work.blobs_on_disk(concerned)
    changed = {path for path in concerned if not found.get(path, set()) & unfinished}
    if changed:
        raise ProviderError(
            f"{_listed(changed)} in {work.tree.top} has changes that are not committed; commit or undo them first"
        )


def _check_place(top: Path, path: str, entries: Mapping[str, _Entry]) -> None:
    """Refuse a path that git could only take by throwing something else away, or that leads somewhere else."""
    entry = entries.get(path)
    if entry is not None and not entry.mode.startswith("100"):
        kind = "a symbolic link; name the file it leads to" if entry.mode == "120000" else "a submodule"
        raise ProviderError(f"{path} in {top} is {kind}")
    if entry is not None and entry.tag.islower():
        raise ProviderError(
            f"{path} in {top} is marked so that git does not see changes in it; "
            f"clear the mark with git update-index --no-assume-unchanged"
        )
    for parent in PurePosixPath(path).parents:
        if str(parent) in entries or (top / parent).is_symlink() or (top / parent).is_file():
            raise ProviderError(f"{path} cannot be a file in {top}, because {parent} is not a folder")
    if (top / path).is_dir() and not (top / path).is_symlink():
        raise ProviderError(f"{path} cannot be a file in {top}, because it is a folder")


def _missing_folders(top: Path, paths: Mapping[str, str]) -> tuple[str, ...]:
    folders = {parent for path in paths for parent in PurePosixPath(path).parents}
    return tuple(sorted(str(folder) for folder in folders if not (top / folder).exists()))


def _stage(work: Undertaking, contents: Mapping[str, bytes], entries: Mapping[str, _Entry]) -> None:
    """Put the new contents into the index of the commit to be, each with the mode and the marks it has now."""
    blobs = work.add_blobs(list(contents.values()))
    modes = [entries[path].mode if path in entries else _NEW_FILE for path in contents]
    lines = [f"{mode} {blob} 0\t{path}\0" for mode, blob, path in zip(modes, blobs, contents, strict=True)]
    work.staged_git.ask("update-index", "-z", "--index-info", given=os.fsencode("".join(lines)))
    skipped = "".join(f"{path}\0" for path in contents if path in entries and entries[path].is_skipped)
    if skipped:
        work.staged_git.ask("update-index", "--skip-worktree", "-z", "--stdin", given=os.fsencode(skipped))


def _run_commit(work: Undertaking, request: CommitRequest) -> str:
    # a file, not a pipe: when we die while writing, git must not commit with half of the message
    work.message.write_text(request.message, encoding="utf-8")
    done = None
    try:
        done = work.staged_git.run_with_hooks(
            # housekeeping in the background would hold our claim, which it inherits, long after the commit
            *("-c", "gc.auto=0", "-c", "maintenance.auto=false"),
            *("commit", "--cleanup=whitespace", "-F", os.fspath(work.message)),
        )
    finally:
        if done is None or done.returncode < 0:
            work.remove_locks_of_killed_git()
    tree, git, branch = work.tree, work.git, f"refs/heads/{request.branch}"
    made = _id_in(done.stdout, git) if done.returncode == 0 else ""
    if made:
        parents = parents_of(git, made)
        if " ".join(parents) == request.expected_head:
            return made
        # Somebody moved the branch past our index lock (git update-ref does) between our look at it and git's own,
        # and our commit, on top of theirs, would undo theirs.
        git.ask("update-ref", "-m", "fleet: undo a commit that lost a race", branch, parents[0], made)
    if (head := head_of(tree, branch)) != request.expected_head:
        raise Conflict(f"{request.branch} in {tree.top} moved to {head} while it was being committed to")
    said = (done.stderr + done.stdout).decode(errors="backslashreplace")
    raise ProviderError(f"git commit failed in {tree.top}, and everything was put back: {quote(said)}")


def _id_in(summary: bytes, git: Git) -> str:
    """The full id of the commit that `git commit` reports on its own standard output: `[main 1a2b3c4] subject`.

    Hooks write to standard error there, so nothing else comes first; and a hook may have committed since, so HEAD
    would not do. Source: git-commit(1), githooks(5).
    """
    found = re.match(rb"\[.*? ([0-9a-f]+)\] ", summary)
    return git.line("rev-parse", "--verify", found[1].decode() if found else "HEAD")


def _entries(git: Git) -> dict[str, _Entry]:
    lines = os.fsdecode(git.ask("ls-files", "-s", "-v", "-z")).split("\0")[:-1]
    found = {}
    for facts, path in (line.split("\t", 1) for line in lines):
        tag, mode, blob, _stage = facts.split()
        found[path] = _Entry(tag, mode, blob)
    return found


def _names(answer: bytes) -> set[str]:
    return set(os.fsdecode(answer).split("\0")[:-1])


def _listed(paths: set[str]) -> str:
    first = sorted(paths)[:5]
    return ", ".join(first) + (f" and {len(paths) - len(first)} more" if len(paths) > len(first) else "")
