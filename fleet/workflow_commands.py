"""What a step of GitHub Actions says to its runner: annotations, outputs, and that what follows is only text.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fleet.diagnostics import Diagnostic
from fleet.terminal import printable

Level = Literal["error", "warning", "notice"]


def escaped(message: str) -> str:
    """A message that stays one command: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts"""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(value: str) -> str:
    """The value of a command's property, which may hold neither a colon nor a comma."""
    return escaped(value).replace(":", "%3A").replace(",", "%2C")


def annotation(level: Level, message: str, properties: Mapping[str, str | int] | None = None) -> str:
    """One annotation; control characters of the message are written as escapes, its line ends stay."""
    shown = ",".join(f"{name}={escaped_property(printable(str(value)))}" for name, value in (properties or {}).items())
    text = "\n".join(printable(line) for line in message.split("\n"))
    return f"::{level}{' ' if shown else ''}{shown}::{escaped(text)}"


def diagnostic_annotation(diagnostic: Diagnostic, workspace: Path | None) -> str:
    """A diagnostic at its very place; the file is named from the top of the repository, as annotations need it."""
    properties: dict[str, str | int] = {}
    if diagnostic.range is not None:
        start, end = diagnostic.range.start, diagnostic.range.end
        properties = {"file": _in(workspace, diagnostic.range.filename), "line": start.line, "col": start.column}
        if end.line == start.line and end.column > start.column:
            properties["endColumn"] = end.column
    properties["title"] = "fleet"
    text = f"{diagnostic.summary}\n{diagnostic.detail}" if diagnostic.detail else diagnostic.summary
    return annotation(diagnostic.severity, text, properties)


def _in(workspace: Path | None, filename: str) -> str:
    if workspace is None:
        return filename
    relative = os.path.relpath(filename, workspace)
    return filename if relative.startswith("..") else relative


def only_text(token: str) -> str:
    """What comes after this line is text, whatever it looks like, until the token comes."""
    return f"::stop-commands::{token}"


def commands_again(token: str) -> str:
    """Ends `only_text`."""
    return f"::{token}::"


def append_outputs(path: Path, outputs: Mapping[str, str | int]) -> None:
    """Add a step's outputs; raises ValueError for a value that would end its line, OSError from the disk."""
    lines = [f"{name}={value}\n" for name, value in outputs.items()]
    if any("\n" in line[:-1] or "\r" in line for line in lines):
        raise ValueError("an output is one line")
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
