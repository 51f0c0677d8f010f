"""The registries that the example's images can live in, beside its Quay: each is one entry point of `fleet.sandbox`.

An entry point names an `Example`: how the registry is served, and what the example's fleet.yaml says of it. The Quay of
the example goes on serving what others built, so another registry is one more service beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.plugins import missing_package
from fleet.sandbox.github.actions.oidc import Issuer

GROUP = "fleet.sandbox"
"""The group of entry points: a name as `fleet sandbox up -registry=NAME` takes it, and its Example."""

QUAY = "quay"
"""The registry of the fleet.yaml at the root, which needs nothing beside it."""


@dataclass(frozen=True, slots=True)
class Served:
    """A registry while it is served.

    `entry` is its block in fleet.yaml, whose `file:` sources lie in the sandbox's folder; `environment` is what fleet
    must find in its environment. `addresses` says by host where builds and hubs reach it, if not at its own name;
    `services` by host what login steps call; `pulls` by host the user name and password that nodes of a cluster have.
    """

    url: str
    entry: Mapping[str, Any]
    pulls: Mapping[str, tuple[str, str]] = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    addresses: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    trust: Callable[[Issuer], None] = lambda issuer: None
    """Told who signs the tokens of runs, before the first run."""


@dataclass(frozen=True, slots=True)
class Example:
    """A registry as the example can have it: `makes` says what an apply makes of it, in the demo's words."""

    title: str
    makes: str
    serve: Callable[[Path, int], AbstractContextManager[Served]]
    """Serves it on a port, with its secrets as files in a folder."""


def names() -> list[str]:
    """The registries that the sandbox can be started with."""
    return sorted({QUAY, *(entry.name for entry in metadata.entry_points(group=GROUP))})


def load(name: str) -> Example | None:
    """The registry of a name, None for the Quay that is there anyway; raises UsageError for one that there is not."""
    if name == QUAY:
        return None
    for entry in metadata.entry_points(group=GROUP).select(name=name):
        try:
            found = entry.load()
        except ModuleNotFoundError as error:
            raise missing_package(f"the sandbox's {name}", error) from None
        assert isinstance(found, Example)
        return found
    raise UsageError(f"the sandbox has no registry {name!r}; it has {', '.join(names())}")
