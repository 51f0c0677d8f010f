"""The main job on whole fleets in 2i2c's layout: import, an empty plan, one changed line, an empty plan again.

The generated fleet always; a real one, copied first, where the environment names one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.corpus import real_fleet, write_corpus

REAL = real_fleet()


@dataclass(frozen=True)
class Case:
    """A line that several hubs inherit, and what is known of its fleet."""

    hubs: int
    sites: int
    common: str
    line: int
    image: str
    tag: str
    slots: int


GENERATED = Case(15, 21, "config/clusters/campuses/common.values.yaml", 5, "campuses/base-image", "fbab22cbce38", 3)
CLOUDBANK = Case(171, 302, "config/clusters/cloudbank/common.values.yaml", 21, "base-user-image", "bde8b3293fd2", 71)

OFFLINE = "-refresh=false"


class Imported:
    """A fleet in a checkout of its own, and the fleet.yaml that was imported from it."""

    def __init__(self, folder: Path, case: Case, capsys: pytest.CaptureFixture[str]) -> None:
        self.case = case
        self.infrastructure = folder / "infrastructure"
        self.fleet_file = folder / "fleet.yaml"
        self._capsys = capsys
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "An Operator")
        self.git("config", "user.email", "operator@example.org")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "The hubs as they are")
        self.fleet_file.write_text(self.fleet("import", "2i2c", "infrastructure"))

    def git(self, *arguments: str) -> str:
        """What a git command in the checkout prints."""
        done = subprocess.run(["git", *arguments], cwd=self.infrastructure, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def fleet(self, *arguments: str, expect: ExitCode = ExitCode.OK) -> str:
        """What a command of fleet prints; it must end as expected."""
        code = main(arguments)
        shown = self._capsys.readouterr()
        assert code == expect, shown.err
        return shown.out

    def move_the_common_line(self, tag: str) -> int:
        """Have every slot that the common line serves follow another tag; how many there are."""
        track = rf"(default: \{{image: [\w-]+, track: )\"{self.case.tag}\""
        text, count = re.subn(track, rf'\g<1>"{tag}"', self.fleet_file.read_text())
        self.fleet_file.write_text(text)
        return count


@pytest.fixture(params=["generated"] + (["real"] if REAL else []))
def imported(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Imported:
    monkeypatch.chdir(tmp_path)
    if request.param == "real" and REAL:
        shutil.copytree(REAL, tmp_path / "infrastructure", ignore=shutil.ignore_patterns(".git"))
        return Imported(tmp_path, CLOUDBANK, capsys)
    write_corpus(tmp_path / "infrastructure")
    return Imported(tmp_path, GENERATED, capsys)


def test_an_imported_fleet_is_valid_and_its_first_plan_is_empty(imported: Imported) -> None:
    imported.fleet("validate")
    shown = imported.fleet("plan", OFFLINE, "-detailed-exitcode")
    assert f"{imported.case.hubs} hubs, {imported.case.sites} resources" in shown
    assert "No changes." in shown


def test_the_line_that_many_hubs_inherit_moves_with_one_commit_of_one_line(imported: Imported) -> None:
    case = imported.case
    assert imported.move_the_common_line("178819e05792") == case.slots
    shown = imported.fleet("plan", OFFLINE, "-detailed-exitcode", "-out=p.fleet", expect=ExitCode.CHANGES)
    assert f"{case.common}:{case.line}" in shown
    assert "1 to change" in shown
    (change,) = json.loads(imported.fleet("show", "-json", "p.fleet"))["resource_changes"]
    assert change["change"]["before"] == {"image": change["change"]["after"]["image"], "tag": case.tag}
    assert change["change"]["after"]["image"].endswith(case.image)
    assert len(change["hubs"]) == case.slots
    imported.fleet("apply", OFFLINE, "-auto-approve")
    assert imported.git("rev-list", "--count", "HEAD") == "2"
    assert imported.git("show", "--numstat", "--format=", "HEAD") == f"1\t1\t{case.common}"
    line = (imported.infrastructure / case.common).read_text().splitlines()[case.line - 1]
    assert line.strip() == "tag: '178819e05792'"
    assert imported.git("status", "--porcelain") == ""
    assert "No changes." in imported.fleet("plan", OFFLINE, "-detailed-exitcode")


def test_one_hub_of_a_line_cannot_move_alone(imported: Imported) -> None:
    text = imported.fleet_file.read_text()
    imported.fleet_file.write_text(re.sub(rf"(default: .*)\"{imported.case.tag}\"", r'\1"0123456789ab"', text, count=1))
    imported.fleet("plan", OFFLINE, expect=ExitCode.ERROR)
    assert imported.git("rev-list", "--count", "HEAD") == "1"
