"""GitHub: requests and time of a plan without changes, each request taking 50 ms; secrets are asked for one by one."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import yaml

from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.github.model_actions import Secret
from tests.benchmarks.measure import FLEET, cost, row

IMAGES = 1_000
LATENCY = 0.05
"""Seconds that GitHub takes for each answer."""

AIM = 60
"""Requests for all but the secrets."""

MINUTE = 60
"""Seconds that a plan of more than 900 requests must take: GitHub allows 900 points a minute.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"""

PLAN = ("plan", "-detailed-exitcode")


def main() -> None:
    """Print the table."""
    row("GitHub on loopback, 50 ms a request", "GraphQL", "bound", "REST", "bound", "seconds", "bound")
    with tempfile.TemporaryDirectory() as scratch, serve_github(Path(scratch) / "github") as github:
        github.loopback.delay = LATENCY
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        now = github.state.clock.now()
        for number in range(IMAGES):
            held = github.state.create_repository(_repository(number), {"README.md": "An image.\n"})
            held.topics = ("fleet-ours",)
            held.secrets["DOCKER_PASSWORD"] = Secret("DOCKER_PASSWORD", "stored-before", now, now)
        os.environ["GITHUB_TOKEN"] = github.state.create_token("ada")
        os.environ["REGISTRY_PASSWORD"] = "unused-by-a-plan"
        _measure(Path(scratch), github)


def _measure(folder: Path, github: Sandbox) -> None:
    push = {"username": "ada", "password": {"env": "REGISTRY_PASSWORD"}}
    registry = {"type": "oci", "url": "https://registry.example.org", "namespace": "team", "push": push}
    entry = {"type": "github", "base_url": github.url, "auth": {"token": {"env": "GITHUB_TOKEN"}}}
    images = {f"i{number:04}": {"registry": "oci", "repository": _repository(number)} for number in range(IMAGES)}
    document = {
        "version": 1,
        "name": "ours",
        "code_hosts": {"github": entry},
        "registries": {"oci": registry},
        "images": images,
    }
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
    start = time.perf_counter()
    cost((*FLEET, *PLAN), folder, runs=1)
    spent, queries = time.perf_counter() - start, github.loopback.count("POST", "/graphql")
    listings = github.loopback.count() - queries
    what = f"plan, {IMAGES:,} repositories with a secret, no changes"
    row(what, f"{queries:,}", f"{AIM}", f"{listings:,}", f"{IMAGES:,}", f"{spent:.1f}", f"{MINUTE}")


def _repository(number: int) -> str:
    return f"example-org/image-{number:04}"


if __name__ == "__main__":
    main()
