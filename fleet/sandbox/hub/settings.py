"""What a sandbox hub is told: where its image is written, where registries are reached, who may log in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from fleet.model import Frozen

SERVICE = "configurator"
"""The name under which the hub knows the configurator: it is served at `/services/configurator/`."""

QUICKLY = (sys.executable, "-m", "fleet.sandbox.hub.quick")
"""How the processes of a hub start a Python module."""


class ValuesFiles(Frozen):
    """The image is written in Helm values files, as they are at the head of a branch when a server starts.

    `repository` is a checkout or a bare repository of this machine; `files` are in Helm's order.
    """

    by: Literal["values"] = "values"
    repository: Path
    files: tuple[str, ...]
    branch: str = "HEAD"


class ConfiguratorService(Frozen):
    """The image is set by the configurator; where that says nothing, the hub starts `default_image`."""

    by: Literal["configurator"] = "configurator"
    default_image: str


class Node(Frozen):
    """What a hub's nodes are: their platform, and how they pull.

    `registries` says by host where a registry is reached that is not at its own name, as a URL; `pulls`, by host, the
    user name and password that they have there.
    """

    platform: str = "linux/amd64"
    registries: Mapping[str, str] = Field(default_factory=dict)
    pulls: Mapping[str, tuple[str, str]] = Field(default_factory=dict, repr=False)


class HubSettings(Node):
    """One hub.

    `port` 0 picks a free one. `users` exist from the start; `admins` too, and they may administer the hub.
    """

    image: ValuesFiles | ConfiguratorService = Field(discriminator="by")
    port: int = 0
    users: tuple[str, ...] = ()
    admins: tuple[str, ...] = ("admin",)


class Running(Frozen):
    """All that the processes of one hub must agree on; it holds secrets, so its file is for its owner's eyes."""

    settings: HubSettings
    folder: Path
    port: int
    proxy_port: int
    hub_port: int
    configurator_port: int
    token: str
    password: str
    proxy_token: str

    @property
    def url(self) -> str:
        """Where users find the hub."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def configurator_url(self) -> str:
        """Where the hub itself reaches the configurator."""
        return f"http://127.0.0.1:{self.configurator_port}/services/{SERVICE}"
