"""What fleet.yaml says of an Azure registry, what stands there, and how names and marks are made. All of it pure."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from fleet.provider import Frozen, Owned, OwnLogin, SecretSource, Settings, Url, no_keyless

HELP = "docs/registries/acr.md has a role with all that fleet needs"

MARK = "managed by fleet "
"""Begins the description of a scope map of ours; the fleet's name follows."""

PUSHING = ("content/read", "content/write", "metadata/read")
"""What a build may do in its repository: a push reads before it writes.

https://learn.microsoft.com/azure/container-registry/container-registry-token-based-repository-permissions
"""

_MARKED = re.compile(rf"{MARK}(\S+)")
_PLAIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PREFIX = "fleet-"
_LONGEST = 50


def _encrypted(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError(f"Azure is asked over https only, because logins go there, and not at {url}")
    return url


def _tenant(tenant: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+", tenant):
        raise ValueError(f"a tenant is the id or the domain of a directory of Entra, and not {tenant!r}")
    return tenant


Text = Annotated[str, StringConstraints(min_length=1)]
Encrypted = Annotated[Url, AfterValidator(_encrypted)]


class AzureAuth(Frozen):
    """A service principal of Microsoft Entra, which fleet itself logs in with."""

    tenant: Annotated[str, AfterValidator(_tenant)] = Field(description="The directory (tenant) id.")
    client_id: Text = Field(description="The application (client) id.")
    client_secret: SecretSource = Field(description="Where a secret of the application is found.")
    authority: Encrypted = Field(
        default="https://login.microsoftonline.com", description="Where Entra is, for clouds other than the public one."
    )


def _registry_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{5,50}", name):
        raise ValueError(f"a registry in Azure is named with 5 to 50 letters and digits, and not {name!r}")
    return name


class AcrSettings(Settings):
    """Azure Container Registry."""

    model_config = ConfigDict(strict=True)

    type: Literal["acr"] = Field(description="Azure Container Registry.")
    registry: Annotated[str, AfterValidator(_registry_name)] = Field(
        description="The registry's name, as in NAME.azurecr.io."
    )
    namespace: Text | None = Field(default=None, description="What stands before each image's name.")
    subscription: Text | None = Field(default=None, description="The subscription's id; needed to issue credentials.")
    resource_group: Text | None = Field(default=None, description="The resource group; needed to issue credentials.")
    url: Encrypted | None = Field(default=None, description="The login server, where it is not NAME.azurecr.io.")
    manager: Encrypted = Field(
        default="https://management.azure.com",
        description="The Resource Manager, for clouds other than the public one.",
    )
    auth: AzureAuth | None = Field(
        default=None,
        description="Who fleet is to Azure; absent: whoever is logged in here (DefaultAzureCredential), "
        "or the login of push.",
    )
    push: Annotated[
        OwnLogin | None,
        no_keyless(
            "fleet has no keyless push for Azure: an Entra role reaches the whole registry; leave push out and each "
            "image gets a token for its own repository"
        ),
    ] = Field(
        default=None,
        description="An own login that builds push with, such as a token made by hand; absent: one for each image.",
    )

    @property
    def login_server(self) -> str:
        """Where the registry is served."""
        return (self.url or f"https://{self.registry.lower()}.azurecr.io").rstrip("/")


class PushToken(Owned):
    """A token of the registry, and all that it may do: the actions of its scope map, which carries our mark.

    `scope_map` is the scope map that the token has; `status` is `absent` where that stands without a token.
    """

    scope_map: str
    actions: tuple[str, ...]
    status: Literal["enabled", "disabled", "absent"] = "enabled"


def actions_on(repository: str) -> tuple[str, ...]:
    """What the token of a repository may do, as scope maps write it, in order."""
    return tuple(f"repositories/{repository}/{action}" for action in PUSHING)


def token_name(repository: str) -> str:
    """The name of the token, and of the scope map, for a repository: 5 to 50 letters, digits and hyphens.

    Where the repository's own name cannot be told from it, a part of its digest is added.
    """
    name = f"{_PREFIX}{repository}"
    if _PLAIN.fullmatch(repository) and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(repository.encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9]+", "-", repository).strip("-")
    return f"{_PREFIX}{readable[: _LONGEST - len(_PREFIX) - len(digest) - 1].rstrip('-')}-{digest}"


def marked(owner: str) -> str:
    """The description of a scope map that belongs to a fleet."""
    return f"{MARK}{owner}"


def owner_in(description: str | None) -> str | None:
    """Whose a scope map is, by its description; None where it carries no mark."""
    mark = _MARKED.fullmatch((description or "").strip())
    return mark[1] if mark else None
