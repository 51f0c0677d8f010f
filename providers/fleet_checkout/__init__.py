"""The code host that is a local git checkout: values files beside the fleet repository, read and committed in place.

What counts is the commit at the head of the checked-out branch, never what happens to stand in the work tree. A plain
folder without git can be planned from, not committed to. No request goes over the network, so nothing is spent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from fleet.provider import Branch, CodeHost, CommitRequest, Files, LastChange, Limits, ProviderError, Swap, Swapped
from fleet_checkout import committing, refs, worktree
from fleet_checkout.blaming import blame


class Checkout(CodeHost):
    """A local git checkout; a repository is the path of its folder, absolute or relative to fleet.yaml."""

    limits = Limits(at_once=1)

    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at the head of the checked-out branch; `ref` may only name that branch.

        Raises ProviderError for a missing folder, a path that leaves it, and anything that is no file.
        """
        folder = self._folder(repository)
        tree = worktree.find_work_tree(folder)
        return worktree.read_folder(folder, paths) if tree is None else worktree.read_head(tree, ref, paths)

    def blame(
        self, repository: str, ref: str | None, lines: Mapping[str, Collection[int]]
    ) -> Mapping[tuple[str, int], LastChange]:
        """The commits that last changed these lines; none for a folder without git, or beyond a shallow clone."""
        tree = worktree.find_work_tree(self._folder(repository))
        return {} if tree is None else blame(tree, lines)

    def commit(self, request: CommitRequest) -> str:
        """One commit with the operator's identity, hooks and signing; an earlier run's leftovers are settled first.

        Raises Conflict when the branch moved, TryAgain while another command writes, and ProviderError, with
        everything put back, where the checkout, git or a hook refuses.
        """
        folder = self._folder(request.repository)
        tree = worktree.find_work_tree(folder)
        if tree is None:
            raise ProviderError(
                f"{folder} is not a git checkout, so nothing can be committed there; run git init first"
            )
        return committing.commit(tree, request)

    def recover(self, repository: str, unfinished: Collection[str]) -> None:
        """Finish or put back what a killed run left; its own journal says what."""
        tree = worktree.find_work_tree(self._folder(repository))
        if tree is not None:
            committing.recover(tree)

    def branch(self, repository: str, name: str) -> Branch:
        """All files of a branch that is not checked out; the repository may be bare, its clock is this machine's."""
        return refs.read_branch(refs.find_repository(self._folder(repository), name))

    def swap(self, swap: Swap) -> Swapped:
        """One commit on such a branch, compared and swapped by git, without work tree, hooks or signing."""
        return refs.swap_branch(refs.find_repository(self._folder(swap.repository), swap.branch), swap)

    def repository_at(self, url: str) -> str | None:
        """The path that a remote's URL names on this machine."""
        return refs.repository_at(url)

    def origin(self, repository: str) -> str | None:
        """The URL of the remote `origin`; a path on this machine is absolute."""
        return refs.origin_of(self._folder(repository))

    def _folder(self, repository: str) -> Path:
        return self.context.folder / repository
