"""Azure and Docker Hub: requests and time of a plan without changes, and of finding the newest tag among many."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from fleet.model import Secret
from fleet.provider import Context, Registry
from fleet.sandbox.acr import Acr
from fleet.sandbox.azure import AzureState, Client
from fleet.sandbox.dockerhub import DockerHub as HubService
from fleet.sandbox.http import Loopback
from fleet_acr import Acr as AcrProvider
from fleet_acr.specs import AcrSettings
from fleet_dockerhub import DockerHub, DockerHubSettings
from tests.benchmarks.measure import FLEET, cost, row
from tests.subjects.acr import AUTHORITY, server_context

IMAGES = 500
TAGS = 5_000
APPLY_REQUESTS = 8
"""Requests that a new image takes: two looks, two writes, and two more for each as it proceeds."""


def main() -> None:
    """Print the table."""
    os.environ |= {"SSL_CERT_FILE": AUTHORITY, "AZURE_SECRET": "s3cret"}
    row("Azure and Docker Hub on loopback", "requests", "bound", "seconds")
    _plans()
    _newest_tags()


def _plans() -> None:
    acr = _acr()
    with tempfile.TemporaryDirectory() as scratch, Loopback(acr, tls=server_context()) as loopback:
        entry = _entry(acr, loopback)
        images = {f"image-{number:03}": {"registry": "azure"} for number in range(IMAGES)}
        document = {"version": 1, "name": "ours", "registries": {"azure": entry}, "images": images}
        (Path(scratch) / "fleet.yaml").write_text(yaml.safe_dump(document))
        for what, command, bound in (
            (f"acr: apply, {IMAGES} new images", ("apply", "-auto-approve"), IMAGES * APPLY_REQUESTS),
            (f"acr: plan, {IMAGES} images, no changes", ("plan", "-detailed-exitcode"), 4),
        ):
            _measure(what, loopback, bound, partial(cost, (*FLEET, *command), Path(scratch), runs=1))


def _newest_tags() -> None:
    acr, hub = _acr(), HubService()
    tags = {f"v{number:04}": "sha256:" + "0" * 64 for number in range(TAGS)}
    held = {"tags": tags, "manifests": {}, "blobs": []}
    start = time.time()
    dates = {tag: start + number for number, tag in enumerate(tags)}
    acr.registry.repositories["image"] = hub.registry.repositories["team/image"] = held
    acr.registry.pushed["image"] = hub.registry.pushed["team/image"] = dates
    with Loopback(acr, tls=server_context()) as azure, Loopback(hub) as loopback:
        settings = AcrSettings.model_validate(_entry(acr, azure))
        ours = AcrProvider("azure", settings, _context("s3cret"))
        _measure(f"acr: the newest of {TAGS:,} tags", azure, 6, lambda: _newest(ours, f"{azure.host}/image"))
        given = {"type": "dockerhub", "namespace": "team", "url": loopback.url, "api": loopback.url}
        docker = DockerHub("hub", DockerHubSettings.model_validate(given), _context(""))
        name = f"{loopback.host}/team/image"
        _measure(f"dockerhub: the newest of {TAGS:,} tags", loopback, 1, lambda: _newest(docker, name))


def _newest(registry: Registry, name: str) -> None:
    assert next(registry.tags(name)).name == f"v{TAGS - 1:04}"


def _measure(what: str, loopback: Loopback, bound: int, work: Callable[[], object]) -> None:
    before, start = loopback.count(), time.perf_counter()
    work()
    row(what, f"{loopback.count() - before:,}", f"{bound:,}", f"{time.perf_counter() - start:.2f}")


def _acr() -> Acr:
    state = AzureState()
    state.clients["the-application"] = Client("s3cret")
    return Acr(state)


def _context(secret: str) -> Context:
    return Context("ours", Path(), lambda _: Secret(secret), lambda: None)


def _entry(acr: Acr, loopback: Loopback) -> dict[str, Any]:
    login = {"tenant": acr.state.tenant, "client_id": "the-application", "authority": loopback.url}
    return {
        "type": "acr",
        "registry": "example",
        "url": loopback.url,
        "manager": loopback.url,
        "subscription": acr.state.subscription,
        "resource_group": acr.state.group,
        "auth": {**login, "client_secret": {"env": "AZURE_SECRET"}},
    }


if __name__ == "__main__":
    main()
