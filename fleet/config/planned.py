"""Settings of provider types that can be written and checked already, and whose provider comes with a later step.

An installed provider of the same type takes precedence, and its row leaves this table when it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from fleet.config.base import Text, problem
from fleet.provider import Provider, Registry, Settings


class ArtifactRegistry(Settings):
    """Google Artifact Registry."""

    type: Literal["gar"] = Field(description="Google Artifact Registry.")
    project: Text = Field(description="The Google Cloud project.")
    location: Text = Field(description="The region or multi-region.")
    repository: Text = Field(
        default="{image}", description="The repository; with {image} in it each image has its own, as rights need."
    )
    shared: bool = Field(default=False, description="Says that images share one repository and its push rights.")
    immutable: bool = Field(default=False, description="Whether a tag can be written once only.")
    keep: int | None = Field(default=None, ge=1, description="How many newest images the cleanup policy keeps.")

    @model_validator(mode="after")
    def _one_per_image(self) -> Self:
        if "{image}" not in self.repository and not self.shared:
            raise problem(
                "a repository that images share lets each of their builds push to all: "
                'write repository: "{image}", or say shared: true',
                at=["repository"],
            )
        return self


class Gcr(Settings):
    """The gcr.io hosts, which Artifact Registry serves; rights there are per host, never per image."""

    type: Literal["gcr"] = Field(description="Google Container Registry.")
    project: Text = Field(description="The Google Cloud project.")
    host: Literal["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"] = Field(
        default="gcr.io", description="The host that serves the images."
    )
    shared: bool = Field(default=False, description="Says that push rights reach every image of the host.")


SETTINGS: Mapping[str, type[Settings]] = MappingProxyType(
    {
        "gar": ArtifactRegistry,
        "gcr": Gcr,
    }
)


def role_of(type_name: str) -> type[Provider] | None:
    """What providers of a planned type will be; None for a type that is not planned."""
    return Registry if type_name in SETTINGS else None
