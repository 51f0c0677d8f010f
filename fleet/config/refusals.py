"""What can be written in fleet.yaml already, and what plan and apply refuse by name because it is not built yet.

Each rule goes when its step is built.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet import plugins
from fleet.config.base import Keys
from fleet.config.loading import Loaded
from fleet.config.root import Fleet
from fleet.diagnostics import Diagnostic
from fleet.provider import CodeHost


def unbuilt(loaded: Loaded) -> list[Diagnostic]:
    """Everything in a fleet.yaml that nothing carries out yet, each with its place; empty when plan may go on."""
    fleet = loaded.fleet
    found = list(_providers(fleet))
    return [
        loaded.source.diagnostic(keys, f"{what} not built yet: validate knows it, plan and apply refuse it", of="key")
        for keys, what in found
    ]


def _providers(fleet: Fleet) -> Iterator[tuple[Keys, str]]:
    for name, host in fleet.code_hosts.items():
        if host.delivery == "pull-request" and not _can_propose(host.type):
            yield ("code_hosts", name, "delivery"), f"delivery by pull request on code hosts of type {host.type} is"


def _can_propose(type_name: str) -> bool:
    found = plugins.load(type_name)
    return found is not None and getattr(found, "propose", None) is not CodeHost.propose
