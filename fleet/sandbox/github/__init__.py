"""A GitHub for one's own machine: REST, GraphQL, git over HTTP and Actions, with real git objects behind them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.actions.machine import Action
from fleet.sandbox.github.actions.steps import Runners
from fleet.sandbox.github.limits import Limits
from fleet.sandbox.github.model_pulls import Pull
from fleet.sandbox.github.pulls import propose_from_fork
from fleet.sandbox.github.pushes import commit_files
from fleet.sandbox.github.service import GitHub
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Loopback
from fleet.sandbox.push import Registries

__all__ = ["Limits", "Runners", "Sandbox", "State", "serve_github"]


class Sandbox:
    """A running sandbox GitHub; a context manager. Tests reach into `state`, `actions`, `limits` and `loopback`."""

    def __init__(self, service: GitHub, port: int) -> None:
        self.service = service
        self.state = service.state
        self.actions = service.actions
        self.issuer = service.issuer
        self.limits = service.meter.limits
        self.loopback = Loopback(service, port)
        self.state.url = self.loopback.url

    @property
    def url(self) -> str:
        """Where the API answers; GraphQL is under `/graphql`."""
        return self.loopback.url

    def commit(self, full_name: str, files: Mapping[str, bytes | str | None], message: str = "A change") -> str:
        """Commit to a repository's default branch behind the client's back; None removes a file. Returns the id."""
        with self.state.lock:
            oid = commit_files(self.state, self.state.repository(full_name), files, message)
            self.actions.wake()
            return oid

    def on_schedule(self, full_name: str) -> None:
        """Start what a repository's workflows have on schedule, as if its time had come."""
        with self.state.lock:
            runs.on_schedule(self.state, self.state.repository(full_name))
            self.actions.wake()

    def propose_from_fork(self, full_name: str, files: Mapping[str, str], author: str) -> Pull:
        """Open a pull request from a fork of somebody who may not push to the repository."""
        with self.state.lock:
            repository = self.state.repository(full_name)
            pull = propose_from_fork(self.state, repository, self.state.account(author), files)
            self.actions.wake()
            return pull

    def close(self) -> None:
        """Stop serving and end what runs beside."""
        self.loopback.close()
        self.service.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve_github(
    folder: Path,
    port: int = 0,
    *,
    limits: Limits | None = None,
    registries: Mapping[str, str] | None = None,
    services: Mapping[str, str] | None = None,
    actions: Mapping[str, Action] | None = None,
    runners: Runners | None = None,
) -> Sandbox:
    """Serve a sandbox GitHub on 127.0.0.1, its git objects under `folder`; `port` 0 picks a free one.

    Builds push over plain HTTP to registries on loopback, and to the hosts that `registries` gives an address for.
    Login steps call what `services` gives addresses for, by host, and `actions` adds actions (see `actions.logins`).
    `runners` says which checkouts composite actions come from, and what a runner's image holds.
    """
    known = Registries(registries or {})
    return Sandbox(GitHub(State(folder), limits or Limits(), known, services, actions, runners), port)
