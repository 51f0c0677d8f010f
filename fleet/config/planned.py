"""Settings of provider types that can be written and checked already, and whose provider comes with a later step.

An installed provider of the same type takes precedence, and its row leaves this table when it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fleet.config.base import ACCOUNT, Strict, Text
from fleet.provider import Provider, Registry, Settings, Url
from fleet.secrets import SecretSource


class TokenAuth(Strict):
    """A token."""

    token: SecretSource = Field(description="Where the token is found.")


class LoginAuth(Strict):
    """A user name and a password."""

    username: Text = Field(description="The user name.")
    password: SecretSource = Field(description="Where the password is found.")


class Ecr(Settings):
    """Amazon Elastic Container Registry, private."""

    type: Literal["ecr"] = Field(description="Amazon ECR.")
    account: Annotated[str, StringConstraints(pattern=ACCOUNT)] = Field(
        description="The AWS account: 12 digits in quotes."
    )
    region: Text = Field(description="The AWS region.")
    prefix: Text | None = Field(default=None, description="What stands before each image's name.")
    immutable: bool = Field(default=False, description="Whether a tag can be written once only.")
    scan: bool = Field(default=False, description="Whether images are scanned when pushed.")
    keep: int | None = Field(default=None, ge=1, description="How many newest images the lifecycle policy keeps.")


class Acr(Settings):
    """Azure Container Registry."""

    type: Literal["acr"] = Field(description="Azure Container Registry.")
    registry: Text = Field(description="The registry's name, as in NAME.azurecr.io.")
    subscription: Text | None = Field(default=None, description="The subscription; needed to issue credentials.")
    resource_group: Text | None = Field(default=None, description="The resource group; needed to issue credentials.")
    url: Url | None = Field(default=None, description="The login server, where it is not NAME.azurecr.io.")


class Ghcr(Settings):
    """GitHub's container registry: builds push with the token that their run is given."""

    type: Literal["ghcr"] = Field(description="GitHub Container Registry.")
    owner: Text = Field(description="The organisation or user that owns the packages.")
    auth: TokenAuth | None = Field(default=None, description="A classic token (read:packages); absent: anonymous.")


class DockerHub(Settings):
    """Docker Hub, for reading and for an operator's own login."""

    type: Literal["dockerhub"] = Field(description="Docker Hub.")
    namespace: Text = Field(description="The organisation or user that owns the repositories.")
    auth: LoginAuth | None = Field(default=None, description="The login for reading; absent: anonymous.")


SETTINGS: Mapping[str, type[Settings]] = MappingProxyType(
    {
        "ecr": Ecr,
        "acr": Acr,
        "ghcr": Ghcr,
        "dockerhub": DockerHub,
    }
)


def role_of(type_name: str) -> type[Provider] | None:
    """What providers of a planned type will be; None for a type that is not planned."""
    return Registry if type_name in SETTINGS else None
