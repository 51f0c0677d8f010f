"""GitHub, or an Enterprise Server: files are read and committed, source repositories made, builds followed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from fleet.provider import (
    Address,
    Branch,
    Build,
    Change,
    CodeHost,
    CommitRequest,
    Context,
    Files,
    LastChange,
    Limits,
    Logged,
    Objection,
    Proposal,
    Proposed,
    Receipts,
    Remark,
    Resource,
    Reveal,
    Settings,
    SourceRepository,
    Spec,
    Swap,
    Swapped,
    Text,
    Verdict,
)
from fleet_github.blaming import blame
from fleet_github.branch_rules import against_commit
from fleet_github.branches import default_branches
from fleet_github.building import build_of_commit, builds_of_branch, running_builds
from fleet_github.client import Client
from fleet_github.comments import find_remark, put_check, put_comment
from fleet_github.environments import make_environment, set_variable
from fleet_github.files import read_files, write_commit
from fleet_github.leaving import leave
from fleet_github.listing import Listing
from fleet_github.making import make_repository
from fleet_github.managed import write_managed
from fleet_github.organizations import forget, select, set_shared_variable, store_shared
from fleet_github.preflight import notices, preflight
from fleet_github.proposing import find_proposal, list_commits, managed_proposals, propose, propose_managed
from fleet_github.reading import read_world
from fleet_github.refs import read_branch, repository_at, swap_branch
from fleet_github.sealing import store_credential
from fleet_github.settings import GitHubSettings
from fleet_github.specs import (
    ENVIRONMENT,
    FILES,
    OF_ORGANIZATION,
    ORGANIZATION_SECRET,
    ORGANIZATION_VARIABLE,
    REPOSITORY,
    SECRETS,
    SELECTED,
    SELECTED_SECRET,
    SELECTED_VARIABLE,
    VARIABLES,
    ActionsSecret,
    ActionsVariable,
    Environment,
    ManagedFiles,
    OrganizationSecret,
    OrganizationVariable,
    Place,
    Repository,
    Selected,
    SelectedForSecret,
    repository_of,
    rests_on,
)
from fleet_github.wanting import resources_of


class GitHub(CodeHost):
    """GitHub, seen with one login."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {
        REPOSITORY: Repository,
        **dict.fromkeys(SECRETS, ActionsSecret),
        **dict.fromkeys(VARIABLES, ActionsVariable),
        ENVIRONMENT: Environment,
        ORGANIZATION_SECRET: OrganizationSecret,
        ORGANIZATION_VARIABLE: OrganizationVariable,
        SELECTED_SECRET: SelectedForSecret,
        SELECTED_VARIABLE: Selected,
        FILES: ManagedFiles,
    }
    settings: ClassVar[type[Settings]] = GitHubSettings
    limits = Limits(at_once=8, attempts=10)

    def __init__(self, name: str, settings: GitHubSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._client = Client(settings, context)
        self._proposes = settings.delivery == "pull-request"
        self._listing = Listing(self._client, context, name)

    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at the head of a branch: one request for the branch, and one for each hundred files."""
        return read_files(self._client, repository, ref, paths)

    def obstacle(self, repository: str, branch: str) -> str:
        """The rules that let this login commit nothing to a branch: one request, and one for each ruleset."""
        return against_commit(self._client, repository, branch)

    def blame(
        self, repository: str, ref: str | None, lines: Mapping[str, Collection[int]]
    ) -> Mapping[tuple[str, int], LastChange]:
        """The commits that last changed these lines: one request for ten files."""
        return blame(self._client, repository, ref, lines)

    def default_branches(self, repositories: Collection[str]) -> Mapping[str, str]:
        """One query for a hundred repositories."""
        return default_branches(self._client, self.context, repositories)

    def commit(self, request: CommitRequest) -> str:
        """One commit in one request, compared and swapped by GitHub itself."""
        return write_commit(self._client, request)

    def branch(self, repository: str, name: str) -> Branch:
        """All files of a branch that holds data: one request."""
        return read_branch(self._client, repository, name)

    def swap(self, swap: Swap) -> Swapped:
        """One commit on such a branch in one request, or in three to begin it; compared and swapped by GitHub."""
        return swap_branch(self._client, swap)

    def repository_at(self, url: str) -> str | None:
        """`owner/name` where a remote's URL leads to this GitHub."""
        return repository_at(self._client, url)

    def workshop(self, source: SourceRepository) -> tuple[Resource, ...]:
        """The repository, what its builds are given, and its managed files last; raises ValueError for a name GitHub
        won't take."""
        return resources_of(self.name, self.context.fleet, source)

    def repository_of(self, address: Address) -> str:
        """The first two parts of the name of whatever lies there."""
        return repository_of(address)

    def rests_on(self, address: Address) -> Address | None:
        """A repository's place rests on what the organisation gives it."""
        return rests_on(address)

    def cost(self, change: Change) -> int:
        """About how many requests a change takes."""
        match change.after:
            case None:
                return 2
            case OrganizationSecret():
                return 5
            case ActionsSecret() as wanted:
                return 3 + 3 * len(wanted.also)
            case ManagedFiles():
                return 8 if self._proposes else 3
        return {REPOSITORY: 7, ENVIRONMENT: 4, ORGANIZATION_VARIABLE: 2}.get(change.address.kind, 2)

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """One query for 25 repositories with their files, and one request for each list of secrets or variables."""
        return read_world(self._client, self.context, self._listing, addresses)

    def preflight(self, changes: Collection[Change]) -> Mapping[Address, Objection]:
        """What GitHub is sure to refuse: a few requests for each owner, and some for repositories that change."""
        return preflight(self._client, self.context, changes, commits=not self._proposes)

    def notices(self, changes: Collection[Change]) -> Sequence[str]:
        """What would make builds wait."""
        return notices(self._client, self.context, changes)

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Receipts | Proposed | None:
        """Make each thing what it is to be; the receipts are what reading it again needs."""
        if self._proposes and isinstance(changes[0].after, ManagedFiles):
            return propose_managed(self._client, self.context, changes[0].address, changes[0].after)
        receipts: dict[Address, Mapping[str, Any]] = {}
        for change in changes:
            match change.after:
                case Repository() as wanted:
                    make_repository(self._client, self.context, change.address.name, wanted)
                case OrganizationSecret() as wanted:
                    receipts[change.address] = store_shared(self._client, self.context, change.address, wanted, reveal)
                case ActionsSecret() as wanted:
                    place = Place.of(change.address)
                    receipts[change.address] = store_credential(self._client, place, wanted, reveal)
                case Environment() as wanted:
                    place = Place.of(change.address)
                    make_environment(self._client, place.repository, place.name, wanted)
                case ActionsVariable() as wanted:
                    set_variable(self._client, Place.of(change.address), wanted.value)
                case OrganizationVariable() as wanted:
                    receipts[change.address] = set_shared_variable(self._client, change.address, wanted.value)
                case Selected() as wanted:
                    receipts[change.address] = select(self._client, change.address, wanted, reveal)
                case ManagedFiles() as wanted:
                    receipts[change.address] = write_managed(self._client, self.context, change.address.name, wanted)
                case _:
                    self._forget(change)
        return receipts

    def _forget(self, change: Change) -> None:
        """Take what we put into a place that is not ours alone out of it, or have a repository leave; all else stays as
        it is."""
        address = change.address
        if address.kind in OF_ORGANIZATION | SELECTED:
            forget(self._client, self.context, address)
        elif address.kind in SECRETS:
            place = Place.of(address)
            for secret in (*(change.before.also if isinstance(change.before, ActionsSecret) else ()), place.name):
                self._client.rest("DELETE", f"{place.vault}/secrets/{secret}", None, 404)
        elif address.kind == REPOSITORY:
            leave(self._client, self.context.fleet, address.name, change.removal or "forget")

    def builds(self, repository: str, workflow: str) -> Sequence[Build]:
        """The builds of the default branch's newest commits along first parents: two requests."""
        return builds_of_branch(self._client, repository, workflow)

    def build_of(self, repository: str, commit: str, workflow: str) -> Build:
        """What became of one commit's build."""
        return build_of_commit(self._client, repository, commit, workflow)

    def comment(self, repository: str, number: int, marker: str, body: str) -> str:
        """One comment, made or brought up to date."""
        return put_comment(self._client, repository, number, marker, body)

    def judge(self, repository: str, commit: str, verdict: Verdict) -> str:
        """A check on a commit, which an App's token may put there."""
        return put_check(self._client, repository, commit, verdict)

    def proposal(self, repository: str, branch: str, paths: Collection[str]) -> Proposal | None:
        """The newest pull request from a branch: one request, and two where it is open, one where it was closed."""
        return find_proposal(self._client, repository, branch, paths)

    def propose(self, request: CommitRequest, branch: str, text: Text) -> str:
        """One pull request, opened or brought up to date: about seven requests."""
        return propose(self._client, request, branch, text)

    def proposals(self, changes: Collection[Change]) -> Mapping[Address, Proposal]:
        """The pull requests that hold changes of managed files already: up to three requests for each."""
        return managed_proposals(self._client, self.context, changes) if self._proposes else {}

    def commits(self, repository: str, old: str, new: str) -> Sequence[Logged]:
        """The default branch's commits between two: one request."""
        return list_commits(self._client, repository, old, new)

    def remark_on(self, repository: str, commit: str, marker: str) -> Remark | None:
        """Our comment on the pull request that a commit merged."""
        return find_remark(self._client, repository, commit, marker)

    def running(self, repository: str, workflow: str) -> Mapping[str, str]:
        """The runs that have not ended, of the newest hundred: one request."""
        return running_builds(self._client, repository, workflow)
