"""Google Artifact Registry, and the gcr.io hosts that it serves.

Of each image: a Docker repository of its own, and the right to write there, for the builds of one branch of one source
repository and for nobody else. They log in without a stored secret, through Workload Identity Federation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fleet.provider import Address, Context, Home, RegistryImage, Resource, Settings, Spec, host_of, split_host
from fleet_google.place import ACCOUNT, POOL, PROVIDER, REPOSITORY, WRITER
from fleet_google.registry import GoogleRegistry
from fleet_google.settings import GCR_LOCATIONS, ArtifactRegistrySettings, ContainerRegistrySettings, repository_id
from fleet_google.specs import Account, Grant, HostRepository, Pool, PoolProvider, Repository


class ArtifactRegistry(GoogleRegistry):
    """Google Artifact Registry: a repository for each image, unless fleet.yaml says that they share one."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {
        REPOSITORY: Repository,
        WRITER: Grant,
        ACCOUNT: Account,
        POOL: Pool,
        PROVIDER: PoolProvider,
    }
    settings: ClassVar[type[Settings]] = ArtifactRegistrySettings

    def __init__(self, name: str, settings: ArtifactRegistrySettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings

    @property
    def location(self) -> str:
        """The region or multi-region of fleet.yaml."""
        return self._settings.location

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._settings.url) if self._settings.url else f"{self.location}-docker.pkg.dev"

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives, its repository, and who may push there; raises ValueError for what cannot be."""
        repository = repository_id(self._settings, image.name)
        wanted = Repository(
            owner=self.context.fleet,
            description="" if self._settings.shared else image.description,
            immutable=self._settings.immutable,
            keep=self._settings.keep,
        )
        resource = Resource(Address(self.name, REPOSITORY, f"{self.location}/{repository}"), wanted)
        return self._home(resource, f"{self._settings.project}/{repository}/{image.name}", image)

    def _parts(self, name: str) -> tuple[str, str, str]:
        project, _, rest = split_host(name)[1].partition("/")
        repository, _, image = rest.partition("/")
        return project, repository, image


class ContainerRegistry(GoogleRegistry):
    """A gcr.io host. Its images are read and rolled out; they are pushed only where fleet.yaml says `shared: true`."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {**ArtifactRegistry.kinds, REPOSITORY: HostRepository}
    settings: ClassVar[type[Settings]] = ContainerRegistrySettings
    is_shared: ClassVar[bool] = True

    def __init__(self, name: str, settings: ContainerRegistrySettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings

    @property
    def location(self) -> str:
        """Where the host's repository lies."""
        return GCR_LOCATIONS[self._settings.host]

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._settings.url) if self._settings.url else self._settings.host

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives; raises ValueError where a build is to push without `shared: true`."""
        path = f"{self._settings.project}/{image.name}"
        if not self._settings.shared:
            if image.source is None:
                return Home(f"{self.host}/{path}")
            raise ValueError(
                f"whoever may push to {self._settings.host} may push to every image of the project there: use "
                f"`type: gar`, which gives each image a repository of its own, or say `shared: true` for {self.name}"
            )
        resource = Resource(Address(self.name, REPOSITORY, f"{self.location}/{self._settings.host}"), HostRepository())
        return self._home(resource, path, image)

    def _parts(self, name: str) -> tuple[str, str, str]:
        project, _, image = split_host(name)[1].partition("/")
        return project, self._settings.host, image
