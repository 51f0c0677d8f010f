"""What fleet.yaml says of Google's registries. Nothing here needs Google's packages."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from fleet.provider import Frozen, OwnLogin, SecretSource, Settings, Url

Text = Annotated[str, StringConstraints(min_length=1)]
Project = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Number = Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]
PoolId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{4,32}$")]
"""https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create"""

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class Auth(Frozen):
    """The login that fleet itself uses, where it is not the machine's (Application Default Credentials)."""

    token: SecretSource | None = Field(default=None, description="Where an access token is found.")
    key: SecretSource | None = Field(default=None, description="Where the key of a service account (JSON) is found.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token is None) == (self.key is None):
            raise ValueError("auth takes exactly one of token and key")
        return self


class GoogleSettings(Settings):
    """What both types of registry need to know."""

    model_config = ConfigDict(strict=True)

    project: Project = Field(description="The Google Cloud project, by its id.")
    project_number: Number | None = Field(
        default=None, description="The project's number, in quotes; needed for `push: keyless`."
    )
    push: Literal["keyless", "key"] | OwnLogin | None = Field(
        default=None,
        description="How builds log in: `key`, an own login (of `_json_key_base64`, say), or (absent) `keyless`, "
        "with nothing stored.",
    )
    pool: PoolId = Field(default="fleet", description="The workload identity pool of keyless pushes.")
    provider: PoolId | None = Field(
        default=None,
        description="A provider in it that you set up yourself; absent: fleet makes one for each owner of sources.",
    )
    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.{}-]+$")] | None = Field(
        default=None,
        description="The source repository of images that name none, as `example-org/{image}`: its builds may push.",
    )
    auth: Auth | None = Field(
        default=None, description="The login of fleet itself; absent: Application Default Credentials."
    )
    url: Url | None = Field(
        default=None, description="Where Google's APIs and the registry are served, if not by Google."
    )
    shared: bool = Field(default=False, description="Says that images share one repository and its push rights.")


class ArtifactRegistrySettings(GoogleSettings):
    """Google Artifact Registry."""

    type: Literal["gar"] = Field(description="Google Artifact Registry.")
    location: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = Field(
        description="The region or multi-region."
    )
    repository: Text = Field(
        default="{image}", description="The repository; with {image} in it each image has its own, as rights need."
    )
    immutable: bool = Field(default=False, description="Whether a tag can be written once only.")
    keep: int | None = Field(default=None, ge=1, description="How many newest images the cleanup policy keeps.")

    @field_validator("repository")
    @classmethod
    def _one_per_image(cls, repository: str, info: ValidationInfo) -> str:
        if "{image}" not in repository and not info.data.get("shared"):
            raise ValueError(
                "a repository that images share lets each of their builds push to all: "
                'write repository: "{image}", or say shared: true'
            )
        return repository


GCR_LOCATIONS = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
"""https://cloud.google.com/artifact-registry/docs/transition/transition-from-gcr: where each host's repository lies."""


class ContainerRegistrySettings(GoogleSettings):
    """The gcr.io hosts, which Artifact Registry serves; rights there are per host, never per image."""

    type: Literal["gcr"] = Field(description="Google Container Registry.")
    host: Literal["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"] = Field(
        default="gcr.io", description="The host that serves the images."
    )


def repository_id(settings: ArtifactRegistrySettings, image: str) -> str:
    """The repository of an image; raises ValueError, in a sentence, for a name that Artifact Registry won't take."""
    name = settings.repository.replace("{image}", image)
    if not _ID.fullmatch(name):
        raise ValueError(
            f"Artifact Registry cannot take {name!r} as the name of a repository: write up to 63 lower-case letters, "
            "digits and hyphens, a letter first (`name:` of the image, `repository:` of the registry)"
        )
    return name
