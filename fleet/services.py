"""Opens the providers that a fleet names, and only those that a run needs."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from fleet import plugins
from fleet.builds import PROVIDER as BUILDS
from fleet.builds import Builds
from fleet.config import Fleet, Source
from fleet.errors import FleetError, InputError, ProviderError
from fleet.issuing import Issuing
from fleet.model import Address, SecretRef, Spec
from fleet.pace import Pace
from fleet.provider import CodeHost, Context, Each, Files, HubTarget, Provider, Registry, Secret, Settings
from fleet.retirement import PROVIDER as CREDENTIALS
from fleet.retirement import IssuedCredentials
from fleet.secrets import SecretSource, read_secret
from fleet.site import PROVIDER, is_local
from fleet.sites import Describe, Intend, Values

if TYPE_CHECKING:
    from fleet.http import Timeouts
    from fleet.state import State

Item = TypeVar("Item")
Result = TypeVar("Result")

CHECKOUT = "checkout"
"""The code host that serves every local `path:`."""


def local_path(path: str) -> str:
    """A path as addresses hold it: normal, and beginning with `.` or `/` so that it is no `owner/name`."""
    normal = os.path.normpath(path).replace(os.sep, "/")
    return normal if normal.startswith((".", "/")) else f"./{normal}"


OCI = "oci"
"""The provider type for any registry that fleet.yaml does not name."""

ANONYMOUS = "anonymous "
"""How the names of registries begin that are asked as nobody; no entry of fleet.yaml can be called so."""


CONFIGURATOR = "configurator"
"""The key of a hub whose image is set by its configurator, and the hub target that does so."""

_TARGET = f"{CONFIGURATOR}/"
"""How the names of hub targets begin; each hub's is a provider of its own, so that no hub waits for another."""


