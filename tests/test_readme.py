"""What the README and the tutorial show is what a person sees; each of their commands is run."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox import control, example
from tests.examples import commands_and_output, free_ports

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("FLEET_CACHE") or ROOT / ".cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports()


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the tutorial, where `fleet` is this one."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FLEET_CACHE", str(CACHE))
    programs = folder / "bin"
    if not programs.exists():
        programs.mkdir()
        (programs / "fleet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fleet "$@"\n')
        (programs / "fleet").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def as_shown(text: str, port: int) -> str:
    """What was printed, with the ports that the pages show; each tag and process is another one every time."""
    for number in range(5):
        text = text.replace(f"127.0.0.1:{port + number}", f"127.0.0.1:{example.PORT + number}")
    text = re.sub(r"climate-image:[0-9a-f]{12}", "climate-image:0123456789ab", text)
    text = re.sub(r"\d+ requests?\b", "some requests", text)
    return re.sub(r"process \d+", "process 4711", text).strip()


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.timeout(400)
def test_the_tutorial_is_what_happens(there: None, port: int) -> None:
    Path("fleet.yaml").write_text(example.fleet_file(port))
    steps = list(commands_and_output((ROOT / "docs/tutorial.md").read_text()))
    assert len(steps) > 15
    readme = re.search(r"\$ fleet plan\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert readme is not None
    plans = []
    for command, shown in steps:
        done = run(command.replace("sandbox up", f"sandbox up -port={port}").replace("8401", str(port + 1)))
        printed = as_shown(done.stdout, port)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        if command == "fleet plan":
            plans.append(printed)
        if shown and "9be04" not in shown:
            assert printed == as_shown(shown, port), command
        if command.startswith("git") and command.endswith("push --quiet"):
            await_builds(port)
    assert plans[0] == as_shown(readme[1], port)


def await_builds(port: int) -> None:
    from fleet.sandbox.demo import await_build

    await_build(f"http://127.0.0.1:{port + 1}")


@pytest.fixture
def sandbox(there: None, port: int) -> Iterator[int]:
    assert main(["sandbox", "up", f"-port={port}"]) == ExitCode.OK
    yield port
    assert main(["sandbox", "down"]) == ExitCode.OK


def test_a_sandbox_that_is_up_stays_as_it_is_and_says_so(sandbox: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = control.status(Path(".demo"))
    assert before is not None
    assert main(["sandbox", "up"]) == ExitCode.OK
    assert main(["sandbox", "status"]) == ExitCode.OK
    assert control.status(Path(".demo")) == before
    assert f"http://127.0.0.1:{sandbox}" in capsys.readouterr().out
    assert main(["sandbox", "visit", "nowhere"]) == ExitCode.ERROR
    assert "it has climate-staging, climate-prod, seminar" in capsys.readouterr().err
    assert main(["sandbox", "visit"]) == ExitCode.USAGE
    assert main(["sandbox", "up", "-registry=ecr"]) == ExitCode.ERROR
    assert "up with its images in quay; stop it first" in capsys.readouterr().err
    assert main(["sandbox", "up", "-registry=harbour"]) == ExitCode.USAGE
    assert "it has acr, ecr, gar, quay" in capsys.readouterr().err


def test_a_sandbox_whose_port_is_taken_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["sandbox", "up", f"-port={taken.getsockname()[1]}"]) == ExitCode.ERROR
    assert "Address already in use" in capsys.readouterr().err
    assert main(["sandbox", "status"]) == ExitCode.ERROR
    assert main(["sandbox", "down"]) == ExitCode.OK


def test_a_folder_that_holds_something_else_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.tex").write_text("three years of work")
    assert main(["sandbox", "up", "-folder=."]) == ExitCode.ERROR
    assert "no sandbox's folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").exists()


def test_every_page_that_the_docs_link_to_exists() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
