"""Fields of git objects: blobs, trees and commits, with the runs at a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphql import GraphQLResolveInfo

from fleet.sandbox.github import views, views_actions
from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.gitstore import blame
from fleet.sandbox.github.graphql.values import Context, GitObject, page
from fleet.sandbox.github.model import Account
from fleet.sandbox.github.model_actions import Run
from fleet.sandbox.github.objects import Commit, Entry, Person, find, history, read_tree
from fleet.sandbox.github.state import State

Info = GraphQLResolveInfo[Context]
_LONGEST_TEXT = 512 * 1024
"""Characters of a blob's text that GitHub answers with."""


def _common(prefix: str) -> dict[str, Callable[..., Any]]:
    return {
        "id": lambda one, _: views.node_id(prefix, f"{one.repository.id}:{one.oid}"),
        "oid": lambda one, _: one.oid,
        "abbreviatedOid": lambda one, _: one.oid[:7],
        "repository": lambda one, _: one.repository,
    }


# --- blobs and trees


def _data(one: GitObject, info: Info) -> bytes:
    found = info.context.state.store.read(one.oid)
    assert found is not None
    return found.data


def _is_binary(data: bytes) -> bool:
    return b"\0" in data[:8000]


def _text(one: GitObject, info: Info) -> str | None:
    data = _data(one, info)
    return None if _is_binary(data) else data.decode(errors="replace")[:_LONGEST_TEXT]


_BLOB: dict[str, Callable[..., Any]] = {
    **_common("B"),
    "byteSize": lambda one, info: len(_data(one, info)),
    "isBinary": lambda one, info: _is_binary(_data(one, info)),
    "isTruncated": lambda one, info: len(_data(one, info)) > _LONGEST_TEXT,
    "text": _text,
}


def _entries(one: GitObject, info: Info) -> list[dict[str, Any]]:
    store = info.context.state.store
    return [_entry(one, info.context.state, name, name, entry) for name, entry in read_tree(store, one.oid).items()]


def _entry(one: GitObject, state: State, name: str, path: str, entry: Entry) -> dict[str, Any]:
    found = state.store.read(entry.oid) if entry.kind == "blob" else None
    return {
        "name": name,
        "path": path,
        "mode": int(entry.mode, 8),
        "type": entry.kind,
        "oid": entry.oid,
        "size": 0 if found is None else len(found.data),
        "object": GitObject(one.repository, entry.oid, entry.kind),
    }


# --- commits


def _commit(one: GitObject, info: Info) -> Commit:
    return one.commit(info.context.state)


def _actor(state: State, shown: Person) -> dict[str, Any]:
    users: dict[str, Account] = {account.email: account for account in state.accounts.values()}
    user = users.get(shown.email)
    return {
        "name": shown.name,
        "email": shown.email,
        "date": shown.date.isoformat(),
        "user": user if user is not None and user.kind == "User" else None,
    }


def _file(one: GitObject, info: Info, path: str) -> dict[str, Any] | None:
    state = info.context.state
    entry = find(state.store, one.commit(state).tree, path)
    return None if entry is None else _entry(one, state, path.rpartition("/")[2], path, entry)


