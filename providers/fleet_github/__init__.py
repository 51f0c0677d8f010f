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
    Limits,
    Receipts,
    Resource,
    Reveal,
    Settings,
    SourceRepository,
    Spec,
    Swap,
    Swapped,
)
from fleet_github.building import build_of_commit, builds_of_branch
from fleet_github.client import Client
from fleet_github.files import read_files, write_commit
from fleet_github.making import make_repository, store_secret, write_managed
from fleet_github.reading import read_world
from fleet_github.refs import read_branch, repository_at, swap_branch
from fleet_github.settings import GitHubSettings
from fleet_github.specs import (
    FILES,
    REPOSITORY,
    SECRET,
    ActionsSecret,
    First,
    ManagedFiles,
    Repository,
    check_repository_name,
    split_secret,
)

MANAGED = (".github/workflows/build.yaml", ".github/workflows/test.yaml")
"""Files whose ids are read in any case; others are added as sources name them."""


class GitHub(CodeHost):
    """GitHub, seen with one token."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {
        REPOSITORY: Repository,
        SECRET: ActionsSecret,
        FILES: ManagedFiles,
    }
    settings: ClassVar[type[Settings]] = GitHubSettings
    limits = Limits(at_once=8, attempts=10)

    def __init__(self, name: str, settings: GitHubSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._client = Client(settings, context)
        self._paths = set(MANAGED)

    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at the head of a branch: one request for the branch, and one for each hundred files."""
        return read_files(self._client, repository, ref, paths)

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
        """The repository, its secrets, and its managed files last; raises ValueError for a name GitHub won't take."""
        check_repository_name(source.repository)
        self._paths.update(source.managed)
        repository = Address(self.name, REPOSITORY, source.repository)
        wanted = Repository(
            owner=self.context.fleet,
            description=source.description,
            visibility=source.visibility,
            first=First(template=source.template, seed=dict(source.seed)),
        )
        secrets = [
            Resource(
                Address(self.name, SECRET, f"{source.repository}/{name}"),
                ActionsSecret(source=ref, replace=source.replace_secrets),
                (repository,),
            )
            for name, ref in source.secrets.items()
        ]
        files = Resource(
            Address(self.name, FILES, source.repository),
            ManagedFiles(files=dict(source.managed), overwrite=source.overwrite_edits),
            (repository, *(secret.address for secret in secrets)),
        )
        return Resource(repository, wanted, source.needs), *secrets, *([files] if source.managed else [])

    def cost(self, change: Change) -> int:
        """About how many requests a change takes."""
        return {REPOSITORY: 7, SECRET: 3, FILES: 3}.get(change.address.kind, 1) if change.after else 2

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """One query for 25 repositories with their files, and one request for each repository with secrets."""
        return read_world(self._client, self.context, addresses, sorted(self._paths))

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Receipts | None:
        """Make each thing what it is to be; the receipts are what reading it again needs."""
        receipts: dict[Address, Mapping[str, Any]] = {}
        for change in changes:
            match change.after:
                case Repository() as wanted:
                    make_repository(self._client, self.context, change.address.name, wanted)
                case ActionsSecret() as wanted:
                    assert wanted.source is not None
                    repository, name = split_secret(change.address.name)
                    stored = store_secret(self._client, repository, name, reveal(wanted.source))
                    receipts[change.address] = {**stored, "source": wanted.source.model_dump(mode="json")}
                case ManagedFiles() as wanted:
                    receipts[change.address] = write_managed(self._client, self.context, change.address.name, wanted)
                case _:
                    self._forget(change.address)
        return receipts

    def _forget(self, address: Address) -> None:
        """Take our topic off a repository, or our secret out of it; files and all else stay as they are."""
        if address.kind == SECRET:
            repository, name = split_secret(address.name)
            self._client.rest("DELETE", f"/repos/{repository}/actions/secrets/{name}", None, 404)
        elif address.kind == REPOSITORY:
            found = self._client.rest("GET", f"/repos/{address.name}", None, 404)
            topics = found.document.get("topics") or [] if found.status == 200 else []
            kept = [topic for topic in topics if topic != f"fleet-{self.context.fleet}"]
            if kept != topics:
                self._client.rest("PUT", f"/repos/{address.name}/topics", {"names": kept})

    def builds(self, repository: str, workflow: str) -> Sequence[Build]:
        """The builds of the default branch's newest commits along first parents: two requests."""
        return builds_of_branch(self._client, repository, workflow)

    def build_of(self, repository: str, commit: str, workflow: str) -> Build:
        """What became of one commit's build."""
        return build_of_commit(self._client, repository, commit, workflow)
