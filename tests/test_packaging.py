"""What is in the wheel, and what the lock and the project say about themselves."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("dist")
    script = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_holds_fleet_and_its_providers_and_nothing_else(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert "providers" not in tops
    assert all(re.match(r"fleet(_\w+)?(\.py)?$|hubfleet-.*\.dist-info$", top) for top in tops), tops


def test_the_wheel_holds_every_module_and_data_file_of_the_checkout(wheel: list[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "fleet", "providers"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = {name.removeprefix("providers/") for name in tracked}
    assert wanted - set(wheel) == set()


def test_the_wheel_brings_the_example_and_the_licence(wheel: list[str]) -> None:
    assert "fleet/sandbox/fleet.yaml" in wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


@pytest.mark.parametrize(
    ("name", "least"), [("constraints.txt", 40), ("constraints-action.txt", 40), ("constraints-node.txt", 1)]
)
def test_the_lock_has_hashes_and_names_no_index(name: str, least: int) -> None:
    text = (ROOT / name).read_text()
    pinned = re.findall(r"^[a-z0-9._-]+(?:\[[a-z,]+\])?==\S+", text, flags=re.MULTILINE)
    assert len(pinned) >= least
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "index" not in text


def test_the_action_installs_what_the_lock_says_and_fleet_needs() -> None:
    done = subprocess.run([sys.executable, ".ci/lock_action.py", "-check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run: python .ci/lock_action.py"
