"""One commit being made, written down before it is begun, so that whoever comes next can settle it.

The work happens beside what git reads: `fleet-commit.index` is the index of the commit to be, a copy of the real one.
`fleet-commit.journal` says which files of the work tree are about to be written, and with what. To *settle* is to
look at where the branch stands, and either finish (the commit was made: its index becomes the real one) or put
everything back. A live run ends by settling, and so does a killed one, in the hands of the next.

In order: copy of the index, journal, files of the work tree, commit | index replaced or files put back, journal
removed, claim released. A kill between any two leaves a state that settling understands, and settling again does no
more than settling once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.provider import blob_id
from fleet_checkout.git import Git
from fleet_checkout.lock import Claim
from fleet_checkout.worktree import WorkTree, branch_of, head_of


@dataclass(frozen=True, slots=True)
class Journal:
    """What a run is about to write: the branch and where it stood (empty: nowhere yet), the blob id that each file
    of the work tree gets, and the folders that are made for them, outermost first."""

    branch: str
    head: str
    files: Mapping[str, str]
    folders: tuple[str, ...]


class Undertaking:
    """The files of one commit in the making, in the git directory; the claim must be held."""

    def __init__(self, tree: WorkTree, held: Claim) -> None:
        self.tree = tree
        self.claim = held
        self.git = Git(tree.top, held=(held.descriptor,))
        self.index = self._beside("index")
        self.message = self._beside("message")
        self._journal = self._beside("journal")
        self._staging = self._beside("files")

    def _beside(self, name: str) -> Path:
        # beside the real index, because a rename must make it the real one and a split index finds its parts there
        return self.claim.index.with_name(f"fleet-commit.{name}")

    @property
    def staged_git(self) -> Git:
        """git with the index of the commit to be."""
        return self.git.on_index(self.index)

    def copy_index(self) -> None:
        """Begin the index of the commit to be as a copy of the real one."""
        if self.claim.index.exists():
            shutil.copy2(self.claim.index, self.index)

    def begin(self, journal: Journal) -> None:
        """Write down what is about to be written; from here on, settling puts it back."""
        draft = self._beside("journal.new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(journal), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._journal)

    def add_blobs(self, contents: Sequence[bytes]) -> list[str]:
        """Add contents to git's objects, byte for byte and all by one command; answers with their ids in order."""
        self._staging.mkdir()
        names = [self._staging / str(n) for n in range(len(contents))]
        for name, data in zip(names, contents, strict=True):
            name.write_bytes(data)
        given = b"".join(os.fsencode(name) + b"\n" for name in names)
        ids = self.git.ask("hash-object", "-w", "--no-filters", "--stdin-paths", given=given).decode().split()
        shutil.rmtree(self._staging)
        return ids

    def write(self, paths: Collection[str], git: Git) -> None:
        """Write files of git's index into the work tree, through git's filters; each appears whole or not at all."""
        if not paths:
            return
        shutil.rmtree(self._staging, ignore_errors=True)  # a killed run may have left it half full
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        git.ask("checkout-index", "-f", "-z", "--stdin", f"--prefix={self._staging}/", given=given)
        for path in paths:
            self._put(self._staging / path, path)
        shutil.rmtree(self._staging)

    def _put(self, source: Path, path: str) -> None:
        target = self.tree.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(target)  # in the same folder, because a work tree may lie on another disk than its git directory
        shutil.copyfile(source, draft)
        shutil.copymode(target if target.exists() else source, draft)
        draft.replace(target)

    def settle(self, *, alive: bool) -> None:
        """Finish what is committed, put back what is not, and leave nothing behind but the claim.

        `alive` says that this very process wrote the files a moment ago: what stands there is then ours or a hook's,
        even where it is neither the old content nor the new.
        """
        journal = self._read_journal()
        if journal is not None:
            if not alive:
                self.remove_locks_of_killed_git()
            self.claim.lock_index()
            if self.index.exists():  # else it has become the real one already
                if self._is_committed(journal):
                    self.index.replace(self.claim.index)
                else:
                    self._put_back(journal, alive=alive)
            self._journal.unlink()
        for name in ("index", "index.lock", "journal.new", "message"):
            self._beside(name).unlink(missing_ok=True)
        shutil.rmtree(self._staging, ignore_errors=True)

    def _read_journal(self) -> Journal | None:
        try:
            found = json.loads(self._journal.read_bytes())
        except FileNotFoundError:
            return None
        return Journal(found["branch"], found["head"], found["files"], tuple(found["folders"]))

    def _is_committed(self, journal: Journal) -> bool:
        """Whether the branch holds what the index of the commit to be says, and the real index is still the old one."""
        head = head_of(self.tree, f"refs/heads/{journal.branch}")
        if head == journal.head or branch_of(self.tree) != journal.branch:
            return False
        same = ("diff-index", "--cached", "--quiet")
        return self.staged_git.says_yes(*same, head, "--") and self.git.says_yes(
            *same, tree_of(self.git, journal.head), "--"
        )

    def _put_back(self, journal: Journal, *, alive: bool) -> None:
        for path in journal.files:
            _draft(self.tree.top / path).unlink(missing_ok=True)
        tracked = blobs_of(self.git)
        staged = blobs_of(self.staged_git)  # holds what a hook made of our content and added
        found = self.blobs_on_disk(journal.files)
        again = []
        for path, written in journal.files.items():
            ids = found.get(path, set())
            if tracked.get(path) in ids:
                continue
            if ids & {written, staged.get(path)}:
                again.append(path)
            elif alive:
                self._keep(path)
                again.append(path)
        for path in again:
            if path not in tracked:
                (self.tree.top / path).unlink(missing_ok=True)
        self.write([path for path in again if path in tracked], self.git)
        for folder in reversed(journal.folders):
            _remove_if_empty(self.tree.top / folder)

    def _keep(self, path: str) -> None:
        """Keep content that we cannot explain as an unreferenced blob (`git fsck --lost-found`) before it goes."""
        if (self.tree.top / path).is_file():
            self.git.ask("hash-object", "-w", "--no-filters", "--", path)

    def blobs_on_disk(self, paths: Collection[str]) -> dict[str, set[str]]:
        """The blob ids of files in the work tree, as they are and after git's filters; only of plain files."""
        plain = [path for path in paths if _is_plain(self.tree.top / path)]
        if not plain:
            return {}
        given = "".join(_c_quoted(path) + "\n" for path in plain)
        filtered = self.git.ask("hash-object", "--stdin-paths", given=os.fsencode(given)).decode().split()
        return {
            path: {clean, blob_id((self.tree.top / path).read_bytes(), self.tree.object_format)}
            for path, clean in zip(plain, filtered, strict=True)
        }

    def remove_locks_of_killed_git(self) -> None:
        """Remove the locks on the branch and on HEAD that our git left when it was killed while committing.

        Safe, because the index lock of that run still stands: no command that commits, merges, resets or checks out
        gets past it, fetch and push refuse the checked-out branch, and our git has ended, else a dead run's claim
        could not have been taken. And a lock must look it: made after that run began, and empty or naming a commit
        on top of the head it began with.
        """
        journal = self._read_journal()
        if journal is None or not self.claim.has_index():
            return
        began = os.fstat(self.claim.descriptor).st_mtime_ns
        for lock in (self.tree.common_dir / f"refs/heads/{journal.branch}.lock", self.tree.git_dir / "HEAD.lock"):
            try:
                is_later, text = lock.stat().st_mtime_ns >= began, lock.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                continue
            if is_later and (not text or " ".join(parents_of(self.git, text)) == journal.head):
                lock.unlink()


def parents_of(git: Git, commit: str) -> list[str]:
    """The ids of a commit's parents."""
    return git.ask("rev-parse", f"{commit}^@").decode().split()


def tree_of(git: Git, commit: str) -> str:
    """What to compare an index with: the commit, or the empty tree where there is none yet."""
    return commit or git.line("hash-object", "-t", "tree", "--stdin")


def blobs_of(git: Git) -> dict[str, str]:
    """The blob id of every path in the index."""
    entries = os.fsdecode(git.ask("ls-files", "-s", "-z")).split("\0")[:-1]
    return {path: facts.split()[1] for facts, path in (entry.split("\t", 1) for entry in entries)}


def _draft(target: Path) -> Path:
    name = blob_id(os.fsencode(target.name))[:12]  # short, because the name itself may be as long as names can be
    return target.with_name(f".{name}.fleet-commit")


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _c_quoted(path: str) -> str:
    """A path as one line of `--stdin-paths`, which unquotes what begins with a quotation mark."""
    if not path.startswith('"'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
