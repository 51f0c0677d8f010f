"""GitHub: what a plan without changes costs, and how near the creation of many images comes to GitHub's own limits."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.sandbox.github import Limits, Sandbox, serve_github
from fleet.sandbox.github.model_actions import Secret
from tests.benchmarks.measure import FLEET, cost, row
from tests.github_creation import create

IMAGES = 1_000
LATENCY = 0.05
"""Seconds that GitHub takes for each answer."""

AIM = 60
"""Requests for all but the secrets."""

MINUTE = 60
"""Seconds that a plan of more than 900 requests must take: GitHub allows 900 points a minute.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"""

SECONDS = 5
"""Seconds that a plan of all but secrets may take."""

PLAN = ("plan", "-detailed-exitcode")
APPLY = ("apply", "-auto-approve")

CREATED = 200
"""Images that are made at once; each takes five writes, and all of them count as creating content."""

RATIO = 1.15
"""How much longer than the content limits' own bound creating may take."""


def main() -> None:
    """Print the tables."""
    _plan()
    row(
        "GitHub on loopback, its own clock", "writes", "refused", "runs", "seconds", "limits' bound", f"x (aim {RATIO})"
    )
    made = create(CREATED, Limits())
    what = f"apply of {CREATED} new images until all are made"
    times = f"{made.seconds:,.0f}", f"{made.bound:,.0f}", f"{made.seconds / made.bound:.2f}"
    row(what, f"{made.writes:,}", f"{made.refused:,}", f"{made.runs}", *times)


def _plan() -> None:
    row("GitHub on loopback, 50 ms a request", "GraphQL", "bound", "REST", "of them 304", "bound", "seconds", "bound")
    with tempfile.TemporaryDirectory() as scratch, serve_github(Path(scratch) / "github") as github:
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        now = github.state.clock.now()
        for number in range(IMAGES):
            held = github.state.create_repository(_repository(number), {"README.md": "An image.\n"})
            held.topics = ("fleet-ours",)
            held.secrets["DOCKER_PASSWORD"] = Secret("DOCKER_PASSWORD", "stored-before", now, now)
        os.environ["GITHUB_TOKEN"] = github.state.create_token("ada")
        os.environ["REGISTRY_PASSWORD"] = "unused-by-a-plan"
        push = {"username": "ada", "password": {"env": "REGISTRY_PASSWORD"}}
        stored = {"type": "oci", "url": "https://registry.example.org", "namespace": "team", "push": push}
        _measure(Path(scratch) / "stored", github, stored, "with a secret", MINUTE)
        _measure(
            Path(scratch) / "keyless", github, {"type": "ghcr", "owner": "example-org"}, "without secrets", SECONDS
        )


def _measure(folder: Path, github: Sandbox, registry: Mapping[str, Any], which: str, aim: int) -> None:
    entry = {"type": "github", "base_url": github.url, "auth": {"token": {"env": "GITHUB_TOKEN"}}}
    images = {f"i{number:04}": {"registry": "images", "repository": _repository(number)} for number in range(IMAGES)}
    document = {
        "version": 1,
        "name": "ours",
        "code_hosts": {"github": entry},
        "registries": {"images": registry},
        "images": images,
    }
    folder.mkdir()
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
    _know(folder, github)
    start = time.perf_counter()
    cost((*FLEET, *PLAN), folder, runs=1)
    spent, queries = time.perf_counter() - start, github.loopback.count("POST", "/graphql")
    listings = github.loopback.count() - queries
    free = sum(record.status == 304 for record in github.loopback.records)
    listed = 0 if aim == SECONDS else IMAGES
    what = f"plan, {IMAGES:,} repositories {which}, no changes"
    row(what, f"{queries:,}", f"{AIM}", f"{listings:,}", f"{free:,}", f"{listed:,}", f"{spent:.1f}", f"{aim}")


def _know(folder: Path, github: Sandbox) -> None:
    """Have an earlier run, which is not measured, see all of it: the next one asks only what has changed since."""
    github.loopback.delay = 0
    github.service.meter.limits.points_per_minute = None
    for command in (APPLY, PLAN):
        cost((*FLEET, *command), folder, runs=1)
    github.service.meter.limits.points_per_minute = Limits().points_per_minute
    github.state.clock.advance(MINUTE)
    github.loopback.records.clear()
    github.loopback.delay = LATENCY


def _repository(number: int) -> str:
    return f"example-org/image-{number:04}"


if __name__ == "__main__":
    main()
