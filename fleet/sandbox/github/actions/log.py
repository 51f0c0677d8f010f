"""What a step printed, read as the runner reads it: commands to the runner, and secrets that nobody is shown.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

_COMMAND = re.compile(r"\s*::([A-Za-z-]+)(?: ([^:]*))?::(.*)")
_OLD_COMMAND = re.compile(r".*?##\[([A-Za-z-]+)(?: ([^\]]*))?\](.*)")
_LEVELS = ("error", "warning", "notice")
_SILENT = ("debug", "group", "endgroup", "echo")


class UnknownCommand(Exception):
    """A step told the runner something that the sandbox does not know."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message at a place: its level, its properties as they were written, and its text."""

    level: str
    properties: str
    message: str


def masked(message: str, secrets: Collection[str]) -> str:
    """A message as GitHub shows it; the longest first, so that no secret's beginning hides the rest of another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def annotations_in(output: str, mask: Callable[[str], object]) -> list[Annotation]:
    """The annotations among what a step printed; secrets that it names go to `mask`.

    Raises UnknownCommand, for a runner would have done something then.
    """
    found = []
    resume = ""
    for line in output.splitlines():
        if resume:
            resume = "" if line.strip() == f"::{resume}::" else resume
            continue
        command = _COMMAND.fullmatch(line) or _OLD_COMMAND.fullmatch(line)
        if command is None:
            continue
        name, properties, value = command[1].lower(), command[2] or "", _unescaped(command[3])
        if name in _LEVELS:
            found.append(Annotation(name, properties, value))
        elif name == "stop-commands":
            resume = value
        elif name == "add-mask":
            mask(value)
        elif name not in _SILENT:
            raise UnknownCommand(f"the sandbox does not know the command {line.strip()!r}")
    return found


def _unescaped(value: str) -> str:
    return value.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
