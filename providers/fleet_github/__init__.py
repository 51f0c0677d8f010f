"""GitHub, or a GitHub Enterprise Server, as a code host: files are read and committed through its API."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from fleet.provider import CodeHost, CommitRequest, Context, Files, Limits, Settings
from fleet_github.client import Client
from fleet_github.files import read_files, write_commit
from fleet_github.settings import GitHubSettings


class GitHub(CodeHost):
    """GitHub, seen with one token."""

    settings: ClassVar[type[Settings]] = GitHubSettings
    limits = Limits(at_once=8)

    def __init__(self, name: str, settings: GitHubSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._client = Client(settings, context)

    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """The files at the head of a branch: one request for the branch, and one for each hundred files."""
        return read_files(self._client, repository, ref, paths)

    def commit(self, request: CommitRequest) -> str:
        """One commit in one request, compared and swapped by GitHub itself."""
        return write_commit(self._client, request)
