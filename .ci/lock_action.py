"""Writes constraints-action.txt: of constraints.txt, what action.yml installs. Needs all of that installed.

With an argument it only says whether the file is as it would write it (exit code 1 if not).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = ("aws", "gcp", "azure")
BUILDS = ("hatchling", "editables")
RUNNER = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": "3.11"}
HEAD = (
    "# What action.yml installs: of constraints.txt, what fleet needs on a runner, and what builds it. By: make lock\n"
)


def pins(text: str) -> Mapping[str, str]:
    """Each package's block of a lock file: its version and its hashes."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE))
    named = ((re.match(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?==", block), block) for block in blocks)
    return {canonicalize_name(found[1]): block.rstrip("\n") for found, block in named if found}


def closure(roots: Iterable[str]) -> set[str]:
    """Everything that these requirements bring along on a runner, as their installed metadata says."""
    found: dict[str, frozenset[str]] = {}
    todo = [(Requirement(root), frozenset({""})) for root in roots]
    while todo:
        requirement, extras_of_parent = todo.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({**RUNNER, "extra": extra}) for extra in extras_of_parent):
            continue
        name, extras = canonicalize_name(requirement.name), frozenset({"", *requirement.extras})
        if extras <= found.get(name, frozenset()):
            continue
        found[name] = extras | found.get(name, frozenset())
        todo += [(Requirement(text), found[name]) for text in metadata.requires(name) or []]
    return set(found)


def main() -> int:
    """Write the file, or compare it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = [text for extra in EXTRAS for text in project["optional-dependencies"][extra]]
    wanted = closure([*project["dependencies"], *optional, *BUILDS])
    locked = pins((ROOT / "constraints.txt").read_text())
    text = HEAD + "\n".join(locked[name] for name in sorted(wanted)) + "\n"
    path = ROOT / "constraints-action.txt"
    if len(sys.argv) > 1:
        return 0 if path.read_text() == text else 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
