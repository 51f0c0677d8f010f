"""From an existing configuration to one changed line: import, plan, change, apply, plan again.

On a generated fleet of the 2i2c layout, and on the real one whose folder `FLEET_REAL_FLEET` names.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.corpus import real_fleet, write_corpus


@dataclass(frozen=True)
class Imported:
    """A fleet, and the line that several of its hubs share: before, after, and how many hubs it decides."""

    hubs: int
    sites: int
    file: str
    line: int
    slot: str
    wanted: str
    reached: int
    diff: tuple[str, str]


GENERATED = Imported(
    hubs=10,
    sites=16,
    file="config/clusters/colleges/common.values.yaml",
    line=8,
    slot='default: {image: base-user-image, track: "bde8b3293fd2"}',
    wanted='default: {image: base-user-image, track: "178819e05792"}',
    reached=3,
    diff=("-      tag: bde8b3293fd2", "+      tag: '178819e05792'"),
)
REAL = Imported(
    hubs=171,
    sites=302,
    file="config/clusters/cloudbank/common.values.yaml",
    line=21,
    slot='default: {image: base-user-image, track: "bde8b3293fd2"}',
    wanted='default: {image: base-user-image, track: "178819e05792"}',
    reached=71,
    diff=("-      tag: bde8b3293fd2", "+      tag: '178819e05792'"),
)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(params=["generated", "real"] if real_fleet() else ["generated"])
def imported(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Imported:
    """The fleet's configuration as a git checkout in the current folder, imported into fleet.yaml."""
    monkeypatch.chdir(tmp_path)
    real = real_fleet()
    if request.param == "real" and real:
        shutil.copytree(real, "layout")
        subprocess.run(["chmod", "-R", "u+w", "layout"], check=True)
    else:
        write_corpus(Path("layout"))
    git(Path("layout"), "init", "--quiet", "--initial-branch=main")
    git(Path("layout"), "config", "user.name", "An Operator")
    git(Path("layout"), "config", "user.email", "operator@example.org")
    git(Path("layout"), "add", ".")
    git(Path("layout"), "commit", "--quiet", "--message=as it is")
    return REAL if request.param == "real" else GENERATED


def test_an_imported_fleet_plans_to_nothing_and_one_shared_line_is_one_change(
    imported: Imported, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "2i2c", "layout"]) == ExitCode.OK
    text = capsys.readouterr().out
    Path("fleet.yaml").write_text(text)
    assert main(["plan", "-refresh=false", "-detailed-exitcode"]) == ExitCode.OK
    assert f"{imported.hubs} hubs, {imported.sites} resources" in capsys.readouterr().out

    Path("fleet.yaml").write_text(text.replace(imported.slot, imported.wanted))
    assert main(["plan", "-refresh=false", "-detailed-exitcode"]) == ExitCode.CHANGES
    shown = capsys.readouterr().out
    assert f"{imported.file}:{imported.line}  default" in shown
    assert f"1 to change, 0 to adopt, 0 to remove. {imported.reached} hubs of {imported.hubs} will see it." in shown

    assert main(["apply", "-refresh=false", "-auto-approve"]) == ExitCode.OK
    diff = git(Path("layout"), "show", "--unified=0", "--format=").splitlines()
    changed = [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert tuple(changed) == imported.diff
    assert git(Path("layout"), "rev-list", "--count", "HEAD") == "2"
    assert main(["plan", "-refresh=false", "-detailed-exitcode"]) == ExitCode.OK
