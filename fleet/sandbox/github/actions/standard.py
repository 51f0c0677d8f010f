"""GitHub's own actions that runs of a fleet repository are made of: checkout, Python, and artefacts.

https://github.com/actions/checkout, https://github.com/actions/setup-python,
https://github.com/actions/upload-artifact, https://github.com/actions/download-artifact
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from pathlib import Path

from fleet.sandbox.github.actions.disk import File
from fleet.sandbox.github.actions.machine import Action, Machine, StepFailed, check_inputs

_CHECKOUT_INPUTS = {"persist-credentials", "fetch-depth", "token"}
_UPLOAD_INPUTS = {"name", "path", "if-no-files-found", "overwrite"}


def checkout(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Fill the workspace. Unless told otherwise, the job's token stays in git's configuration, as it really does."""
    check_inputs(inputs, _CHECKOUT_INPUTS, "actions/checkout")
    token = inputs.get("token", machine.token)
    if not machine.may_read(token):
        raise StepFailed(f"fatal: repository '{machine.repository}' not found")
    machine.disk.put(machine.files)
    if inputs.get("persist-credentials", "true") != "false":
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        header = f'[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic {secret}\n'
        machine.disk.put({".git/config": File("100644", header.encode())})
    return {"ref": machine.ref, "commit": machine.sha}


def setup_python(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Put Python on the path: whatever version is asked for, it is the one that the sandbox itself runs on."""
    check_inputs(inputs, {"python-version"}, "actions/setup-python")
    folder = machine.disk.temp / "_python"
    folder.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        program.chmod(0o755)
    machine.path.insert(0, str(folder))
    version = ".".join(map(str, sys.version_info[:3]))
    return {"python-version": version, "python-path": str(folder / "python"), "cache-hit": "false"}


def upload(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Keep one file; the outputs are the action's own."""
    check_inputs(inputs, _UPLOAD_INPUTS, "actions/upload-artifact")
    path = machine.disk.workspace / inputs["path"]
    if not path.is_file():
        if inputs.get("if-no-files-found", "warn") == "error" or path.exists() or "*" in inputs["path"]:
            raise StepFailed(f"the sandbox found no file to upload at {inputs['path']}")
        return {}
    overwrite = inputs.get("overwrite", "false") == "true"
    kept = machine.artifacts.keep(inputs.get("name", "artifact"), {path.name: path.read_bytes()}, overwrite=overwrite)
    return {"artifact-id": str(kept.id)}


def download(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Fetch the artefact of a name, of this run, or with a token of another."""
    check_inputs(inputs, {"name", "path", "run-id", "github-token"}, "actions/download-artifact")
    found = machine.artifacts.find(inputs["name"], inputs.get("run-id", ""), inputs.get("github-token", ""))
    folder = machine.disk.workspace / inputs.get("path", "")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in found.files.items():
        (folder / Path(name).name).write_bytes(data)
    return {"download-path": str(folder)}


STANDARD: Mapping[str, Action] = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
}
"""The actions of GitHub that the sandbox carries out, by name without version."""
