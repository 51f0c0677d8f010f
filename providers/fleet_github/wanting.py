"""What fleet.yaml wants of GitHub for a source: the repository, what its builds are given, and its files last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.provider import Address, Organization, Resource, SecretRef, SourceRepository, Spec
from fleet_github.specs import (
    ENVIRONMENT,
    ENVIRONMENT_SECRET,
    ENVIRONMENT_VARIABLE,
    FILES,
    ORGANIZATION_SECRET,
    ORGANIZATION_VARIABLE,
    REPOSITORY,
    SECRET,
    SELECTED_SECRET,
    SELECTED_VARIABLE,
    VARIABLE,
    ActionsSecret,
    ActionsVariable,
    Environment,
    First,
    ManagedFiles,
    OrganizationSecret,
    OrganizationVariable,
    Repository,
    Selected,
    SelectedForSecret,
    check_repository_name,
)

ANYWHERE = "*"
"""Stands for whatever repositories of a registry a shared login pushes to."""


def resources_of(provider: str, fleet: str, source: SourceRepository) -> tuple[Resource, ...]:
    """All that must exist, in order; `provider` is the code host's name in fleet.yaml.

    Raises ValueError for a name that GitHub won't take.
    """
    check_repository_name(source.repository)
    address = Address(provider, REPOSITORY, source.repository)
    wanted = Repository(
        owner=fleet,
        description=source.description,
        visibility=source.visibility,
        first=First(template=source.template, branch=source.branch, seed=dict(source.seed)),
    )
    made = Resource(address, wanted, source.needs)
    if source.organization is not None:
        kept = list(_Shared(provider, fleet, source, source.organization).resources())
    else:
        kept = list(_Own(provider, source).resources())
    files = Resource(
        Address(provider, FILES, source.repository),
        ManagedFiles(files=dict(source.managed), overwrite=source.overwrite_edits),
        (address, *(one.address for one in kept if one.address.kind != ENVIRONMENT)),
    )
    return made, *kept, *([files] if source.managed else [])


@dataclass(frozen=True, slots=True)
class _Own:
    """What lies in the source repository itself, or in an environment of it."""

    provider: str
    source: SourceRepository

    def resources(self) -> Iterator[Resource]:
        """The environment if any, each credential once, by the first of the secrets that hold a part of it, and each
        variable."""
        source = self.source
        holder = Address(self.provider, REPOSITORY, source.repository)
        if source.environment:
            repository, holder = holder, Address(self.provider, ENVIRONMENT, self._path())
            yield Resource(holder, Environment(branches=(source.branch,)), (repository,))
        for name, ref, also in _by_credential(source.secrets):
            wanted = ActionsSecret(source=ref, also=also, replace=source.replace_secrets)
            needs = (holder, *(need for need in source.needs if need == ref.source))
            kind = ENVIRONMENT_SECRET if source.environment else SECRET
            yield Resource(Address(self.provider, kind, self._path(name)), wanted, needs)
        for name, value in source.variables.items():
            kind = ENVIRONMENT_VARIABLE if source.environment else VARIABLE
            yield Resource(Address(self.provider, kind, self._path(name)), ActionsVariable(value=value), (holder,))

    def _path(self, *names: str) -> str:
        return "/".join(filter(None, (self.source.repository, self.source.environment, *names)))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What lies in an organisation, which gives it to this repository among others."""

    provider: str
    fleet: str
    source: SourceRepository
    organization: Organization

    def resources(self) -> Iterator[Resource]:
        """Each secret and each variable, the same whoever of those that share it asks, and this repository's place
        among those that it is given to."""
        replace = self.source.replace_secrets
        for name, ref in self.source.secrets.items():
            login = ref.model_copy(update={"source": ref.source._replace(name=ANYWHERE)})
            logins = dict(self.organization.logins[name])
            secret = OrganizationSecret(source=login, logins=logins, replace=replace)
            address = self._address(ORGANIZATION_SECRET, name)
            yield Resource(address, secret, self.organization.needs)
            yield self._place(SELECTED_SECRET, name, SelectedForSecret(owner=self.fleet, login=ref), address)
        for name, value in self.source.variables.items():
            variable = OrganizationVariable(value=value, owner=self.fleet, replace=replace)
            address = self._address(ORGANIZATION_VARIABLE, name)
            yield Resource(address, variable)
            yield self._place(SELECTED_VARIABLE, name, Selected(owner=self.fleet), address)

    def _address(self, kind: str, name: str) -> Address:
        return Address(self.provider, kind, f"{self.organization.name}/{name}")

    def _place(self, kind: str, name: str, wanted: Spec, of: Address) -> Resource:
        repository = self.source.repository
        needs = (of, Address(self.provider, REPOSITORY, repository))
        return Resource(Address(self.provider, kind, f"{repository}/{name}"), wanted, needs)


def _by_credential(secrets: Mapping[str, SecretRef]) -> Iterator[tuple[str, SecretRef, dict[str, SecretRef]]]:
    """For each credential the first secret that holds a part of it, and the others."""
    for source in dict.fromkeys(ref.source for ref in secrets.values()):
        (name, ref), *others = [(name, ref) for name, ref in secrets.items() if ref.source == source]
        yield name, ref, dict(others)
