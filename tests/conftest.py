"""What many tests stand on: git as on a machine of nobody, and a small fleet in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.little_fleet import LittleFleet

for _name in [name for name in os.environ if name.startswith(("GIT_", "FLEET_STATE", "NO_COLOR"))]:
    del os.environ[_name]


@pytest.fixture(autouse=True)
def _git_of_nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own git configuration plays no part, and no test reaches the home folder's."""
    home = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LittleFleet:
    """A fleet of three hubs in the current folder: two share a line, one has its own."""
    monkeypatch.chdir(tmp_path)
    return LittleFleet(tmp_path)
