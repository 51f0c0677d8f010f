"""Opens the providers that a fleet names, and only those that a run needs."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from fleet import plugins
from fleet.config import Fleet
from fleet.errors import FleetError
from fleet.model import Address, Spec
from fleet.pace import Pace
from fleet.provider import CodeHost, Context, Provider, Settings
from fleet.secrets import read_secret
from fleet.sites import PROVIDER, Intend, Values

CHECKOUT = "checkout"
"""The code host that serves every local `path:`."""


def local_path(path: str) -> str:
    """A path as addresses hold it: normal, and beginning with `.` or `/` so that it is no `owner/name`."""
    normal = os.path.normpath(path).replace(os.sep, "/")
    return normal if normal.startswith((".", "/")) else f"./{normal}"


def is_local(repository: str) -> bool:
    """Whether a repository of an address is a local path."""
    return repository.startswith((".", "/"))


@dataclass(slots=True)
class Workshop:
    """The providers of one run, each opened when it is first asked for."""

    fleet: Fleet
    folder: Path
    pace: Pace
    intend: Intend = field(default=lambda group, blobs: None)
    unfinished: Collection[str] = ()
    _open: dict[str, Provider] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Provider:
        """The provider of that name in fleet.yaml (or `values`, or `checkout`)."""
        if name not in self._open:
            self._open[name] = self._make(name)
        return self._open[name]

    def spec_type(self, address: Address) -> type[Spec]:
        """The type of the specs at an address; raises FleetError for a kind that its provider does not know."""
        kinds = self[address.provider].kinds
        if address.kind not in kinds:
            raise FleetError(f"{address.provider} knows no kind {address.kind!r}")
        return kinds[address.kind]

    def host(self, repository: str) -> CodeHost:
        """The code host that a repository lies on."""
        name = CHECKOUT if is_local(repository) else self.fleet.code_host_of(repository)
        provider = self[name] if name else None
        if not isinstance(provider, CodeHost):
            raise FleetError(f"no entry of code_hosts serves the repository {repository}")
        return provider

    def _make(self, name: str) -> Provider:
        if name == PROVIDER:
            return Values(self.host, self._context(name, Values), self.intend, self.unfinished)
        if name == CHECKOUT:
            return self._open_as(name, plugins.load_checkout(), Settings(type=CHECKOUT))
        entry = self.fleet.registries.get(name) or self.fleet.code_hosts.get(name)
        if entry is None:
            raise FleetError(f"fleet.yaml has neither a registry nor a code host named {name!r}")
        return self._open_as(name, plugins.load(entry.type), entry.settings)

    def _open_as(self, name: str, provider: type[Provider] | None, settings: Settings) -> Provider:
        if provider is None:
            raise FleetError(f"no installed package offers a provider of type {settings.type!r}")
        return provider(name, settings, self._context(name, provider))

    def _context(self, name: str, provider: type[Provider]) -> Context:
        return Context(
            fleet=self.fleet.name,
            folder=self.folder,
            secret=lambda source: read_secret(source, self.folder),
            spend=_spender(self.pace, name, provider),
        )


def _spender(pace: Pace, name: str, provider: type[Provider]) -> Callable[[], None]:
    return lambda: pace.spend(name, provider.limits)
