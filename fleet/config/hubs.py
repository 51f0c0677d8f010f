"""Hubs: how their images are set, the slots where users see them, and holds."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from fleet.config.base import (
    BRANCH,
    PLATFORM,
    SLOT,
    TAG,
    Key,
    Plain,
    RepositoryPath,
    SourceRepository,
    Strict,
    Text,
    problem,
)
from fleet.provider import Url
from fleet.secrets import SecretSource

NEWEST_BUILD = "newest-build"


class Values(Strict):
    """Where a hub's Helm values are written."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["repository"]}, {"required": ["path"]}]})

    repository: SourceRepository | None = Field(default=None, description="The values repository, as owner/name.")
    path: Text | None = Field(default=None, description="A local git checkout instead, relative to fleet.yaml.")
    branch: Annotated[str, StringConstraints(pattern=BRANCH)] | None = Field(
        default=None, description="The branch; absent: the default one, or the one that is checked out."
    )
    files: Annotated[tuple[RepositoryPath, ...], Field(strict=False)] = Field(
        min_length=1, description="Values files inside it, in Helm's order: the last one wins, and lists replace."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.repository is None) == (self.path is None):
            raise problem("values takes exactly one of repository and path")
        for index, file in enumerate(self.files):
            if file in self.files[:index]:
                raise problem("the values file {shown} is named twice", at=["files", index])
        return self


class ConfiguratorAuth(Strict):
    """How fleet logs in to a hub's configurator."""

    token: SecretSource = Field(description="Where a token of the hub is found.")


class Configurator(Strict):
    """The configurator service of a hub, which sets its default image."""

    auth: ConfiguratorAuth = Field(description="How fleet logs in.")
    url: Url | None = Field(
        default=None, description="Where it is served; absent: /services/configurator below the hub."
    )


class Slot(Strict):
    """Which image users see at one place of a hub, and which of its tags."""

    image: Key = Field(description="An entry of `images`.")
    track: Annotated[str, StringConstraints(pattern=TAG)] = Field(
        description="A tag in quotes, or newest-build: the newest commit whose build was successful."
    )


def _day(value: Any) -> Any:
    if isinstance(value, Plain):
        value = value.text
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise problem("{shown} is not a day, such as 2026-12-18")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise problem("{shown} is not in the calendar") from None
    return value


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class Hold(Strict):
    """An exception with a reason and an end: the hub is left as it is until then."""

    reason: Text = Field(description="Why, for the people who read the plan.")
    until: Day = Field(description="The last day of the hold, such as 2026-12-18.")


class Hub(Strict):
    """A JupyterHub."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["values"]}, {"required": ["configurator"]}]})

    url: Url = Field(description="Where its users find it.")
    labels: dict[Key, Text] = Field(default_factory=dict, description="Labels to select hubs by.")
    values: Values | None = Field(default=None, description="Its images are set by Helm values files.")
    configurator: Configurator | None = Field(default=None, description="Its image is set by the configurator service.")
    platform: Annotated[str, StringConstraints(pattern=PLATFORM)] = Field(
        default="linux/amd64", description="The platform that its nodes need of an image."
    )
    slots: dict[Annotated[str, StringConstraints(pattern=SLOT)], Slot] = Field(
        default_factory=dict, description="What users see where: default, profiles.…, choices.…."
    )
    hold: Hold | None = Field(default=None, description="Leaves the hub as it is, with a reason and an end.")

    def can_run(self, platforms: Collection[str]) -> bool:
        """Whether its nodes can run an image for these platforms; one that says nothing is not suspected.

        A variant (`linux/arm/v7`) counts only where the hub asks for one.
        """
        return not platforms or any(f"{found}/".startswith(f"{self.platform}/") for found in platforms)

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.values is None and self.configurator is None:
            raise problem("the hub says neither by values nor by configurator how its images are set")
        if self.values is not None and self.configurator is not None:
            raise problem("the hub has both values and configurator; its images are set by one", at=["configurator"])
        if self.configurator is not None:
            for slot in self.slots:
                if slot != "default":
                    raise problem("a configurator sets the default slot only", at=["slots", slot])
        return self
