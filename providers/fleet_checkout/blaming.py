"""Who last changed a line: git's own answer, for the checked-out branch."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from fleet_checkout.worktree import WorkTree

_HEADER = re.compile(rb"^([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?$", re.MULTILINE)
"""https://git-scm.com/docs/git-blame#_the_porcelain_format"""


def blame(tree: WorkTree, lines: Mapping[str, Collection[int]]) -> dict[tuple[str, int], str]:
    """The message of the commit that last changed each line, by file and number."""
    found: dict[tuple[str, int], str] = {}
    for file, numbers in lines.items():
        ranges = [f"-L{number},{number}" for number in sorted(numbers)]
        answer = tree.git.ask("blame", "--porcelain", *ranges, "HEAD", "--", tree.path(file))
        for commit, number in _HEADER.findall(answer):
            found[file, int(number)] = commit.decode()
    messages = {commit: tree.git.ask("show", "--no-patch", "--format=%B", commit) for commit in {*found.values()}}
    return {place: messages[commit].decode(errors="replace") for place, commit in found.items()}
