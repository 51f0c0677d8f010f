"""Google's registries: requests and time of an apply of new images, and of a plan without changes."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.measure import FLEET, cost, row
from tests.google_cloud import Sandbox, sandbox

IMAGES = 500

APPLY = ("apply", "-auto-approve")
PLAN = ("plan", "-detailed-exitcode")

REGISTRIES: dict[str, tuple[dict[str, Any], int, int]] = {
    "gar, keyless": ({"type": "gar", "location": "us-central1"}, 4 * IMAGES + 4, IMAGES + 3),
    "gar, keys": ({"type": "gar", "location": "us-central1", "push": "key"}, 6 * IMAGES, IMAGES + 6),
    "gcr, keyless": ({"type": "gcr", "shared": True}, 3 * IMAGES + 4, 4),
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
