"""Commits and trees as values: parsed from git's bytes, written back to git's bytes, and edited by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from heapq import heappop, heappush
from itertools import count

from fleet.sandbox.github.gitstore import GitStore

MODES = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}
"""What a tree's entry is, by its mode."""


class NotGit(Exception):
    """An object is missing, is of another kind, or a path does not lead anywhere."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree."""

    mode: str
    oid: str

    @property
    def kind(self) -> str:
        """blob, tree or commit."""
        return MODES[self.mode]


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote or committed, and when."""

    name: str
    email: str
    date: datetime

    def line(self) -> str:
        """As git writes it."""
        return f"{self.name} <{self.email}> {int(self.date.timestamp())} {self.date.strftime('%z') or '+0000'}"

    @classmethod
    def parse(cls, line: str) -> Person:
        """Read git's line."""
        who, _, when = line.rpartition("> ")
        name, _, email = who.partition(" <")
        seconds, zone = when.split()
        sign = -1 if zone[0] == "-" else 1
        offset = timedelta(hours=sign * int(zone[1:3]), minutes=sign * int(zone[3:5]))
        return cls(name, email, datetime.fromtimestamp(int(seconds), timezone(offset) if offset else UTC))


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit."""

    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str
    signature: str = ""

    def encode(self) -> bytes:
        """As git stores it."""
        lines = [f"tree {self.tree}", *(f"parent {parent}" for parent in self.parents)]
        lines += [f"author {self.author.line()}", f"committer {self.committer.line()}"]
        if self.signature:
            lines.append("gpgsig " + self.signature.replace("\n", "\n "))
        return ("\n".join(lines) + f"\n\n{self.message}").encode()

    @classmethod
    def parse(cls, data: bytes) -> Commit:
        """Read what git stores."""
        head, _, message = data.decode(errors="replace").partition("\n\n")
        fields: dict[str, list[str]] = {}
        for line in head.replace("\n ", "\0").split("\n"):
            name, _, value = line.partition(" ")
            fields.setdefault(name, []).append(value.replace("\0", "\n"))
        return cls(
            fields["tree"][0],
            tuple(fields.get("parent", ())),
            Person.parse(fields["author"][0]),
            Person.parse(fields["committer"][0]),
            message,
            "".join(fields.get("gpgsig", ())),
        )


Tree = Mapping[str, Entry]
"""A tree's entries by name."""


def read_commit(store: GitStore, oid: str) -> Commit:
    """The commit with this id; raises NotGit."""
    found = store.read(oid)
    if found is None or found.kind != "commit":
        raise NotGit(f"{oid} is not a commit")
    return Commit.parse(found.data)


def read_tree(store: GitStore, oid: str) -> Tree:
    """The entries of the tree with this id; raises NotGit."""
    found = store.read(oid)
    if found is None or found.kind != "tree":
        raise NotGit(f"{oid} is not a tree")
    entries, rest = {}, found.data
    while rest:
        head, _, rest = rest.partition(b"\0")
        mode, _, name = head.partition(b" ")
        entries[name.decode(errors="surrogateescape")] = Entry(mode.decode().zfill(6), rest[:20].hex())
        rest = rest[20:]
    return entries


def write_tree(store: GitStore, tree: Tree) -> str:
    """Store a tree and return its id."""
    lines = [
        b"%s %s\0%s" % (entry.mode.lstrip("0").encode(), _raw(name), bytes.fromhex(entry.oid))
        for name, entry in sorted(tree.items(), key=lambda item: _order(*item))
    ]
    return store.write("tree", b"".join(lines))


def _raw(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def _order(name: str, entry: Entry) -> bytes:
    """Git sorts folders as if their names ended in a slash."""
    return _raw(name) + (b"/" if entry.mode == "040000" else b"")


def edit_tree(store: GitStore, base: str | None, changes: Mapping[str, Entry | None]) -> str | None:
    """The id of `base` with each path set, or removed where it is None; None when nothing is left.

    Raises NotGit when a path to remove does not exist.
    """
    tree = dict(read_tree(store, base)) if base else {}
    below: dict[str, dict[str, Entry | None]] = {}
    for path, entry in changes.items():
        name, _, rest = path.partition("/")
        if rest:
            below.setdefault(name, {})[rest] = entry
        elif entry is not None:
            tree[name] = entry
        elif tree.pop(name, None) is None:
            raise NotGit(f"{path} does not exist")
    for name, inner in below.items():
        folder = tree.get(name)
        edited = edit_tree(store, folder.oid if folder and folder.kind == "tree" else None, inner)
        if edited is None:
            tree.pop(name, None)
        else:
            tree[name] = Entry("040000", edited)
    return write_tree(store, tree) if tree else None


def is_path(path: str) -> bool:
    """Whether git takes this as the path of a file in a tree."""
    return all(part not in ("", ".", "..") and part.lower() != ".git" for part in path.split("/"))


def find(store: GitStore, tree: str, path: str) -> Entry | None:
    """What lies at a path under a tree, or None; an empty path is the tree itself."""
    entry = Entry("040000", tree)
    for name in filter(None, path.split("/")):
        if entry.kind != "tree":
            return None
        found = read_tree(store, entry.oid).get(name)
        if found is None:
            return None
        entry = found
    return entry


def walk(store: GitStore, tree: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
    """Everything under a tree, folders included, in git's order."""
    for name, entry in read_tree(store, tree).items():
        yield prefix + name, entry
        if entry.kind == "tree":
            yield from walk(store, entry.oid, f"{prefix}{name}/")


def history(store: GitStore, head: str) -> Iterator[tuple[str, Commit]]:
    """Commits that can be reached from `head`, newest first, as `git log` lists them."""
    seen, order = {head}, count()
    ahead = [_upcoming(store, head, next(order))]
    while ahead:
        *_, oid, commit = heappop(ahead)
        yield oid, commit
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                heappush(ahead, _upcoming(store, parent, next(order)))


def _upcoming(store: GitStore, oid: str, order: int) -> tuple[float, int, str, Commit]:
    commit = read_commit(store, oid)
    return -commit.committer.date.timestamp(), order, oid, commit


def is_ancestor(store: GitStore, old: str, new: str) -> bool:
    """Whether a branch at `old` can be fast-forwarded to `new`."""
    return any(oid == old for oid, _ in history(store, new))


def write_files(store: GitStore, files: Mapping[str, bytes]) -> str:
    """Store files by path, and return the id of their tree."""
    changes = {path: Entry("100644", store.write("blob", data)) for path, data in files.items()}
    return edit_tree(store, None, changes) or write_tree(store, {})


def changed_paths(store: GitStore, old: str | None, new: str) -> Iterable[str]:
    """Paths of files that differ between two trees."""
    before = {path: entry for path, entry in walk(store, old) if entry.kind != "tree"} if old else {}
    after = {path: entry for path, entry in walk(store, new) if entry.kind != "tree"}
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
