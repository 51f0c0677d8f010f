"""What registries of each type really have their builds do: the homes of one image, as providers say them offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet import plugins
from fleet.provider import Context, Home, Registry, RegistryImage, Secret

IMAGE = RegistryImage("climate", "climate-image", source="example-org/climate-image")
_TOKEN, _OWN = {"token": {"env": "TOKEN"}}, {"username": "builder", "password": {"env": "PASSWORD"}}
_AWS: Mapping[str, Any] = {"type": "ecr", "account": "123456789012", "region": "us-west-2"}
_GOOGLE: Mapping[str, Any] = {"project": "example-project", "project_number": "123456789012", "auth": _TOKEN}
_AZURE: Mapping[str, Any] = {"type": "acr", "registry": "example", "subscription": "s", "resource_group": "g"}

ENTRIES: Mapping[str, Mapping[str, Any]] = {
    "quay": {"type": "quay", "namespace": "example", "auth": _TOKEN},
    "quay, own login": {"type": "quay", "namespace": "example", "auth": _TOKEN, "push": _OWN},
    "ecr": _AWS,
    "ecr, key": {**_AWS, "push": "key"},
    "ecr, own login": {**_AWS, "push": {**_OWN, "username": "AKIAOWN"}},
    "gar": {"type": "gar", "location": "us-central1", **_GOOGLE},
    "gar, key": {"type": "gar", "location": "us-central1", "push": "key", **_GOOGLE},
    "gcr, shared": {"type": "gcr", "shared": True, **_GOOGLE},
    "acr": _AZURE,
    "acr, own login": {"type": "acr", "registry": "example", "push": _OWN},
    "ghcr": {"type": "ghcr", "owner": "example-org"},
    "ghcr, own login": {"type": "ghcr", "owner": "example-org", "push": _OWN},
    "dockerhub": {"type": "dockerhub", "namespace": "example", "push": _OWN},
    "oci": {"type": "oci", "url": "https://registry.example.org", "namespace": "example", "push": _OWN},
}
"""An entry of fleet.yaml for each way to push to a registry of each type."""


def home_of(entry: Mapping[str, Any]) -> Home:
    """Where the image lives in the registry of an entry."""
    provider = plugins.load(entry["type"])
    assert provider is not None
    context = Context("ours", Path(), lambda source: Secret(""), lambda: None)
    registry = provider("registry", provider.settings.model_validate(entry), context)
    assert isinstance(registry, Registry)
    return registry.home(IMAGE)
