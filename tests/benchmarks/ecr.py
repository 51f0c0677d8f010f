"""Amazon ECR: requests and time of making many images, of a plan without changes, and of finding the newest tag."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from fleet.provider import Context, Secret
from fleet.sandbox.ecr import RunningEcr, serve_ecr
from fleet_ecr import Ecr
from fleet_ecr.specs import EcrSettings
from tests.benchmarks.measure import FLEET, cost, row
from tests.subjects.ecr import KEY, SECRET

IMAGES = 500
TAGS = 5_000


def main() -> None:
    """Print the table."""
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    row("Amazon ECR on loopback", "requests", "bound", "seconds")
    with serve_ecr((KEY, SECRET)) as ecr, tempfile.TemporaryDirectory() as scratch:
        _plans(ecr, Path(scratch))
        _newest_tag(ecr)


def _plans(ecr: RunningEcr, folder: Path) -> None:
    registry = {"type": "ecr", **_where(ecr), "source": "example-org/{image}"}
    images = {f"image-{number:03}": {"registry": "ecr"} for number in range(IMAGES)}
    document = {"version": 1, "name": "ours", "registries": {"ecr": registry}, "images": images}
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
    for what, command, bound in (
        (f"apply, {IMAGES} new images", ("apply", "-auto-approve"), 3 * IMAGES + 16),
        (f"plan, {IMAGES} images, no changes", ("plan", "-detailed-exitcode"), IMAGES + 4),
    ):
        _measure(what, ecr, bound, partial(cost, (*FLEET, *command), folder, runs=1))


def _newest_tag(ecr: RunningEcr) -> None:
    digests = {f"v{number:04}": f"sha256:{number:064x}" for number in range(TAGS)}
    held = {"tags": digests, "manifests": dict.fromkeys(digests.values(), ""), "blobs": []}
    ecr.ecr.registry.repositories["image-000"] = held
    dates = {digest: float(number) for number, digest in enumerate(digests.values())}
    ecr.ecr.registry.pushed["image-000"] = dates
    settings = EcrSettings.model_validate({"type": "ecr", **_where(ecr)})
    ours = Ecr("ecr", settings, Context("ours", Path(), lambda _: Secret(""), lambda: None))

    def newest() -> None:
        assert next(ours.tags(f"{ecr.registry_host}/image-000")).name == f"v{TAGS - 1:04}"

    _measure(f"the newest of {TAGS:,} tags", ecr, TAGS // 1000, newest)


def _measure(what: str, ecr: RunningEcr, bound: int, work: Callable[[], object]) -> None:
    before, start = ecr.loopback.count(), time.perf_counter()
    work()
    row(what, f"{ecr.loopback.count() - before:,}", f"{bound:,}", f"{time.perf_counter() - start:.2f}")


def _where(ecr: RunningEcr) -> dict[str, str]:
    return {"account": ecr.aws.account, "region": ecr.aws.region, "url": ecr.url}


if __name__ == "__main__":
    main()
