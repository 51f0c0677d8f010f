"""Steps that are scripts: bash as a real process, with the files through which a step answers its runner.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#environment-files
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet.sandbox.github.actions.log import UnknownCommand, annotations_in, masked
from fleet.sandbox.github.actions.machine import Machine, StepFailed

LONGEST = 300.0
"""Seconds that one script may take."""

GRACE = 7.5
"""Seconds that a cancelled script has to end by itself. https://docs.github.com/actions/reference/workflows-and-actions/workflow-cancellation"""

_PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
_ASSIGNED = re.compile(r"([^=\s<]+)(=|<<)(.*)")
_FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")


def run_script(machine: Machine, script: str, env: Mapping[str, str], *, named: bool) -> Mapping[str, str]:
    """Run a script, and return its outputs; raises StepFailed, with what outputs there are.

    A shell that the step names fails where any command of a pipe does.
    """
    scratch = machine.disk.temp / "_runner" / secrets.token_hex(8)
    scratch.mkdir(parents=True)
    files = {name: scratch / name for name in _FILES}
    for path in files.values():
        path.touch()
    (scratch / "script.sh").write_text(script)
    flags = ["--noprofile", "--norc", "-eo", "pipefail"] if named else ["-e"]
    variables = {**env, **machine.variables, **{name: str(path) for name, path in files.items()}}
    programs = ":".join([*machine.path, _PROGRAMS])
    code = _run(["bash", *flags, str(scratch / "script.sh")], {"PATH": programs, **variables}, machine, scratch / "log")
    output = (scratch / "log").read_text(errors="replace")
    outputs = _read(files["GITHUB_OUTPUT"])
    try:
        machine.told.annotations += annotations_in(output, machine.mask)
    except UnknownCommand as unknown:
        raise StepFailed(str(unknown)) from None
    machine.told.log += masked(output, machine.masks)
    machine.told.summary += masked(files["GITHUB_STEP_SUMMARY"].read_text(), machine.masks)
    machine.env.update(_read(files["GITHUB_ENV"]))
    machine.path[:0] = files["GITHUB_PATH"].read_text().split()
    if code:
        raise StepFailed(f"Process completed with exit code {code if code > 0 else 128 - code}.", outputs)
    return outputs


def _run(command: list[str], env: Mapping[str, str], machine: Machine, log: Path) -> int:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=machine.disk.workspace, env=env, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        machine.begins(process.pid)
        try:
            return _waited(process, machine)
        finally:
            machine.told.process = None
            with contextlib.suppress(ProcessLookupError):  # nothing outlives its step
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _waited(process: subprocess.Popen[bytes], machine: Machine) -> int:
    until = time.monotonic() + LONGEST
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.2)
        if machine.stopped():
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(GRACE)
            raise StepFailed("The operation was canceled.")
        if time.monotonic() > until:
            raise StepFailed(f"a script has not ended within {LONGEST:.0f} seconds")


def _read(path: Path) -> dict[str, str]:
    """NAME=VALUE, or NAME<<END with lines up to END; raises StepFailed for what is neither."""
    return dict(_assigned(iter(path.read_text().splitlines())))


def _assigned(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in filter(None, lines):
        match = _ASSIGNED.fullmatch(line)
        if match is None:
            raise StepFailed(f"Invalid format '{line}'")
        if match[2] == "=":
            yield match[1], match[3]
            continue
        value = []
        for following in lines:
            if following == match[3]:
                break
            value.append(following)
        else:
            raise StepFailed(f"Invalid value. Matching delimiter not found '{match[3]}'")
        yield match[1], "\n".join(value)