@dataclass(slots=True)
class Workshop:
    """The providers of one run, each opened when it is first asked for.

    `source` is the text of fleet.yaml, where there is one: what is wrong with a secret is then said with its place.
    `without` names registries of fleet.yaml whose login this run does not have.
    """

    fleet: Fleet
    folder: Path
    pace: Pace
    intend: Intend = field(default=lambda group, blobs: None)
    describe: Describe = field(default=lambda changes: "")
    unfinished: Collection[str] = ()
    timeouts: Timeouts | None = None
    receipts: dict[Address, Mapping[str, Any]] = field(default_factory=dict)
    begun: set[Address] = field(default_factory=set)
    stored: dict[Address, str] = field(default_factory=dict)
    retiring: set[Address] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)
    wanted: dict[Address, Spec] = field(default_factory=dict)
    source: Source | None = None
    without: frozenset[str] = frozenset()
    _open: dict[str, Provider] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Provider:
        """The provider of that name in fleet.yaml (or `values`, `checkout`, or that of `target`)."""
        if name not in self._open:
            self._open[name] = self._make(name)
        return self._open[name]

    def remember(self, state: State) -> None:
        """Lend to providers what they asked to be told again: receipts, where a killed run was writing, which issued
        credential was stored last, and whose older one is still to be revoked."""
        for address, thing in state.things.items():
            if thing.receipt is not None:
                self.receipts[Address.parse(address)] = thing.receipt
        self.begun |= {Address.parse(step.address) for begun in state.begun.values() for step in begun.steps}
        self.stored.update({Address.parse(address): key for address, key in state.stored.items()})
        self.retiring |= {Address.parse(address) for address in state.retiring}

    def spec_type(self, address: Address) -> type[Spec]:
        """The type of the specs at an address; raises FleetError for a kind that its provider does not know."""
        kinds = self[address.provider].kinds
        if address.kind not in kinds:
            raise FleetError(f"{address.provider} knows no kind {address.kind!r}")
        return kinds[address.kind]

    def reveal(self, ref: SecretRef) -> Secret:
        """A secret at the moment of use; of one that is shown once, use `issuing` for all fields together."""
        return self.issuing().reveal(ref)

    def issuing(self) -> Issuing:
        """What reveals the secrets of one group."""
        return Issuing(self, self.stored)

    def registry_at(self, host: str) -> Registry:
        """The registry that serves a host: the entry of fleet.yaml that does, else one that is asked as nobody."""
        for name in (name for name in self.fleet.registries if name not in self.without):
            provider = self[name]
            if isinstance(provider, Registry) and provider.host == host:
                return provider
        provider = self[f"{ANONYMOUS}{host}"]
        assert isinstance(provider, Registry)
        return provider

    def host(self, repository: str) -> CodeHost:
        """The code host that a repository lies on."""
        name = CHECKOUT if is_local(repository) else self.fleet.code_host_of(repository)
        provider = self[name] if name else None
        if not isinstance(provider, CodeHost):
            raise FleetError(f"no entry of code_hosts serves the repository {repository}")
        return provider

    def proposes(self, repository: str) -> bool:
        """Whether changes of files there are proposed instead of committed: on the code host, by pull request."""
        name = None if is_local(repository) else self.fleet.code_host_of(repository)
        return name is not None and self.fleet.code_hosts[name].delivery == "pull-request"

    def apart(self, repository: str, pace: Pace) -> CodeHost:
        """The code host of a repository, opened once more, with a pace of its own: it can be asked when this run may
        ask no more."""
        name = CHECKOUT if is_local(repository) else self.fleet.code_host_of(repository)
        if name is None:
            raise FleetError(f"no entry of code_hosts serves the repository {repository}")
        provider = self._make(name, pace)
        assert isinstance(provider, CodeHost), f"{name} is an entry of code_hosts"
        return provider

    def target(self, hub: str) -> HubTarget:
        """What sets the image of a hub that has a configurator."""
        provider = self[f"{_TARGET}{hub}"]
        assert isinstance(provider, HubTarget)
        return provider

    def files(self, repository: str, ref: str | None, paths: Collection[str]) -> Files:
        """Files of a repository, asked for again while the trouble is a passing one."""
        host = self.host(repository)
        return self.pace.repeat(host.limits, lambda: host.files(repository, ref, paths))

    def code_host(self, name: str) -> CodeHost:
        """The code host of that name in fleet.yaml."""
        provider = self[name]
        assert isinstance(provider, CodeHost), f"{name} is an entry of code_hosts"
        return provider

    def _make(self, name: str, pace: Pace | None = None) -> Provider:
        if name == PROVIDER:
            return Values(
                self.host,
                self._context(name),
                self.intend,
                self.unfinished,
                self.proposes,
                lambda of: self.describe(of),
            )
        if name == BUILDS:
            return Builds(self.code_host, self.registry_at, self.receipts.get, self.pace)
        if name == CREDENTIALS:
            return IssuedCredentials(self.code_host, self.__getitem__, self.stored.get, self.pace)
        if name == CHECKOUT:
            return self._open_as(name, plugins.load_checkout(), Settings(type=CHECKOUT), pace)
        if name.startswith(ANONYMOUS):
            return self._anonymous(name)
        if name.startswith(_TARGET):
            return self._target(name)
        entry = self.fleet.registries.get(name) or self.fleet.code_hosts.get(name)
        if entry is None:
            raise FleetError(f"fleet.yaml has neither a registry nor a code host named {name!r}")
        return self._open_as(name, plugins.load(entry.type), entry.settings, pace)

    def _anonymous(self, name: str) -> Provider:
        provider = plugins.load(OCI)
        assert provider is not None, "the distribution itself brings it"
        from fleet.oci import registry_url  # only fleets that ask a registry pay for it

        url = registry_url(name.removeprefix(ANONYMOUS))
        return self._open_as(name, provider, provider.settings.model_validate({"type": OCI, "url": url}))

    def _target(self, name: str) -> Provider:
        hub = self.fleet.hubs.get(name.removeprefix(_TARGET))
        if hub is None or hub.configurator is None:
            raise FleetError(f"fleet.yaml has no hub with the configurator {name!r}")
        provider = plugins.load_hub_target(CONFIGURATOR)
        assert provider is not None, "the distribution itself brings it"
        url = hub.configurator.url or f"{hub.url.rstrip('/')}/services/{CONFIGURATOR}"
        settings = {"type": CONFIGURATOR, "url": url, "auth": {"token": hub.configurator.auth.token}}
        return self._open_as(name, provider, provider.settings.model_validate(settings))

    def _open_as(
        self, name: str, provider: type[Provider] | None, settings: Settings, pace: Pace | None = None
    ) -> Provider:
        if provider is None:
            raise FleetError(f"no installed package offers a provider of type {settings.type!r}")
        return provider(name, settings, self._context(name, pace or self.pace))

    def _context(self, name: str, pace: Pace | None = None) -> Context:
        pace = pace or self.pace
        return Context(
            fleet=self.fleet.name,
            folder=self.folder,
            secret=lambda source: self._secret(name, source),
            spend=lambda: pace.spend(name, self[name].limits),
            each=self._each(name),
            recorded=self.receipts.get,
            begun=self.begun.__contains__,
            wanted=self.wanted.get,
            cache=self._cache(),
            blob=self.blobs.__getitem__,
            timeouts=self.timeouts,
        )

    def _cache(self) -> Path | None:
        """A folder beside the state, once there is a state; fleet's folder keeps itself out of git."""
        state = self.fleet.state_folder
        return self.folder / state / "cache" if state is not None and (self.folder / state).is_dir() else None

    def _secret(self, name: str, source: SecretSource) -> Secret:
        try:
            return read_secret(source, self.folder)
        except ProviderError as error:
            if self.source is None:
                raise
            block = "registries" if name in self.fleet.registries else "code_hosts"
            keys = (block, name, *(_path_to(source, getattr(self.fleet, block)[name].settings) or ()))
            raise InputError(
                [self.source.diagnostic(keys, f"the secret of {name} is not to be had: {error}")]
            ) from None

    def _each(self, name: str) -> Each:
        """Several at once, within the provider's limits, each repeated by itself while its trouble is a passing one."""

        def each(work: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
            limits = self[name].limits
            with ThreadPoolExecutor(limits.at_once, thread_name_prefix="fleet-each") as pool:
                return list(pool.map(lambda item: self.pace.repeat(limits, lambda: work(item)), items))

        return each


def _path_to(source: SecretSource, settings: BaseModel) -> tuple[str, ...] | None:
    """The keys that lead from a provider's settings to a secret source; None where it is not in there."""
    for name, declared in type(settings).model_fields.items():
        value = getattr(settings, name)
        key = declared.alias or name
        if value == source:
            return (key,)
        inner = _path_to(source, value) if isinstance(value, BaseModel) else None
        if inner is not None:
            return (key, *inner)
    return None
