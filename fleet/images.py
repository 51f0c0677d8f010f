"""From images of fleet.yaml to what must exist for them, and to the names that hubs know them by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fleet.config import BuiltImage, Fleet, Loaded
from fleet.diagnostics import Diagnostic
from fleet.difference import Wanted
from fleet.errors import FleetError
from fleet.provider import Home, Registry, RegistryImage
from fleet.site import full_name
from fleet.world import Providers


@dataclass(frozen=True, slots=True)
class Homes:
    """The full name of every image, and where those that the fleet builds live."""

    names: Mapping[str, str]
    homes: Mapping[str, Home] = field(default_factory=dict)

    def wanted(self, fleet: Fleet) -> Iterator[Wanted]:
        """All that must exist for the built images."""
        for key, home in self.homes.items():
            image = fleet.images[key]
            assert isinstance(image, BuiltImage)
            for resource in home.resources:
                yield Wanted(resource, key, image.adopt)


def find_homes(loaded: Loaded, providers: Providers) -> tuple[Homes, list[Diagnostic]]:
    """Where each image lives, and what is wrong with those that cannot live there."""
    names: dict[str, str] = {}
    homes: dict[str, Home] = {}
    wrong: list[Diagnostic] = []
    for key, image in loaded.fleet.images.items():
        if not isinstance(image, BuiltImage):
            names[key] = full_name(image.upstream)
            continue
        try:
            homes[key] = _home(key, image, providers)
        except ValueError as error:
            wrong.append(loaded.source.diagnostic(("images", key), f"the image {key}: {error}", of="key"))
        else:
            names[key] = full_name(homes[key].name)
    return Homes(names, homes), [*wrong, *_shared(loaded, names)]


def _home(key: str, image: BuiltImage, providers: Providers) -> Home:
    registry = providers[image.registry]
    if not isinstance(registry, Registry):
        raise FleetError(f"{image.registry} is no registry")
    described = RegistryImage(
        key=key,
        name=image.registry_name(key),
        source=image.repository,
        description=image.description or "",
        visibility=image.visibility,
    )
    return registry.home(described)


def _shared(loaded: Loaded, names: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Built images that would live in one registry repository."""
    first: dict[str, str] = {}
    for key, name in names.items():
        if not isinstance(loaded.fleet.images[key], BuiltImage):
            continue
        other = first.setdefault(name, key)
        if other != key:
            summary = f"the images {other} and {key} would both live in {name}"
            yield loaded.source.diagnostic(("images", key), summary, "Give one of them another `name:`.", of="key")
