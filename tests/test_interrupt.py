"""An interrupt from the terminal: what is being written is finished, nothing more is begun, nothing is left locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from tests.little_fleet import LittleFleet


def with_waiting_hook(little: LittleFleet) -> None:
    """A pre-commit hook that says that it has begun, and goes on when it is told to."""
    for pipe in ("begun", "go-on"):
        os.mkfifo(little.folder / pipe)
    hook = little.infrastructure / ".git/hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\necho > {little.folder}/begun\nread line < {little.folder}/go-on\n")
    hook.chmod(0o755)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_commit_that_is_under_way(little: LittleFleet, number: signal.Signals) -> None:
    with_waiting_hook(little)
    little.track("bbbbbbbbbbbb")
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "apply", "-auto-approve"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    (little.folder / "begun").read_text()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: git and the hook get it too
    else:
        process.send_signal(number)
    (little.folder / "go-on").write_text("\n")
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert "Stopping: what is being written is finished first" in err
    assert "Applied: 1 done." in out
    assert little.commits() == 2
    assert little.git("status", "--porcelain") == ""
    assert not list((little.infrastructure / ".git").glob("*.lock"))
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
