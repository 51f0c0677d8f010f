"""Where a checkout is, what is checked out there, and the files of its head commit."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fleet.provider import Files, ProviderError
from fleet_checkout.git import Git, GitError, quote

_NO_REPOSITORY = "not a git repository (or any"
"""What git says, in the C locale, of a folder that belongs to none; a broken repository gets another sentence."""

_BRANCHES = "refs/heads/"

_SUBMODULE = "160000"
"""The mode of a submodule in a tree. Source: git-fast-import(1), "filemodify"."""


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A git work tree: its top folder, its own git directory, the one shared by linked work trees, the object
    format, and the path from the top to the folder that fleet.yaml names."""

    top: Path
    git_dir: Path
    common_dir: Path
    object_format: str
    prefix: str

    @property
    def git(self) -> Git:
        """git at the top of this work tree."""
        return Git(self.top)

    def path(self, asked: str) -> str:
        """A path of fleet.yaml as seen from the top; raises ProviderError for one that leaves the work tree."""
        return safe_path(asked, self.prefix, f"the work tree {self.top}")


def find_work_tree(folder: Path) -> WorkTree | None:
    """The work tree that a folder belongs to, None for a folder without git.

    Raises ProviderError for a missing folder, a bare repository, and whatever else git objects to.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 (pathlib raises where a parent folder may not be entered)
        what = "is not a folder" if os.path.exists(folder) else "does not exist"  # noqa: PTH110
        raise ProviderError(f"the checkout {folder} {what}; `path` names a folder, relative to fleet.yaml")
    arguments = ("--show-toplevel", "--git-dir", "--git-common-dir", "--show-object-format", "--show-prefix")
    try:
        answer = Git(folder).ask("rev-parse", "--path-format=absolute", *arguments)
    except GitError as error:
        if _NO_REPOSITORY in error.said:
            return None
        raise ProviderError(f"the checkout {folder} cannot be used: {quote(error.said)}") from None
    top, git_dir, common_dir, object_format, prefix = os.fsdecode(answer).split("\n")[:5]
    return WorkTree(Path(top), Path(git_dir), Path(common_dir), object_format, prefix)


def safe_path(asked: str, prefix: str, where: str) -> str:
    """`prefix` and the asked path as one clean path; raises ProviderError for one that could leave `where`."""
    path = posixpath.normpath(posixpath.join(prefix, asked))
    if not asked or any(unicodedata.category(character) in {"Cc", "Cs"} for character in asked):
        raise ProviderError(f"{asked!r} cannot be the path of a file in {where}")
    if asked.startswith("/") or path.split("/")[0] == "..":
        raise ProviderError(f"{asked!r} is outside of {where}; write a path inside it")
    if path == "." or any(part.lower() == ".git" for part in path.split("/")):
        raise ProviderError(f"{asked!r} is not a file that {where} can hold")
    return path


def branch_of(tree: WorkTree) -> str:
    """The branch that is checked out; empty when HEAD is detached."""
    done = tree.git.run("symbolic-ref", "-q", "HEAD")
    return os.fsdecode(done.stdout).removesuffix("\n").removeprefix(_BRANCHES)


def head_of(tree: WorkTree, name: str) -> str:
    """The commit that a ref stands at; empty when there is none yet."""
    done = tree.git.run("rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    return done.stdout.decode().strip()


def read_head(tree: WorkTree, ref: str | None, paths: Collection[str]) -> Files:
    """The files of the commit at the head of the checked-out branch, whatever the working tree holds."""
    branch = branch_of(tree)
    if ref is not None and ref.removeprefix(_BRANCHES) != branch:
        now = f"has {branch} checked out" if branch else "has no branch checked out (HEAD is detached)"
        raise ProviderError(f"{tree.top} {now}, not {ref}; check out {ref} there, or leave out the branch")
    head = head_of(tree, _BRANCHES + branch if branch else "HEAD")
    contents = _read_blobs(tree, head, {asked: tree.path(asked) for asked in paths})
    return Files(branch, head, contents)


def _read_blobs(tree: WorkTree, commit: str, paths: Mapping[str, str]) -> dict[str, bytes]:
    if not commit or not paths:
        return {}
    entries = _entries(tree, commit)
    for path in paths.values():
        _check_submodules(tree, path, entries)
    # Asking for ids spares git from walking the folders once per file. What is no plain file is asked for by path, and
    # git follows or explains it.
    plain = {path: blob for path, (mode, blob) in entries.items() if mode.startswith("100")}
    asked_for = "".join(plain.get(path, f"{commit}:{path}") + "\n" for path in paths.values())
    answer = tree.git.ask("cat-file", "--batch", "--follow-symlinks", given=os.fsencode(asked_for))
    contents = {}
    for (asked, path), (kind, data) in zip(paths.items(), objects_in(answer), strict=True):
        if kind == "blob":
            contents[asked] = data
        elif kind not in ("missing", "notdir"):
            raise ProviderError(f"{path!r} in {tree.top} is {_WHAT.get(kind, kind)}, not a file")
    return contents


def _entries(tree: WorkTree, commit: str) -> dict[str, tuple[str, str]]:
    """Mode and id of everything in a commit that is no folder."""
    lines = os.fsdecode(tree.git.ask("ls-tree", "-r", "-z", "--full-tree", commit)).split("\0")[:-1]
    found = {}
    for facts, path in (line.split("\t", 1) for line in lines):
        mode, _kind, id_ = facts.split()
        found[path] = (mode, id_)
    return found


def _check_submodules(tree: WorkTree, path: str, entries: Mapping[str, tuple[str, str]]) -> None:
    for place in (path, *map(str, PurePosixPath(path).parents)):
        if entries.get(place, ("", ""))[0] == _SUBMODULE:
            what = "is" if place == path else "is inside"
            raise ProviderError(f"{path!r} in {tree.top} {what} the submodule {place}; name its folder as the checkout")


_WHAT = {
    "tree": "a folder",
    "symlink": "a symbolic link that leaves the repository",
    "dangling": "a symbolic link to something that does not exist",
    "loop": "a symbolic link that leads back to itself",
}


def objects_in(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Kind and content of each object that `git cat-file --batch` answered with.

    Source: git-cat-file(1), "BATCH OUTPUT": `<id> <type> <size>` or `<kind> <size>` is followed by so many bytes
    and a line end; `<name> missing` by nothing.
    """
    start = 0
    while start < len(answer):
        end = answer.index(b"\n", start)
        *_, kind, size = answer[start:end].split(b" ")
        start = end + 1
        if not size.isdigit():
            yield size.decode(), b""
            continue
        yield kind.decode(), answer[start : start + int(size)]
        start += int(size) + 1


def read_folder(folder: Path, paths: Collection[str]) -> Files:
    """The files of a folder without git, as they are now; branch and head are empty."""
    contents = {asked: data for asked in paths if (data := _read_plain(folder, asked)) is not None}
    return Files("", "", contents)


def _read_plain(folder: Path, asked: str) -> bytes | None:
    path = folder / safe_path(asked, "", f"the folder {folder}")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ProviderError(f"{asked!r} in {folder} is a symbolic link that leaves the folder")
        if path.exists() and not path.is_file():
            raise ProviderError(f"{asked!r} in {folder} is not a file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RuntimeError:  # pathlib's word, up to Python 3.12, for a loop of symbolic links
        raise ProviderError(f"{asked!r} in {folder} is a symbolic link that leads back to itself") from None
    except OSError as error:
        raise ProviderError(f"{asked!r} in {folder} cannot be read: {error.strerror}") from None
