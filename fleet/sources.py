"""Source repositories: what their code host must know of them, with first content and managed files rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.config import BuiltImage, Fleet, Template
from fleet.gitblob import blob_id
from fleet.provider import Home, SourceRepository
from fleet.reference import split_host
from fleet.render import BUILTIN, Values, read_template, render

MANAGED_FROM = f"{BUILTIN}user-image"
"""Where managed files come from when the template is a repository, which gives first content only."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source repository, and the contents that its plan must carry, by git blob id."""

    repository: SourceRepository
    blobs: Mapping[str, bytes]


def source_of(fleet: Fleet, image: BuiltImage, home: Home, folder: Path) -> Source:
    """What a code host must know of an image's source; raises ProviderError for a template that cannot be used."""
    assert image.repository is not None
    template = fleet.templates[image.template] if image.template else None
    seed, managed = _contents(template, home, folder)
    blobs = {blob_id(data): data for data in (*seed.values(), *managed.values())}
    login = home.login
    return Source(
        SourceRepository(
            repository=image.repository,
            description=image.description or "",
            visibility=image.visibility,
            template=template.source if template and not is_content(template.source) else None,
            seed={path: blob_id(data) for path, data in seed.items()},
            managed={path: blob_id(data) for path, data in managed.items()},
            secrets={login.secret: login.password} if login else {},
            needs=tuple(resource.address for resource in home.resources),
            replace_secrets=image.adopt_secrets == "replace",
            overwrite_edits=template is not None and template.on_edit == "overwrite",
        ),
        blobs,
    )


def is_content(origin: str) -> bool:
    """Whether a template's files lie with fleet or with fleet.yaml, rather than in a repository of the code host."""
    return origin.startswith((BUILTIN, "."))


def _contents(template: Template | None, home: Home, folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    if template is None:
        return {}, {}
    own = template.source if is_content(template.source) else MANAGED_FROM
    seed = read_template(template.source, folder, template.seed) if is_content(template.source) else {}
    managed = read_template(own, folder, template.manage)
    registry, image_name = split_host(home.name)
    login = home.login
    values = Values(registry, image_name, login.username if login else "none", login.secret if login else "NONE")
    return seed, render(managed, values)
