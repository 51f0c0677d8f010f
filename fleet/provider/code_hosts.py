"""Where repositories live: files and commits, source repositories and their builds, branches for data, proposals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.branch import Branch, Swap, Swapped
from fleet.errors import ProviderError
from fleet.model import Address, Change, Resource, SecretRef
from fleet.proposal import Logged, Proposal, Text
from fleet.provider.base import Provider


@dataclass(frozen=True, slots=True)
class Files:
    """What stood in a repository at one moment: the branch, its head commit, and the files that were asked for.

    A file that does not exist has no entry. `head` and `branch` are empty for a folder without history. `refusal` says
    why a commit to this branch is sure to be refused, `warning` why it may be; empty where nothing speaks against it.
    """

    branch: str
    head: str
    contents: Mapping[str, bytes]
    refusal: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One commit to make: whole new contents by path, on a branch that must still be at `expected_head`.

    `unfinished` holds the git blob ids of contents that an earlier run of ours was writing when it died; a local
    checkout may find them in its working tree and finish the work.
    """

    repository: str
    branch: str
    expected_head: str
    contents: Mapping[str, bytes]
    message: str
    unfinished: Collection[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Organization:
    """What keeps a source's secrets and variables for several repositories, each of which is selected for it.

    `logins` says by the name of a secret, and by each source repository that shares it, where its value is revealed:
    the same for all, and proved to push where that repository's builds do. `needs` is what must exist before any of
    them can be proved.
    """

    name: str
    logins: Mapping[str, Mapping[str, SecretRef]] = field(default_factory=dict)
    needs: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceRepository:
    """What a code host needs to know of an image's source: its `repository`, and a `template` repository if any.

    `branch` is its default branch, and what it is to be where the repository is made from nothing.
    `seed` (first content, where there is no template repository) and `managed` (files kept up to date) are git blob ids
    by path; `secrets` says by name where each value is revealed, `variables` by name what builds may read; both lie in
    `environment` where it names one, open to builds of `branch` only, or in `organization` where there is one. `needs`
    is what must exist first.
    """

    repository: str
    branch: str
    description: str
    visibility: str
    template: str | None
    seed: Mapping[str, str]
    managed: Mapping[str, str]
    secrets: Mapping[str, SecretRef]
    needs: tuple[Address, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    organization: Organization | None = None
    replace_secrets: bool = False
    overwrite_edits: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """What became of a commit's build: `success`, `failure` (with the step that failed), `running`, or `none`."""

    commit: str
    status: str
    url: str = ""
    failed_step: str = ""

    @property
    def tag(self) -> str:
        """The tag that repo2docker-action gives: the first 12 digits of the commit."""
        return self.commit[:12]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of a commit: `conclusion` is `success`, `failure`, `neutral` or `action_required`."""

    name: str
    conclusion: str
    title: str
    summary: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class LastChange:
    """The commit that last changed a line: its id, whose it is and when it was written (ISO 8601), and its message."""

    commit: str
    author: str
    at: str
    message: str

    @property
    def day(self) -> str:
        """The day on which it was written, by the author's own clock."""
        return self.at[:10]

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment of ours on a pull request: its number, the pull request's head, and the comment's text."""

    pull_request: int
    head: str
    body: str


class CodeHost(Provider):
    """A provider where repositories live."""

    def comment(self, repository: str, number: int, marker: str, body: str) -> str:
        """See that the pull request has one comment of ours that holds `marker`, and that it says `body`; its address.

        Others' comments are left alone, whatever they hold.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def judge(self, repository: str, commit: str, verdict: Verdict) -> str:
        """Put a check on a commit; returns its address."""
        raise LookupError(f"{type(self).__name__} has no checks")

    def remark_on(self, repository: str, commit: str, marker: str) -> Remark | None:
        """Our comment that holds `marker`, on the merged pull request that brought a commit; None without one."""
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def proposal(self, repository: str, branch: str, paths: Collection[str]) -> Proposal | None:
        """The newest proposal from a branch of ours, with these files as it has them; None where there never was one.

        A branch of the same name in somebody else's copy of the repository is not ours.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def propose(self, request: CommitRequest, branch: str, text: Text) -> str:
        """See that one proposal is open from `branch` that holds this commit and says `text`; its address.

        An open one is brought up to date, and never joined by a second. The commit lies on top of `expected_head`.
        """
        raise LookupError(f"{type(self).__name__} has no pull requests")

    def proposals(self, changes: Collection[Change]) -> Mapping[Address, Proposal]:
        """For changes that `apply` would propose: the proposals, open or closed unmerged, that hold just that."""
        return {}

    def commits(self, repository: str, old: str, new: str) -> Sequence[Logged]:
        """The commits after `old` up to `new` (first digits of ids), newest first; none where that is not known."""
        return ()

    def workshop(self, source: SourceRepository) -> tuple[Resource, ...]:
        """What must exist for an image's source, the files that start its build last. Pure."""
        raise ValueError(f"{self.name} makes no source repositories")

    def rests_on(self, address: Address) -> Address | None:
        """What must stay for as long as this does, and leaves after it; None where there is no such thing. Pure."""
        return None

    def repository_of(self, address: Address) -> str:
        """The source repository that something of this host belongs to; empty for what belongs to none. Pure."""
        return ""

    def builds(self, repository: str, workflow: str) -> Sequence[Build]:
        """The builds of the default branch's newest commits, from its head backwards along first parents, bounded."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def build_of(self, repository: str, commit: str, workflow: str) -> Build:
        """What became of one commit's build (its latest attempt)."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def running(self, repository: str, workflow: str) -> Mapping[str, str]:
        """The runs of a workflow that have not ended, on whatever branch: the address of each by its id."""
        raise LookupError(f"{type(self).__name__} builds nothing")

    def default_branches(self, repositories: Collection[str]) -> Mapping[str, str]:
        """The default branch of each repository, in few requests; one without a commit, or that is not there or not
        to be seen, has no entry."""
        return {}

    def obstacle(self, repository: str, branch: str) -> str:
        """Why rules are sure to refuse a commit to a branch; empty where they don't, or where that cannot be known.

        It is asked where something is to be written and `files` warned of rules.
        """
        return ""

    @abstractmethod
    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at `ref` (a branch; None for the default or checked-out one), all of one commit."""

    @abstractmethod
    def commit(self, request: CommitRequest) -> str:
        """Make one commit and return its id; raises Conflict when the branch is no longer at `expected_head`."""

    def blame(
        self, repository: str, ref: str | None, lines: Mapping[str, Collection[int]]
    ) -> Mapping[tuple[str, int], LastChange]:
        """The commit that last changed each of these lines, by file and number from 1, at `ref`'s head.

        A line that no commit is known of, as in a clone without its history, has no entry.
        """
        return {}

    def recover(self, repository: str, unfinished: Collection[str]) -> None:
        """Clear away what a run of ours left half done in a repository when it was killed.

        `unfinished` holds the git blob ids of the contents that it was writing.
        """

    def branch(self, repository: str, name: str) -> Branch:
        """All files of a branch that holds data, such as fleet's state, in as few requests as may be."""
        raise ProviderError(f"{self.name} cannot keep data on a branch")

    def swap(self, swap: Swap) -> Swapped:
        """Make one commit on such a branch, or begin it; raises Conflict when it is not at `expected_head`."""
        raise ProviderError(f"{self.name} cannot keep data on a branch")

    def repository_at(self, url: str) -> str | None:
        """The repository that a git remote's URL leads to, as the other methods take it; None for one that lies
        elsewhere. Pure.
        """
        return None

    def origin(self, repository: str) -> str | None:
        """The URL of the remote `origin` of a checkout on the local disk; None where it has none, or is no checkout."""
        return None
