"""Quay: requests and time of a plan without changes, and an apply against the bound of the service's own rate limit."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import yaml

from fleet.sandbox.quay import RateLimit, RunningQuay, serve_quay
from tests.benchmarks.measure import FLEET, cost, row

IMAGES = 1_000
CREATED = 200
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


def write_fleet(folder: Path, quay: RunningQuay, images: int) -> None:
    """A fleet of that many images in a Quay."""
    entry = {"type": "quay", "url": quay.url, "namespace": "example", "auth": {"token": {"env": "QUAY_TOKEN"}}}
    built = {f"image-{number:04}": {"registry": "quay"} for number in range(images)}
    document = {"version": 1, "name": "ours", "registries": {"quay": entry}, "images": built}
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))


if __name__ == "__main__":
    main()
