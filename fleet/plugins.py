"""Finds providers by entry point, and imports only those that are asked for."""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata

from fleet.errors import FleetError
from fleet.provider import Provider

GROUP = "fleet.providers"
"""The types that fleet.yaml can name."""

LOCAL_GROUP = "fleet.checkouts"
"""The code host of local paths, which fleet.yaml names by `path:` and not by a type."""

TARGET_GROUP = "fleet.hub_targets"
"""The services of a hub that set its image, which fleet.yaml names by a key of the hub and not by a type."""

_EXTRAS = {
    "boto3": "aws",
    "botocore": "aws",
    "google": "gcp",
    "azure": "azure",
    "cryptography": "sandbox",
    "graphql": "sandbox",
    "nacl": "sandbox",
}
"""Which extra of the distribution brings a package that may be missing."""


class MissingPackage(FleetError):
    """A provider needs a package that is not installed; the text holds the command that installs it."""


def types() -> list[str]:
    """The provider types that are installed."""
    return sorted({entry.name for entry in _entries(GROUP, tuple(sys.path))})


def load(type_name: str) -> type[Provider] | None:
    """The provider class of a type, imported now; None when no installed package offers it."""
    return _load(GROUP, type_name)


def load_checkout() -> type[Provider] | None:
    """The provider class for local git checkouts."""
    return _load(LOCAL_GROUP, "git")


def load_hub_target(key: str) -> type[Provider] | None:
    """The provider class for the key of a hub, such as `configurator`."""
    return _load(TARGET_GROUP, key)


def _load(group: str, type_name: str) -> type[Provider] | None:
    for entry in _entries(group, tuple(sys.path)).select(name=type_name):
        try:
            found = entry.load()
        except ModuleNotFoundError as error:
            raise missing_package(f"the provider {type_name!r}", error) from None
        except (ImportError, AttributeError) as error:
            raise FleetError(f"the provider {type_name!r} cannot be loaded: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Provider)):
            raise FleetError(f"the entry point {entry.value!r} of {group} is not a provider class")
        return found
    return None


@cache
def _entries(group: str, search_path: tuple[str, ...]) -> metadata.EntryPoints:  # the key of the cache
    """The entry points that this search path leads to: looking through every installed package takes milliseconds."""
    return metadata.entry_points(group=group)


def missing_package(what: str, error: ModuleNotFoundError) -> MissingPackage:
    """The error for something that needs a package which is not installed."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    command = f"pip install 'hubfleet[{extra}]'" if extra else f"pip install {package}"
    return MissingPackage(f"{what} needs the package {error.name!r}; install it with: {command}")
