"""Who last changed a line: git's own answer, for the checked-out branch."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from fleet.provider import LastChange
from fleet_checkout.worktree import WorkTree

_HEADER = re.compile(rb"^([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?$", re.MULTILINE)
"""https://git-scm.com/docs/git-blame#_the_porcelain_format"""


def blame(tree: WorkTree, lines: Mapping[str, Collection[int]]) -> dict[tuple[str, int], LastChange]:
    """The commit that last changed each line, by file and number.

    In a shallow clone git blames what is older than the clone on its oldest commits; those say nothing of a line.
    """
    found: dict[tuple[str, int], str] = {}
    for file, numbers in lines.items():
        ranges = [f"-L{number},{number}" for number in sorted(numbers)]
        answer = tree.git.ask("blame", "--porcelain", *ranges, "HEAD", "--", tree.path(file))
        for commit, number in _HEADER.findall(answer):
            found[file, int(number)] = commit.decode()
    known = {commit: _last_change(tree, commit) for commit in {*found.values()} - _oldest(tree)}
    return {place: known[commit] for place, commit in found.items() if commit in known}


def _oldest(tree: WorkTree) -> set[str]:
    """The commits whose parents a shallow clone lacks: https://git-scm.com/docs/shallow"""
    file = tree.common_dir / "shallow"
    return set(file.read_text("ascii").split()) if file.is_file() else set()


def _last_change(tree: WorkTree, commit: str) -> LastChange:
    text = tree.git.ask("show", "--no-patch", "--format=%an%n%aI%n%B", commit).decode(errors="replace")
    author, at, message = text.split("\n", 2)
    return LastChange(commit, author, at, message)
