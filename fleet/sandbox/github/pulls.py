"""Pull requests: what merging would make, what forbids it, and the merge itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.gitstore import ZERO, merge_trees
from fleet.sandbox.github.model import Account, Repository
from fleet.sandbox.github.model_pulls import Pull, PullEvent
from fleet.sandbox.github.objects import Entry, edit_tree, is_ancestor, read_commit
from fleet.sandbox.github.pushes import Draft, Move, commit, pushed, rules_of
from fleet.sandbox.github.state import State


def base_head(repository: Repository, pull: Pull) -> str:
    """Where the branch is that a pull request would change."""
    return repository.refs[f"refs/heads/{pull.base}"]


def merge_tree(repository: Repository, pull: Pull) -> str | None:
    """The tree that merging would make; None when the branches conflict."""
    return merge_trees(repository.bare, base_head(repository, pull), pull.head_sha)


def try_merge(state: State, repository: Repository, pull: Pull) -> str | None:
    """The commit that GitHub keeps under refs/pull/N/merge; None when the branches conflict."""
    tree = merge_tree(repository, pull)
    if tree is None:
        return None
    base = base_head(repository, pull)
    message = f"Merge {pull.head_sha} into {base}"
    pull.merge_sha = commit(state, pull.author, Draft(tree, [base, pull.head_sha], message, signed=True))
    name = f"refs/pull/{pull.number}/merge"
    state.move_ref(repository, name, pull.merge_sha, repository.refs.get(name, ZERO))
    return pull.merge_sha


def propose_from_fork(state: State, repository: Repository, author: Account, files: Mapping[str, str]) -> Pull:
    """Somebody who may not push here opens a pull request from a fork, with one commit on the default branch's head."""
    head = repository.head
    assert head is not None
    changes = {path: Entry("100644", state.store.write("blob", text.encode())) for path, text in files.items()}
    tree = edit_tree(state.store, read_commit(state.store, head).tree, changes)
    assert tree is not None
    oid = commit(state, author, Draft(tree, [head], "A proposal"))
    number, now = len(repository.pulls) + 1, state.clock.now()
    shas = (oid, head)
    pull = Pull(
        state.next_id(), number, author, "A proposal", None, "patch-1", repository.default_branch, *shas, now, now
    )
    pull.from_fork = True
    state.move_ref(repository, f"refs/pull/{number}/head", oid, ZERO)
    repository.pulls[number] = pull
    state.events.append(PullEvent(repository, pull, "opened", author))
    return pull


def has_commits(state: State, repository: Repository, head: str, base: str) -> bool:
    """Whether one branch has something that the other lacks."""
    refs = repository.refs
    return not is_ancestor(state.store, refs[f"refs/heads/{head}"], refs[f"refs/heads/{base}"])


def successes(repository: Repository, sha: str) -> set[str]:
    """The checks and statuses that have succeeded at a commit, by name."""
    newest = {status.context: status.state for status in repository.statuses if status.sha == sha}
    jobs = {job.name: job.conclusion for run in repository.runs if run.trigger.head_sha == sha for job in run.jobs}
    checks = {check.name: check.conclusion for check in repository.checks if check.sha == sha}
    return {name for name, state in {**newest, **jobs, **checks}.items() if state == "success"}


def _obstacles(repository: Repository, pull: Pull) -> Iterator[str]:
    reviews, checks = 0, []
    protection = repository.protection.get(pull.base)
    if protection is not None:
        reviews, checks = protection.required_reviews, list(protection.required_checks)
    for _, rule in rules_of(repository, pull.base):
        parameters = rule.get("parameters", {})
        reviews = max(reviews, parameters.get("required_approving_review_count", 0))
        checks += [check["context"] for check in parameters.get("required_status_checks", ())]
    if reviews:
        yield f"At least {reviews} approving review is required by reviewers with write access."
    for check in checks:
        if check not in successes(repository, pull.head_sha):
            yield f'Required status check "{check}" is expected.'


@dataclass(frozen=True, slots=True)
class Merge:
    """How to merge: in whose name, as one commit or with both parents, and with which message."""

    account: Account
    squash: bool
    message: str


def merge(state: State, repository: Repository, pull: Pull, how: Merge) -> str:
    """Merge, and close; returns the new head of the base. Raises 405 while something forbids it."""
    obstacles = list(_obstacles(repository, pull))
    if obstacles:
        raise ApiError(405, "Repository rule violations found\n\n" + "\n\n".join(obstacles))
    tree = merge_tree(repository, pull)
    if pull.state == "closed" or pull.draft or tree is None:
        raise ApiError(405, "Pull Request is not mergeable")
    base = base_head(repository, pull)
    parents = [base] if how.squash else [base, pull.head_sha]
    oid = commit(state, how.account, Draft(tree, parents, how.message, signed=True))
    move = Move(f"refs/heads/{pull.base}", base, oid)
    state.move_ref(repository, move.ref, move.new, move.old)
    pushed(state, how.account, repository, move)
    pull.state, pull.merged_by, pull.merge_sha = "closed", how.account, oid
    pull.closed_at = pull.updated_at = state.clock.now()
    return oid
