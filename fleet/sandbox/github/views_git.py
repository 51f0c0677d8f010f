"""Git's objects as GitHub's REST API shows them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fleet.sandbox.github import views
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.objects import Commit, Entry, Person
from fleet.sandbox.github.state import State


def _git(base: str, repository: Repository, kind: str, oid: str) -> str:
    return f"{views.repository_url(base, repository)}/git/{kind}s/{oid}"


def ref(base: str, repository: Repository, name: str, kind: str = "commit") -> dict[str, Any]:
    """A ref and what it names."""
    oid = repository.refs[name]
    return {
        "ref": name,
        "node_id": views.node_id("REF", f"{repository.id}:{name}"),
        "url": f"{views.repository_url(base, repository)}/git/{quote(name)}",
        "object": {"type": kind, "sha": oid, "url": _git(base, repository, kind, oid)},
    }


def _person(shown: Person) -> dict[str, str]:
    return {"name": shown.name, "email": shown.email, "date": stamp(shown.date)}


def _parents(base: str, repository: Repository, shown: Commit, kind: str) -> list[dict[str, str]]:
    return [
        {
            "sha": parent,
            "url": f"{views.repository_url(base, repository)}/{kind}/{parent}",
            "html_url": f"{base}/{repository.full_name}/commit/{parent}",
        }
        for parent in shown.parents
    ]


def _verification(shown: Commit) -> dict[str, Any]:
    signed = bool(shown.signature)
    return {
        "verified": signed,
        "reason": "valid" if signed else "unsigned",
        "signature": shown.signature or None,
        "payload": None,
        "verified_at": stamp(shown.committer.date) if signed else None,
    }


def git_commit(base: str, repository: Repository, oid: str, shown: Commit) -> dict[str, Any]:
    """A commit as a git object."""
    return {
        "sha": oid,
        "node_id": views.node_id("C", f"{repository.id}:{oid}"),
        "url": _git(base, repository, "commit", oid),
        "html_url": f"{base}/{repository.full_name}/commit/{oid}",
        "author": _person(shown.author),
        "committer": _person(shown.committer),
        "message": shown.message,
        "tree": {"sha": shown.tree, "url": _git(base, repository, "tree", shown.tree)},
        "parents": _parents(base, repository, shown, "git/commits"),
        "verification": _verification(shown),
    }


def commit(base: str, state: State, repository: Repository, oid: str, shown: Commit) -> dict[str, Any]:
    """A commit with the people behind it."""
    url = f"{views.repository_url(base, repository)}/commits/{oid}"
    by_email = {account.email: account for account in state.accounts.values()}
    author, committer = by_email.get(shown.author.email), by_email.get(shown.committer.email)
    return {
        "sha": oid,
        "node_id": views.node_id("C", f"{repository.id}:{oid}"),
        "url": url,
        "html_url": f"{base}/{repository.full_name}/commit/{oid}",
        "comments_url": f"{url}/comments",
        "commit": {
            "url": _git(base, repository, "commit", oid),
            "author": _person(shown.author),
            "committer": _person(shown.committer),
            "message": shown.message,
            "tree": {"sha": shown.tree, "url": _git(base, repository, "tree", shown.tree)},
            "comment_count": 0,
            "verification": _verification(shown),
        },
        "author": views.account(base, author) if author else None,
        "committer": views.account(base, committer) if committer else None,
        "parents": _parents(base, repository, shown, "commits"),
    }


def tree_entry(base: str, repository: Repository, path: str, entry: Entry, size: int | None) -> dict[str, Any]:
    """One line of a tree; only blobs have a size."""
    document = {"path": path, "mode": entry.mode, "type": entry.kind, "sha": entry.oid}
    if entry.kind == "commit":
        return document
    sized = {} if size is None else {"size": size}
    return {**document, **sized, "url": _git(base, repository, entry.kind, entry.oid)}


def blob(base: str, repository: Repository, oid: str, data: bytes) -> dict[str, Any]:
    """A blob with its bytes in base64."""
    return {
        "sha": oid,
        "node_id": views.node_id("B", f"{repository.id}:{oid}"),
        "size": len(data),
        "url": _git(base, repository, "blob", oid),
        "content": wrapped(data),
        "encoding": "base64",
    }


def wrapped(data: bytes) -> str:
    """Base64 in lines of 60, as GitHub writes it."""
    text = base64.b64encode(data).decode()
    return "".join(f"{text[start : start + 60]}\n" for start in range(0, len(text), 60))


@dataclass(frozen=True, slots=True)
class Located:
    """Something at a path, with its size in bytes."""

    path: str
    entry: Entry
    size: int


def content(base: str, repository: Repository, at: str, shown: Located) -> dict[str, Any]:
    """A file or a folder without its bytes; `at` is the branch, tag or commit it was looked up at."""
    path, entry = shown.path, shown.entry
    url = f"{views.repository_url(base, repository)}/contents/{quote(path)}?ref={quote(at, safe='')}"
    is_folder = entry.kind == "tree"
    git_url = _git(base, repository, entry.kind, entry.oid)
    html_url = f"{base}/{repository.full_name}/{entry.kind}/{quote(at)}/{quote(path)}"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": entry.oid,
        "size": 0 if is_folder else shown.size,
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": None if is_folder else f"{base}/raw/{repository.full_name}/{quote(at)}/{quote(path)}",
        "type": "dir" if is_folder else "file",
        "_links": {"self": url, "git": git_url, "html": html_url},
    }
