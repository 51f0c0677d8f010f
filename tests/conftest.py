"""What many tests stand on: git as on a machine of nobody, and a small fleet in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.sandbox.http import Loopback
from fleet.sandbox.registry import Registry
from fleet.testing.crash import CRASH_POINTS
from tests.github_judge import JUDGED
from tests.images import Image, push
from tests.little_fleet import TAGS, LittleFleet

DOES_NOT_APPLY = "does not apply"
"""Under this name the contract's tests record which cases do not apply to a provider, and why."""

collect_ignore = ["third_party"]
"""Tests of a provider that lives elsewhere; `test_third_party.py` runs them as its author would."""

for _name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_", "FLEET_STATE", "NO_COLOR"))]:
    del os.environ[_name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many crash points were tried and have converged; the tests record them."""
    reports = terminalreporter.getreports("passed")
    points = sum(value for report in reports for name, value in report.user_properties if name == CRASH_POINTS)
    if points:
        terminalreporter.write_line(f"crash points: {points} tried, {points} converged")
    of_fixtures = [report for report in terminalreporter.getreports("") if report.when == "teardown"]
    judged = [value for report in of_fixtures for name, value in report.user_properties if name == JUDGED]
    if judged:
        rest, graphql = (sum(counts) for counts in zip(*judged, strict=True))
        terminalreporter.write_line(
            f"judged by GitHub's published descriptions: {rest:,} REST exchanges and {graphql:,} GraphQL queries"
        )
    left_out = {str(value) for report in reports for name, value in report.user_properties if name == DOES_NOT_APPLY}
    for text in sorted(left_out):
        terminalreporter.write_line(f"the contract's cases that do not apply to {text}")


@pytest.fixture(autouse=True)
def _git_of_nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own git configuration plays no part, and no test reaches the home folder's."""
    home = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def registry() -> Iterator[Loopback]:
    """A registry that shows everybody the tags of the little fleet; tests read it and never change it."""
    with Loopback(Registry()) as loopback:
        for name, tags in TAGS.items():
            for tag in tags:
                push(f"{loopback.url}/v2/{name}", Image(labels={"tag": tag}), tag)
        yield loopback


@pytest.fixture
def little(tmp_path: Path, registry: Loopback, monkeypatch: pytest.MonkeyPatch) -> LittleFleet:
    """A fleet of three hubs in the current folder: two share a line, one has its own."""
    monkeypatch.chdir(tmp_path)
    return LittleFleet(tmp_path, registry.host)
