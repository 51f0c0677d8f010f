"""Templates and images."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from fleet.config.base import (
    IMAGE_NAME,
    ORIGIN,
    UPSTREAM,
    Key,
    RepositoryPath,
    SourceRepository,
    Strict,
    Text,
    problem,
)
from fleet.reference import is_name

ENVIRONMENT = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$"
VARIABLE = r"^[A-Z_][A-Z0-9_]{0,254}$"
"""https://docs.github.com/actions/reference/variables-reference#naming-conventions-for-configuration-variables"""

VariableName = Annotated[str, StringConstraints(pattern=VARIABLE)]
Paths = Annotated[tuple[RepositoryPath, ...], Field(strict=False)]


class Template(Strict):
    """First content of source repositories, and the files that fleet keeps up to date in them."""

    source: Annotated[str, StringConstraints(pattern=ORIGIN)] = Field(
        alias="from",
        description="`builtin:user-image`, a folder (`./…`, relative to fleet.yaml), or a template repository.",
    )
    manage: Paths = Field(
        default=(".github/workflows/build.yaml", ".github/workflows/test.yaml"),
        description="Files that fleet renders and keeps up to date.",
    )
    seed: Paths = Field(default=(), description="Files that are written once, when the repository is made.")
    on_edit: Literal["overwrite", "refuse"] = Field(
        default="refuse", description="What to do with a managed file that somebody edited by hand."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for index, path in enumerate(self.seed):
            if path in self.manage:
                raise problem("{shown} is both managed and seeded; a file is one of the two", at=["seed", index])
        return self


class SecretsPlace(Strict):
    """Where a push credential and variables are stored, if not in the source repository itself."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["environment"]}, {"required": ["organization", "shared"]}]}
    )

    environment: Annotated[str, StringConstraints(pattern=ENVIRONMENT)] | None = Field(
        default=None,
        description="An environment of the source repository, which fleet makes and opens to its default branch only.",
    )
    organization: Text | None = Field(
        default=None,
        description="The organisation that owns the source repository: it keeps one login for the images that name it, "
        "and gives it to their repositories only.",
    )
    shared: bool = Field(
        default=False, description="Says that this login pushes several images; must be true with organization."
    )

    @model_validator(mode="after")
    def _in_words(self) -> Self:
        if (self.environment is None) == (self.organization is None):
            raise problem("secrets takes exactly one of environment and organization")
        if self.shared != (self.organization is not None):
            raise problem("shared: true goes with organization, and an organisation's secret needs it")
        return self


class BuiltImage(Strict):
    """An image that fleet's source repositories build, or that is pushed to a registry repository of fleet's."""

    registry: Key = Field(description="The entry of `registries` where the image lives.")
    repository: SourceRepository | None = Field(default=None, description="The source repository, as owner/name.")
    template: Key | None = Field(default=None, description="The entry of `templates` that the source is made from.")
    name: Annotated[str, StringConstraints(pattern=IMAGE_NAME)] | None = Field(
        default=None, description="Its name in the registry; absent: the source repository's name."
    )
    visibility: Literal["public", "private"] = Field(default="public", description="Who may see source and image.")
    description: Text | None = Field(default=None, description="One line about it, shown by code host and registry.")
    adopt: Literal["never", "match", "always"] = Field(
        default="match",
        description="Whether what exists already without an owner is taken over: never, when it is equal, or always.",
    )
    adopt_secrets: Literal["keep", "replace"] = Field(
        default="keep",
        description="What to do with a secret of our name (in an organisation, also a variable) that fleet did not "
        "store: leave it, or store it anew.",
    )
    secrets: SecretsPlace | None = Field(
        default=None, description="Where the push credential is stored; absent: in the source repository."
    )

    variables: dict[VariableName, Text] = Field(
        default_factory=dict,
        description="Actions variables that its workflows may read: names in upper case, and values.",
    )

    @model_validator(mode="after")
    def _needs_source(self) -> Self:
        if self.repository is None:
            for key in ("template", "secrets", "variables"):
                if getattr(self, key):
                    raise problem(f"{key} needs a repository to work on", at=[key])
        return self

    @model_validator(mode="after")
    def _free_names(self) -> Self:
        for name in self.variables:
            if name.startswith("GITHUB_"):
                raise problem(f"{name}: names that begin with GITHUB_ are GitHub's own", at=["variables", name])
        return self

    def registry_name(self, key: str) -> str:
        """Its name in the registry, without namespace; `key` is the image's key in fleet.yaml."""
        return self.name or (self.repository.rpartition("/")[2].lower() if self.repository else key)


class UpstreamImage(Strict):
    """An image that is only followed: somebody else builds it."""

    upstream: Annotated[str, StringConstraints(pattern=UPSTREAM)] = Field(
        description="Its name without tag, such as quay.io/pangeo/ml-notebook."
    )

    @model_validator(mode="after")
    def _no_tag(self) -> Self:
        if not is_name(self.upstream):
            raise problem(
                "{shown} is not an image name without tag, such as quay.io/pangeo/ml-notebook", at=["upstream"]
            )
        return self


def _kind(value: Any) -> str:
    if isinstance(value, UpstreamImage) or (isinstance(value, dict) and "upstream" in value):
        return "<upstream>"
    return "<built>"


Image = Annotated[
    Annotated[BuiltImage, Tag("<built>")] | Annotated[UpstreamImage, Tag("<upstream>")],
    Discriminator(_kind),
]
