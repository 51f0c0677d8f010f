"""Every way to move a branch comes through here: the right to touch workflows, branch rules, fast-forward, then git."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from fleet.sandbox.github import gitstore
from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.gitstore import ZERO
from fleet.sandbox.github.model import Account, Push, Repository, Ruleset
from fleet.sandbox.github.objects import (
    Commit,
    Entry,
    Person,
    changed_paths,
    edit_tree,
    find,
    is_ancestor,
    read_commit,
    write_tree,
)
from fleet.sandbox.github.rights import Actor, Need
from fleet.sandbox.github.state import State

WORKFLOWS = ".github/workflows"
WORKFLOW_RIGHT = Need("workflows", "write")

KNOWN_RULES = frozenset(
    {
        "creation",
        "update",
        "deletion",
        "non_fast_forward",
        "pull_request",
        "required_linear_history",
        "required_signatures",
        "required_status_checks",
    }
)
"""Rule types that are kept *and* obeyed."""

GITHUB_SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n\nthe sandbox stands in for GitHub\n-----END PGP SIGNATURE-----"
"""What marks a commit that GitHub itself signed."""


class Refused(Exception):
    """A ref stays where it is, and why."""

    def __init__(self, reason: Literal["workflow", "rule", "fast-forward", "moved"], message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def as_api_error(refused: Refused, actor: Actor, status_of_rule: int) -> ApiError:
    """The refusal in the words of the REST API."""
    if refused.reason == "workflow":
        return actor.refusal(WORKFLOW_RIGHT)
    return ApiError(status_of_rule if refused.reason == "rule" else 422, refused.message)


@dataclass(frozen=True, slots=True)
class Move:
    """A ref that is to move from `old` to `new`; ZERO creates or deletes."""

    ref: str
    old: str
    new: str
    force: bool = False

    @property
    def branch(self) -> str | None:
        """The branch, unless the ref is none."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None


def push(state: State, actor: Actor, repository: Repository, move: Move) -> None:
    """Move a ref in the name of `actor`; raises Refused."""
    check(state, actor, repository, move)
    try:
        state.move_ref(repository, move.ref, move.new, move.old)
    except gitstore.RefMoved as error:
        raise Refused("moved", str(error)) from None
    pushed(state, actor.require_account(), repository, move)


def pushed(state: State, account: Account, repository: Repository, move: Move) -> None:
    """Tell Actions that a ref has moved."""
    state.events.append(Push(repository, move.ref, move.old, move.new, account))


def check(state: State, actor: Actor, repository: Repository, move: Move) -> None:
    """Raise Refused unless this actor may move this ref so."""
    if move.new != ZERO and not actor.has(WORKFLOW_RIGHT, repository):
        _check_workflows(state, repository, move)
    is_forward = ZERO in (move.old, move.new) or is_ancestor(state.store, move.old, move.new)
    if move.branch is not None:
        is_admin = actor.role_on(repository) == "admin"
        broken = [*_violations(state, repository, move, is_forward=is_forward, is_admin=is_admin)]
        if broken:
            raise Refused("rule", "Repository rule violations found\n\n" + "\n\n".join(broken))
    if not (is_forward or move.force):
        raise Refused("fast-forward", "Update is not a fast forward")


def _check_workflows(state: State, repository: Repository, move: Move) -> None:
    new = find(state.store, read_commit(state.store, move.new).tree, WORKFLOWS)
    known = [move.old, *repository.refs.values()]
    trees = [read_commit(state.store, oid).tree for oid in known if oid != ZERO]
    if new is None or any(find(state.store, tree, WORKFLOWS) == new for tree in trees):
        return
    old = find(state.store, trees[0], WORKFLOWS) if trees else None
    paths = changed_paths(state.store, old.oid if old else None, new.oid)
    names = ", ".join(f"`{WORKFLOWS}/{path}`" for path in paths)
    text = f"refusing to allow a Personal Access Token to create or update workflow {names} without `workflow` scope"
    raise Refused("workflow", text)


