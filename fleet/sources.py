"""Source repositories: what their code host must know of them, with first content and managed files rendered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fleet.config import BuiltImage, Fleet, Template
from fleet.gitblob import blob_id
from fleet.pace import Pace
from fleet.provider import CodeHost, Home, Organization, SourceRepository
from fleet.reference import split_host
from fleet.world import Providers

FIRST_BRANCH = "main"
"""The default branch of a repository that fleet makes from nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source repository, and the contents that its plan must carry, by git blob id."""

    repository: SourceRepository
    blobs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Branches:
    """The default branches that code hosts told, of source repositories and of those that they are made from."""

    found: Mapping[str, str] = field(default_factory=dict)

    def of(self, fleet: Fleet, image: BuiltImage) -> str:
        """The default branch of an image's source: its own, or of what it is yet to be made from."""
        template = _template_repository(fleet, image)
        inherited = self.found.get(template, FIRST_BRANCH) if template else FIRST_BRANCH
        return self.found.get(image.repository or "", inherited)


def read_branches(fleet: Fleet, images: Iterable[str], providers: Providers, pace: Pace) -> Branches:
    """Ask each code host for the default branches of the sources of these images, all at once."""
    asked: dict[str, dict[str, None]] = {}
    for key in images:
        image = fleet.images[key]
        host = fleet.code_host_of(image.repository) if isinstance(image, BuiltImage) and image.repository else None
        if host is not None:
            assert isinstance(image, BuiltImage)
            repositories = (image.repository, _template_repository(fleet, image))
            asked.setdefault(host, {}).update(dict.fromkeys(filter(None, repositories)))
    found: dict[str, str] = {}
    for name, names in asked.items():
        provider = providers[name]
        if isinstance(provider, CodeHost):
            found |= pace.repeat(provider.limits, partial(provider.default_branches, list(names)))
    return Branches(found)


def _template_repository(fleet: Fleet, image: BuiltImage) -> str | None:
    from fleet.templates import is_content

    origin = fleet.templates[image.template].source if image.template else None
    return None if origin is None or is_content(origin) else origin


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image comes from and where it goes: its home in the registry, its source's default branch, and the
    organisation that keeps what its builds are given, if one does."""

    home: Home
    branch: str
    organization: Organization | None = None


def source_of(fleet: Fleet, image: BuiltImage, place: Place, folder: Path) -> Source:
    """What a code host must know of an image's source; raises InputError for a template that cannot be used."""
    assert image.repository is not None
    template = fleet.templates[image.template] if image.template else None
    seed, managed = _contents(template, image, place, folder)
    blobs = {blob_id(data): data for data in (*seed.values(), *managed.values())}
    home = place.home
    return Source(
        SourceRepository(
            repository=image.repository,
            branch=place.branch,
            description=image.description or "",
            visibility=image.visibility,
            template=_template_repository(fleet, image),
            seed={path: blob_id(data) for path, data in seed.items()},
            managed={path: blob_id(data) for path, data in managed.items()},
            secrets=dict(home.login.secrets) if home.login else {},
            variables=dict(image.variables),
            environment=_environment(image, home),
            organization=place.organization,
            needs=tuple(resource.address for resource in home.resources),
            replace_secrets=image.adopt_secrets == "replace",
            overwrite_edits=template is not None and template.on_edit == "overwrite",
        ),
        blobs,
    )


def _environment(image: BuiltImage, home: Home) -> str:
    """The environment that an image's builds run in; raises ValueError where they would have nothing to find there."""
    if image.secrets is None or image.secrets.environment is None:
        return ""
    if not home.login or not home.login.secrets:
        raise ValueError("its builds log in without a stored secret, so `secrets:` has nothing to keep: take it out")
    return image.secrets.environment


def _contents(
    template: Template | None, image: BuiltImage, place: Place, folder: Path
) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    if template is None:
        return {}, {}
    from fleet.render import RenderValues, render  # only fleets with templates pay for them
    from fleet.templates import read_pins, read_template

    files = read_template(template.source, folder, template.manage, template.seed)
    registry, image_name = split_host(place.home.name)
    environment = _environment(image, place.home)
    home, branch = place.home, place.branch
    values = RenderValues(registry, image_name, branch, read_pins(), home.login, environment, home.labels)
    return files.seed, render(files.managed, values)
