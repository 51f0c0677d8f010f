"""A provider from outside this repository: installed from a folder, found, held to the contract, and used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = Path(__file__).with_name("third_party")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider installed, as pip does it."""
    project = shutil.copytree(SOURCE, tmp_path_factory.mktemp("fleet-shelf") / "project")
    target = tmp_path_factory.mktemp("site")
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, "--target", str(target), str(project)], check=True)
    return target


def python(site: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as a machine does on which the provider is installed."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_its_own_tests_run_the_contract(site: Path, tmp_path: Path) -> None:
    shutil.copy(SOURCE / "test_shelf.py", tmp_path)
    done = python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shelf.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 20


def test_fleet_yaml_names_it_and_its_mistakes_are_found(site: Path, tmp_path: Path) -> None:
    text = "version: 1\nname: example\nregistries:\n  mine: {type: shelf, url: KEY}\nimages: {maps: {registry: mine}}\n"
    (tmp_path / "fleet.yaml").write_text(text.replace("KEY", "http://127.0.0.1:9"))
    assert python(site, "-m", "fleet", "validate", folder=tmp_path).returncode == 0
    (tmp_path / "fleet.yaml").write_text(text.replace("url: KEY", "urll: http://127.0.0.1:9"))
    done = python(site, "-m", "fleet", "validate", folder=tmp_path)
    assert done.returncode == 1
    assert "fleet.yaml:4:" in done.stderr
    assert 'Did you mean "url"?' in done.stderr


def test_the_page_for_authors_shows_these_very_files() -> None:
    page = (ROOT / "docs/writing-a-provider.md").read_text()
    for name in ("fleet_shelf.py", "test_shelf.py", "pyproject.toml"):
        assert (SOURCE / name).read_text().strip() in page, name