def rules_of(repository: Repository, branch: str) -> Iterator[tuple[Ruleset, Mapping[str, Any]]]:
    """The rules that are active on a branch, with their rulesets."""
    for ruleset in repository.rulesets.values():
        if ruleset.enforcement == "active" and _covers(ruleset, repository, branch):
            for rule in ruleset.rules:
                yield ruleset, rule


def _covers(ruleset: Ruleset, repository: Repository, branch: str) -> bool:
    return _any(ruleset.include, repository, branch) and not _any(ruleset.exclude, repository, branch)


def _any(patterns: Sequence[str], repository: Repository, branch: str) -> bool:
    is_default = branch == repository.default_branch
    special = {"~ALL": True, "~DEFAULT_BRANCH": is_default}
    return any(special.get(pattern, fnmatchcase(f"refs/heads/{branch}", pattern)) for pattern in patterns)


def _violations(state: State, repository: Repository, move: Move, *, is_forward: bool, is_admin: bool) -> Iterator[str]:
    branch = move.branch
    assert branch is not None
    for _, rule in rules_of(repository, branch):
        text = _violation(state, move, rule, is_forward=is_forward)
        if text:
            yield text
    protection = repository.protection.get(branch)
    if protection is None or (is_admin and not protection.enforce_admins):
        return
    if move.new == ZERO:
        yield "Cannot delete this branch"
    elif protection.required_reviews:
        yield "Changes must be made through a pull request."
    if protection.required_checks:
        yield _expected(protection.required_checks)


def _violation(state: State, move: Move, rule: Mapping[str, Any], *, is_forward: bool) -> str | None:
    creates, deletes = move.old == ZERO, move.new == ZERO
    updates = not creates and not deletes
    is_broken, text = {
        "creation": (creates, "Cannot create ref due to creations being restricted."),
        "update": (updates, "Cannot update this protected ref."),
        "deletion": (deletes, "Cannot delete this branch"),
        "non_fast_forward": (not is_forward, "Cannot force-push to this branch"),
        "pull_request": (updates, "Changes must be made through a pull request."),
        "required_status_checks": (updates, _expected_checks(rule)),
        "required_linear_history": (
            not deletes and _is_merge(state, move),
            "This branch must not contain merge commits.",
        ),
        "required_signatures": (not deletes and _is_unsigned(state, move), "Commits must have verified signatures."),
    }[rule["type"]]
    return text if is_broken else None


def _expected_checks(rule: Mapping[str, Any]) -> str:
    checks = rule.get("parameters", {}).get("required_status_checks", [])
    return _expected(check["context"] for check in checks)


def _expected(checks: Iterable[str]) -> str:
    return " ".join(f'Required status check "{check}" is expected.' for check in checks)


def _is_merge(state: State, move: Move) -> bool:
    return len(read_commit(state.store, move.new).parents) > 1


def _is_unsigned(state: State, move: Move) -> bool:
    return not read_commit(state.store, move.new).signature


def person(state: State, account: Account) -> Person:
    """An account as author or committer, now."""
    return Person(account.name or account.login, account.email, state.clock.now())


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit to be made; `signed` by GitHub itself or not at all."""

    tree: str
    parents: Sequence[str]
    message: str
    signed: bool = False


def commit(state: State, account: Account, draft: Draft) -> str:
    """Store a commit by this account and return its id."""
    who, signature = person(state, account), GITHUB_SIGNATURE if draft.signed else ""
    made = Commit(draft.tree, tuple(draft.parents), who, who, draft.message, signature)
    return state.store.write("commit", made.encode())


def commit_files(state: State, repository: Repository, files: Mapping[str, bytes | str | None], message: str) -> str:
    """Change the default branch behind everybody's back, as its owner would by git; None removes a file."""
    store, head = state.store, repository.head
    contents = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    changes = {
        path: None if data is None else Entry("100644", store.write("blob", data)) for path, data in contents.items()
    }
    tree = edit_tree(store, read_commit(store, head).tree if head else None, changes) or write_tree(store, {})
    oid = commit(state, repository.owner, Draft(tree, [head] if head else [], message))
    move = Move(f"refs/heads/{repository.default_branch}", head or ZERO, oid)
    state.move_ref(repository, move.ref, move.new, move.old)
    pushed(state, repository.owner, repository, move)
    return oid
