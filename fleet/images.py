"""From images of fleet.yaml to what must exist for them, and to the names that hubs know them by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fleet.config import BuiltImage, Fleet, Loaded
from fleet.diagnostics import Diagnostic
from fleet.difference import Wanted
from fleet.errors import FleetError, InputError, ProviderError
from fleet.model import Address, Resource
from fleet.pace import Pace
from fleet.provider import CodeHost, Home, Registry, RegistryImage
from fleet.sharing import share
from fleet.site import full_name
from fleet.sources import FIRST_BRANCH, Branches, Place, read_branches, source_of
from fleet.world import Providers


@dataclass(frozen=True, slots=True)
class Homes:
    """The full name of every image; where those that the fleet builds live, what must exist for their sources, and the
    contents that the plan must carry for that."""

    names: Mapping[str, str]
    homes: Mapping[str, Home] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    def wanted(self, fleet: Fleet) -> Iterator[Wanted]:
        """All that must exist for the built images."""
        for key, home in self.homes.items():
            image = fleet.images[key]
            assert isinstance(image, BuiltImage)
            for resource in (*home.resources, *self.sources.get(key, ())):
                yield Wanted(resource, key, image.adopt)

    def notes(self, changed: Collection[Address]) -> Iterator[str]:
        """What a person must know of the images of which one of these addresses is a part; the same only once."""
        said: dict[str, None] = {}
        for key, home in self.homes.items():
            parts = {resource.address for resource in (*home.resources, *self.sources.get(key, ()))}
            if not parts.isdisjoint(changed):
                said.update(dict.fromkeys(home.notes))
        return (f"Notice: {note}" for note in said)


def read_homes(
    loaded: Loaded, providers: Providers, pace: Pace, selected: Callable[[Wanted], bool]
) -> tuple[Homes, list[Diagnostic]]:
    """As `find_homes`, with the default branches that code hosts tell of the selected images' sources."""
    homes, wrong = find_homes(loaded, providers)
    images = dict.fromkeys(item.image for item in homes.wanted(loaded.fleet) if selected(item))
    branches = read_branches(loaded.fleet, images, providers, pace)
    usual = all(branch == FIRST_BRANCH for branch in branches.found.values())
    return (homes, wrong) if wrong or usual else find_homes(loaded, providers, branches)


def find_homes(
    loaded: Loaded, providers: Providers, branches: Branches | None = None
) -> tuple[Homes, list[Diagnostic]]:
    """Where each image lives, and what is wrong with those that cannot live there.

    Sources whose default branch `branches` does not tell are taken for yet to be made.
    """
    branches = branches or Branches()
    homes: dict[str, Home] = {}
    sources: dict[str, Sequence[Resource]] = {}
    blobs: dict[str, bytes] = {}
    wrong: list[Diagnostic] = []
    built = {key: image for key, image in loaded.fleet.images.items() if isinstance(image, BuiltImage)}
    for key, image in built.items():
        with _noting(loaded, key, wrong):
            homes[key] = home_of(key, image, providers, branches.of(loaded.fleet, image))
    sharing = share(loaded, homes)
    for key, home in sharing.homes.items():
        image = built[key]
        if image.repository is None:
            continue
        with _noting(loaded, key, wrong):
            place = Place(home, branches.of(loaded.fleet, image), sharing.organizations.get(key))
            source = source_of(loaded.fleet, image, place, loaded.source.folder)
            sources[key] = _code_host(loaded.fleet, image, providers).workshop(source.repository)
            blobs.update(source.blobs)
    names = {
        key: full_name(sharing.homes[key].name if isinstance(image, BuiltImage) else image.upstream)
        for key, image in loaded.fleet.images.items()
        if key in sharing.homes or not isinstance(image, BuiltImage)
    }
    found = [*dict.fromkeys(wrong), *sharing.wrong, *_same_home(loaded, names)]
    return Homes(names, sharing.homes, sources, blobs), found


@contextmanager
def _noting(loaded: Loaded, key: str, wrong: list[Diagnostic]) -> Iterator[None]:
    """Whatever is wrong with one image is noted, and the next one is looked at."""
    try:
        yield
    except (ValueError, ProviderError) as error:
        wrong.append(loaded.source.diagnostic(("images", key), f"the image {key}: {error}", of="key"))
    except InputError as error:
        wrong += _placed(loaded, key, error)


def _placed(loaded: Loaded, key: str, error: InputError) -> Iterator[Diagnostic]:
    """A mistake in a template's file stays there, said once for all images; any other is shown at the image."""
    for found in error.diagnostics:
        if found.range is not None:
            yield found
        else:
            yield loaded.source.diagnostic(("images", key), f"the image {key}: {found.summary}", found.detail, of="key")


def _code_host(fleet: Fleet, image: BuiltImage, providers: Providers) -> CodeHost:
    name = fleet.code_host_of(image.repository or "")
    provider = providers[name] if name else None
    if not isinstance(provider, CodeHost):
        raise ValueError(f"no entry of code_hosts serves the repository {image.repository}")
    return provider


def home_of(key: str, image: BuiltImage, providers: Providers, branch: str) -> Home:
    registry = providers[image.registry]
    if not isinstance(registry, Registry):
        raise FleetError(f"{image.registry} is no registry")
    described = RegistryImage(
        key=key,
        name=image.registry_name(key),
        source=image.repository,
        branch=branch,
        description=image.description or "",
        visibility=image.visibility,
    )
    return registry.home(described)


def _same_home(loaded: Loaded, names: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Built images that would live in one registry repository."""
    first: dict[str, str] = {}
    for key, name in names.items():
        if not isinstance(loaded.fleet.images[key], BuiltImage):
            continue
        other = first.setdefault(name, key)
        if other != key:
            summary = f"the images {other} and {key} would both live in {name}"
            yield loaded.source.diagnostic(("images", key), summary, "Give one of them another `name:`.", of="key")
