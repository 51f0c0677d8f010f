"""What an image's builds are to find on GitHub: an environment if any, secrets and variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.provider import Address, Resource, SecretRef, SourceRepository
from fleet_github.specs import (
    ENVIRONMENT,
    ENVIRONMENT_SECRET,
    ENVIRONMENT_VARIABLE,
    SECRET,
    VARIABLE,
    ActionsSecret,
    ActionsVariable,
    Environment,
)


@dataclass(frozen=True, slots=True)
class Within:
    """What lies in one source repository; `provider` is the name of its code host in fleet.yaml."""

    provider: str
    source: SourceRepository

    def environment(self, repository: Address) -> Resource | None:
        """The environment that keeps the rest, open to the default branch only; None where the repository does."""
        if not self.source.environment:
            return None
        address = Address(self.provider, ENVIRONMENT, f"{self.source.repository}/{self.source.environment}")
        return Resource(address, Environment(branches=(self.source.branch,)), (repository,))

    def secrets(self, holder: Address) -> Iterator[Resource]:
        """Each credential once, by the first of the secrets that hold a part of it."""
        for name, ref, also in _by_credential(self.source.secrets):
            address = self._address(ENVIRONMENT_SECRET if self.source.environment else SECRET, name)
            wanted = ActionsSecret(source=ref, also=also, replace=self.source.replace_secrets)
            needs = (holder, *(need for need in self.source.needs if need == ref.source))
            yield Resource(address, wanted, needs)

    def variables(self, holder: Address) -> Iterator[Resource]:
        """Each variable."""
        for name, value in self.source.variables.items():
            address = self._address(ENVIRONMENT_VARIABLE if self.source.environment else VARIABLE, name)
            yield Resource(address, ActionsVariable(value=value), (holder,))

    def _address(self, kind: str, name: str) -> Address:
        environment = (self.source.environment,) if self.source.environment else ()
        return Address(self.provider, kind, "/".join((self.source.repository, *environment, name)))


def _by_credential(secrets: Mapping[str, SecretRef]) -> Iterator[tuple[str, SecretRef, dict[str, SecretRef]]]:
    """For each credential the first secret that holds a part of it, and the others."""
    for source in dict.fromkeys(ref.source for ref in secrets.values()):
        (name, ref), *others = [(name, ref) for name, ref in secrets.items() if ref.source == source]
        yield name, ref, dict(others)
