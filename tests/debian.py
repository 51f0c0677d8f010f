"""Debian's docker-registry and skopeo, fetched once into a cache folder: no root, no change to the machine.

The folder is `FLEET_CACHE`, else `.cache` beside the tests; empty it to fetch again.
"""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    ("docker-registry",),
    ("skopeo",),
    ("libgpgme11", "libgpgme11t64"),
    ("libassuan0", "libassuan9"),
    ("libdevmapper1.02.1",),
    ("golang-github-containers-common",),
    ("golang-github-containers-image",),
)
"""What is needed, each by its name in Debian 12 and, where it differs, in later releases and in Ubuntu."""


@dataclass(frozen=True)
class Programs:
    """The unpacked packages."""

    root: Path

    @property
    def registry(self) -> Path:
        """The program docker-registry."""
        return self.root / "usr/bin/docker-registry"

    def skopeo(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run skopeo to its end; the caller looks at the exit code."""
        libraries = ":".join(str(path) for path in (self.root / "usr/lib").glob("*-linux-gnu"))
        etc = self.root / "etc/containers"
        options = [f"--policy={etc}/policy.json", f"--registries-conf={etc}/registries.conf"]
        return subprocess.run(
            [self.root / "usr/bin/skopeo", *options, *arguments],
            env={**os.environ, "LD_LIBRARY_PATH": libraries, "REGISTRY_AUTH_FILE": "/dev/null"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@functools.cache
def programs() -> Programs:
    """The programs, fetched now if they aren't there yet; raises RuntimeError with apt's own words if that fails."""
    cache = Path(os.environ.get("FLEET_CACHE") or Path(__file__).parent.parent / ".cache") / "debian"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one test run share the folder
        if not (cache / "complete").exists():
            _fetch(cache)
            (cache / "complete").touch()
    return Programs(cache / "root")


def _fetch(cache: Path) -> None:
    packages = cache / "packages"
    packages.mkdir(exist_ok=True)
    if not _download(packages, []):  # a fresh machine has no package lists: make private ones
        private = _private_lists(cache)
        updated = _run(packages, ["apt-get", *private, "update"])
        if not _download(packages, private):
            missing = ", ".join(names[0] for names in PACKAGES)
            raise RuntimeError(f"apt-get could not download {missing}:\n{updated.stdout}{updated.stderr}")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, cache / "root"], check=True)


def _download(folder: Path, options: list[str]) -> bool:
    """Download each package under the first of its names that there is."""
    return all(
        any(_run(folder, ["apt-get", *options, "download", name]).returncode == 0 for name in names)
        for names in PACKAGES
    )


def _private_lists(cache: Path) -> list[str]:
    folder = cache / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    places = {"State": "state", "State::status": "status", "Cache": "cache"}
    options = [f"-oDir::{key}={folder / name}" for key, name in places.items()]
    return [*options, "-oAcquire::Languages=none"]


def _run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
