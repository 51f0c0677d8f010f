"""Quay: requests and time of plans, of an apply under the service's own rate limit, and of finding the newest tag."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import yaml

from fleet.provider import Context, Secret
from fleet.sandbox.quay import RateLimit, RunningQuay, serve_quay
from fleet.sandbox.registry import Registry
from fleet_quay import Quay
from fleet_quay.specs import QuaySettings
from tests.benchmarks.measure import FLEET, cost, row
from tests.subjects.common import publish

IMAGES = 1_000
CREATED = 200
TAGS = 5_000
APPLY_REQUESTS = 7
API_REQUESTS = 3
"""Requests that a new image takes, and those of them that go to the API, whose rate is limited."""

PER_SECOND = 200
"""The limit that is tried: quay.io's own is 5, or 50 over HTTP/2, and would take minutes."""

APPLY = ("apply", "-auto-approve")
PLAN = ("plan", "-detailed-exitcode")


def main() -> None:
    """Print the table."""
    row("Quay on loopback", "requests", "bound", "seconds", "bound", "ratio")
    with tempfile.TemporaryDirectory() as scratch, serve_quay() as quay:
        folder = Path(scratch)
        write_fleet(folder, quay, CREATED)
        _measure(folder, quay, f"apply, {CREATED} new images", APPLY, CREATED * APPLY_REQUESTS)
        write_fleet(folder, quay, IMAGES)
        cost((*FLEET, *APPLY), folder, runs=1)
        _measure(folder, quay, f"plan, {IMAGES:,} images, no changes", PLAN, 2 * IMAGES)
        _newest_tag(quay)
    with tempfile.TemporaryDirectory() as scratch, serve_quay(rate=RateLimit(PER_SECOND, burst=25)) as quay:
        folder = Path(scratch)
        write_fleet(folder, quay, CREATED)
        api_requests = CREATED * API_REQUESTS
        what = f"apply, {CREATED} new images, {PER_SECOND} API requests a second"
        _measure(folder, quay, what, APPLY, CREATED * APPLY_REQUESTS, api_requests / PER_SECOND)


def _measure(
    folder: Path, quay: RunningQuay, what: str, command: tuple[str, ...], bound: int, seconds: float | None = None
) -> None:
    os.environ["QUAY_TOKEN"] = quay.token
    before, start = quay.loopback.count(), time.perf_counter()
    cost((*FLEET, *command), folder, runs=1)
    requests, spent = quay.loopback.count() - before, time.perf_counter() - start
    bounded = (f"{seconds:.2f}", f"{spent / seconds:.2f}") if seconds else ()
    row(what, f"{requests:,}", f"{bound:,}", f"{spent:.2f}", *bounded)


def _newest_tag(quay: RunningQuay) -> None:
    assert isinstance(quay.quay.registry, Registry)
    digest = publish(quay.quay.tokens, f"{quay.registry_host}/example/image-0000", "any")
    tags = [f"v{number:04}" for number in range(TAGS)]
    quay.quay.registry.repositories["example/image-0000"]["tags"] = dict.fromkeys(tags, digest)
    quay.state.pushed["example/image-0000"] = {tag: number for number, tag in enumerate(tags)}
    keys = {"type": "quay", "url": quay.url, "namespace": "example", "auth": {"token": {"env": "QUAY_TOKEN"}}}
    context = Context("ours", Path(), lambda _: Secret(quay.token), lambda: None)
    ours = Quay("quay", QuaySettings.model_validate(keys), context)
    before, start = quay.loopback.count(), time.perf_counter()
    assert next(ours.tags(f"{quay.registry_host}/example/image-0000")).name == f"v{TAGS - 1:04}"
    spent = time.perf_counter() - start
    row(f"the newest of {TAGS:,} tags", f"{quay.loopback.count() - before:,}", "1", f"{spent:.2f}")


def write_fleet(folder: Path, quay: RunningQuay, images: int) -> None:
    """A fleet of that many images in a Quay."""
    entry = {"type": "quay", "url": quay.url, "namespace": "example", "auth": {"token": {"env": "QUAY_TOKEN"}}}
    built = {f"image-{number:04}": {"registry": "quay"} for number in range(images)}
    document = {"version": 1, "name": "ours", "registries": {"quay": entry}, "images": built}
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))


if __name__ == "__main__":
    main()
