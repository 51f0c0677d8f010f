"""What the README shows is what a person sees, and the sandbox starts and stops as it says."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox import control, example

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The example's sandbox on a port of its own, in the current folder; the port is handed on."""
    port = free_port()
    monkeypatch.chdir(tmp_path)
    text = control.example_fleet_file().replace(str(control.PORT), str(port))
    (tmp_path / "fleet.yaml").write_text(text)
    files = {name: content.replace(str(control.PORT), str(port)) for name, content in example.FILES.items()}
    monkeypatch.setattr(example, "FILES", files)
    assert main(["sandbox", "up", f"-port={port}"]) == ExitCode.OK
    yield port
    assert main(["sandbox", "down"]) == ExitCode.OK


def test_the_plan_in_the_readme_is_what_fleet_plan_prints(sandbox: int, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["plan"]) == ExitCode.OK
    printed = capsys.readouterr().out.replace(str(sandbox), str(control.PORT))
    shown = re.search(r"\$ fleet plan\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert shown is not None
    assert printed == shown[1]


def test_the_example_is_applied_and_then_there_is_nothing_to_do(
    sandbox: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    assert "No changes." in capsys.readouterr().out


def test_a_sandbox_that_is_up_stays_as_it_is_and_says_so(sandbox: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = control.status(Path(".demo"))
    assert main(["sandbox", "up"]) == ExitCode.OK
    assert main(["sandbox", "status"]) == ExitCode.OK
    assert control.status(Path(".demo")) == before
    assert f"http://127.0.0.1:{sandbox}" in capsys.readouterr().out


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


def test_every_page_that_the_docs_link_to_exists() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
