"""Google's registries: requests and time of making many images, of a plan without changes, and of the newest tag."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from google.cloud.artifactregistry_v1 import Repository

from tests.benchmarks.measure import FLEET, cost, row
from tests.google_cloud import Sandbox, sandbox

IMAGES = 500
TAGS = 5_000

APPLY = ("apply", "-auto-approve")
PLAN = ("plan", "-detailed-exitcode")

REGISTRIES: dict[str, tuple[dict[str, Any], int, int]] = {
    "gar, keyless": ({"type": "gar", "location": "us-central1"}, 4 * IMAGES + 5, IMAGES + 3),
    "gar, keys": ({"type": "gar", "location": "us-central1", "push": "key"}, 6 * IMAGES, IMAGES + 6),
    "gcr, keyless": ({"type": "gcr", "shared": True}, 7, 4),
}
"""What fleet.yaml says, and how many requests the writes of an apply and a plan are to take."""


def main() -> None:
    """Print the table."""
    row("Google on loopback", "requests", "bound", "seconds")
    for name, (keys, writes, reads) in REGISTRIES.items():
        with tempfile.TemporaryDirectory() as scratch, sandbox() as google:
            folder = Path(scratch)
            _write_fleet(folder, google, keys)
            # An apply plans first, and reads once more before it writes.
            _measure(folder, google, f"{name}: apply, {IMAGES} new images", APPLY, writes + 2 * reads)
            _measure(folder, google, f"{name}: plan, {IMAGES} images, no changes", PLAN, reads)
    with sandbox() as google:
        _newest_tag(google)


def _newest_tag(google: Sandbox) -> None:
    """Find the newest of many tags, each of an image of its own."""
    ours = google.gar(shared=True, repository="hubs")
    path, tags = "example-project/hubs/climate", [f"v{number:04}" for number in range(TAGS)]
    digests = {tag: f"sha256:{number:064x}" for number, tag in enumerate(tags)}
    full = google.cloud.repository_of(path)
    google.state.repositories[full] = Repository(name=full, format_="DOCKER")
    google.cloud.registry.repositories[path] = {
        "tags": digests,
        "manifests": dict.fromkeys(digests.values(), ""),
        "blobs": [],
    }
    day = datetime(2026, 1, 30, tzinfo=UTC)
    google.state.uploads |= {(path, one): day + timedelta(seconds=n) for n, one in enumerate(digests.values())}
    before, start = google.loopback.count(), time.perf_counter()
    assert next(ours.tags(f"{ours.host}/{path}")).name == tags[-1]
    spent = time.perf_counter() - start
    row(f"gar: the newest of {TAGS:,} tags", f"{google.loopback.count() - before:,}", "1", f"{spent:.2f}")


def _measure(folder: Path, google: Sandbox, what: str, command: tuple[str, ...], bound: int) -> None:
    os.environ["GOOGLE_TOKEN"] = "fleets-token"
    before, start = google.loopback.count(), time.perf_counter()
    cost((*FLEET, *command), folder, runs=1)
    spent = time.perf_counter() - start
    row(what, f"{google.loopback.count() - before:,}", f"{bound:,}", f"{spent:.2f}")


def _write_fleet(folder: Path, google: Sandbox, keys: dict[str, Any]) -> None:
    """A fleet of that many images, whose sources fleet does not manage."""
    auth = {"token": {"env": "GOOGLE_TOKEN"}}
    entry = google.keys({"source": "example-org/{image}", "url": google.loopback.url, **keys, "auth": auth})
    if keys["type"] == "gcr":
        google.cloud.host, google.cloud.location = "gcr.io", "us"
    built = {f"image-{number:04}": {"registry": "google"} for number in range(IMAGES)}
    document = {"version": 1, "name": "ours", "registries": {"google": entry}, "images": built}
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))


if __name__ == "__main__":
    main()