def _parents(one: GitObject, info: Info, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    parents = [GitObject(one.repository, oid, "commit") for oid in _commit(one, info).parents]
    return page("parents", lambda: parents, first, after)


def _history(
    one: GitObject, info: Info, first: int | None = None, after: str | None = None, path: str | None = None
) -> dict[str, Any]:
    store = info.context.state.store

    def commits() -> Iterator[GitObject]:
        for oid, commit in history(store, one.oid):
            before = GitObject(one.repository, commit.parents[0], "commit") if commit.parents else None
            old = find(store, before.commit(info.context.state).tree, path) if before and path else None
            if path is None or find(store, commit.tree, path) != old:
                yield GitObject(one.repository, oid, "commit")

    return page("history", commits, first, after)


def _headline(one: GitObject, info: Info) -> str:
    return _commit(one, info).message.partition("\n")[0]


def _body(one: GitObject, info: Info) -> str:
    return _commit(one, info).message.partition("\n")[2].strip("\n")


def _blame(one: GitObject, info: Info, path: str) -> dict[str, Any]:
    """Real git's answer, line by line; GitHub joins the lines of one commit that follow each other."""
    ranges: list[dict[str, Any]] = []
    for number, oid in enumerate(blame(one.repository.bare, one.oid, path), 1):
        if ranges and ranges[-1]["commit"].oid == oid:
            ranges[-1]["endingLine"] = number
        else:
            commit = GitObject(one.repository, oid, "commit")
            ranges.append({"startingLine": number, "endingLine": number, "age": 1, "commit": commit})
    return {"ranges": ranges}


# --- runs


def _runs(one: GitObject) -> list[Run]:
    return [run for run in one.repository.runs if run.trigger.head_sha == one.oid and run.veil.look()]


def _check_suites(one: GitObject, info: Info, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    info.context.require("actions=read", one.repository)
    found = [_check_suite(one, info, run) for run in _runs(one)]
    return page("checkSuites", lambda: found, first, after)


def _check_suite(one: GitObject, info: Info, run: Run) -> dict[str, Any]:
    base = info.context.base
    return {
        "id": views.node_id("CS", run.check_suite),
        "databaseId": run.check_suite,
        "status": run.status.upper(),
        "conclusion": run.conclusion.upper() if run.conclusion else None,
        "createdAt": stamp(run.created_at),
        "updatedAt": stamp(run.updated_at),
        "url": f"{base}/{one.repository.full_name}/commit/{one.oid}/checks?check_suite_id={run.check_suite}",
        "app": {"id": views.node_id("A", 15368), "name": "GitHub Actions", "slug": "github-actions"},
        "commit": one,
        "workflowRun": lambda info: _workflow_run(info, run),
    }


def _workflow_run(info: Info, run: Run) -> dict[str, Any]:
    head = run.repository.head
    exists = head is not None and run.workflow.path in runs.files_at(info.context.state, run.repository, head)
    return {
        "id": views.node_id("WFR", run.id),
        "databaseId": run.id,
        "event": run.trigger.event,
        "runNumber": run.number,
        "createdAt": stamp(run.created_at),
        "updatedAt": stamp(run.updated_at),
        "url": views_actions.run_page(info.context.base, run),
        "file": {"id": views.node_id("WRF", run.id), "path": run.workflow.path},
        "workflow": {
            "id": views.node_id("W", run.workflow.id),
            "databaseId": run.workflow.id,
            "name": run.name,
            "state": "ACTIVE" if exists else "DELETED",
            "createdAt": stamp(run.workflow.created_at),
            "updatedAt": stamp(run.workflow.created_at),
        },
    }


def _rollup(one: GitObject, _: Info) -> dict[str, Any] | None:
    """What runs and the newest status of each context come to."""
    statuses = {status.context: status.state for status in one.repository.statuses if status.sha == one.oid}
    states = {run.conclusion or "pending" for run in _runs(one)} | set(statuses.values())
    if not states:
        return None
    bad = states - {"pending", "success", "skipped", "neutral"}
    state = "FAILURE" if bad else "PENDING" if "pending" in states else "SUCCESS"
    return {"id": views.node_id("SCR", f"{one.repository.id}:{one.oid}"), "state": state}


_COMMIT: dict[str, Callable[..., Any]] = {
    **_common("C"),
    "url": lambda one, info: f"{info.context.base}/{one.repository.full_name}/commit/{one.oid}",
    "message": lambda one, info: _commit(one, info).message,
    "messageHeadline": _headline,
    "messageBody": _body,
    "authoredDate": lambda one, info: stamp(_commit(one, info).author.date),
    "committedDate": lambda one, info: stamp(_commit(one, info).committer.date),
    "author": lambda one, info: _actor(info.context.state, _commit(one, info).author),
    "committer": lambda one, info: _actor(info.context.state, _commit(one, info).committer),
    "tree": lambda one, info: GitObject(one.repository, _commit(one, info).tree, "tree"),
    "file": _file,
    "blame": _blame,
    "parents": _parents,
    "history": _history,
    "checkSuites": _check_suites,
    "statusCheckRollup": _rollup,
}

RESOLVERS = {"Blob": _BLOB, "Tree": {**_common("T"), "entries": _entries}, "Commit": _COMMIT}
