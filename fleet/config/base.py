"""What all models of fleet.yaml are made of: a strict base, text of a known form, and mistakes in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from fleet.model import Frozen
from fleet.provider import URL

Keys = tuple[str | int, ...]
"""A place in fleet.yaml: the keys and list positions that lead there."""


class Strict(Frozen):
    """A block of fleet.yaml: nothing is coerced, and a key that is not known is a mistake."""

    model_config = ConfigDict(strict=True)


@dataclass(frozen=True, slots=True)
class Plain:
    """An unquoted scalar that YAML reads as neither text, whole number nor true/false; `text` is as written."""

    text: str
    kind: Literal["number", "date", "true/false"]

    def __str__(self) -> str:
        return self.text


def problem(summary: str, at: Sequence[str | int] = (), near: Sequence[str] = ()) -> PydanticCustomError:
    """A mistake that a validator found.

    `at` leads from the validated value to the culprit; `{shown}` in the summary becomes the culprit as it was written;
    `near` are the texts that would be right, of which a similar one is suggested.
    """
    return PydanticCustomError("fleet", "{summary}", {"summary": summary, "at": list(at), "near": list(near)})


# Patterns are in the dialect that Rust's regex, Python's re and JSON Schema's ECMA 262 have in common.
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
KEY = r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
SOURCE_REPOSITORY = r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"
STATE_REPOSITORY = r"^([A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+|\.{1,2}(/\S*)?|/\S+)$"
UPSTREAM = r"^[a-z0-9]([a-z0-9._:/-]|[A-Z])*[a-z0-9]$"
TAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
BRANCH = r"^[^\s~^:?*\[\\-][^\s~^:?*\[\\]*$"
PLATFORM = r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$"
_BARE = r"""[^\s.\[\]#"']([^.\[\]#"']*[^\s.\[\]#"'])?"""
_STEP = rf"""(\.{_BARE}|\["([^"\\]|\\.)*"\])"""
SLOT = rf"^(default|choices{_STEP}|profiles{_STEP}({_STEP}{_STEP})?)$"
"""Slots as `fleet.values` names them: a name with a dot, bracket, quote or hash sign is a JSON string in brackets."""
DAYS = r"^[1-9][0-9]{0,3}d$"
PERCENT = r"^[0-9]{1,3}%$"
ADDRESS = r"^[^:\s]+:[^:\s]+:\S+$"
UNSAFE = r"^/|^[A-Za-z]:|\\|(^|/)\.{1,2}(/|$)|(^|/)\.[Gg][Ii][Tt](/|$)|//|/$"
ACCOUNT = r"^[0-9]{12}$"
IMAGE_NAME = r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$"
ORIGIN = r"^(builtin:[a-z0-9-]+|\.{1,2}/\S.*|[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)$"
PATTERN = r"^[^:\s]+:\S+$"

WORDS = {
    NAME: "lower-case letters, digits and single hyphens between them",
    KEY: "letters, digits and . _ - / between them",
    SOURCE_REPOSITORY: "a repository as owner/name",
    STATE_REPOSITORY: "a repository as owner/name, or a path that begins with ./ or ../ or /",
    UPSTREAM: "an image name without tag, such as quay.io/pangeo/ml-notebook",
    TAG: "a tag (letters, digits and . _ -, at most 128) or newest-build",
    URL: "an http:// or https:// address without login, query or fragment",
    BRANCH: "the name of a git branch",
    PLATFORM: "an operating system and an architecture, such as linux/amd64",
    SLOT: 'default, profiles.SLUG, profiles.SLUG.OPTION.CHOICE or choices.CHOICE (with dots: choices["own.choice"])',
    DAYS: "a number of days, such as 90d",
    ACCOUNT: "an AWS account: 12 digits",
    IMAGE_NAME: "lower-case letters, digits and . _ - / between them",
    ORIGIN: "builtin:NAME, a folder that begins with ./ or ../, or a template repository as owner/name",
    PERCENT: "a percentage, such as 20%",
    ADDRESS: "an address such as github:repository:example-org/climate-image",
    PATTERN: "an address pattern such as github:repository:*, or hub:NAME, image:NAME, label:KEY=VALUE",
}
"""What a text that does not match one of the patterns should have been."""

Name = Annotated[str, StringConstraints(pattern=NAME, max_length=40)]
Key = Annotated[str, StringConstraints(pattern=KEY, max_length=100)]
SourceRepository = Annotated[str, StringConstraints(pattern=SOURCE_REPOSITORY)]
Text = Annotated[str, StringConstraints(min_length=1)]


def unsafe_path(path: str) -> str | None:
    """Why a path may not be used inside a repository, None where it may."""
    if re.match(r"^(/|[A-Za-z]:)", path):
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash; folders are separated by /"
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        return "it has a control character"
    parts = path.split("/")
    if ".." in parts:
        return "it leaves the repository by .."
    if ".git" in (part.lower() for part in parts):
        return "it reaches into .git"
    if str(PurePosixPath(path)) != path or path == ".":
        return "it is not in its shortest form (no empty or . parts, no / at its end)"
    return None


def _repository_path(path: str) -> str:
    if reason := unsafe_path(path):
        raise problem(f"the path {{shown}} is unsafe: {reason}")
    return path


RepositoryPath = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(_repository_path),
    Field(json_schema_extra={"not": {"pattern": UNSAFE}}),
]
"""A path of a file inside a repository: relative, and it stays there."""
