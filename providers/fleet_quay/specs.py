"""What fleet.yaml says of Quay, what stands there, and the mark that says whose it is. All of it pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from fleet.provider import Frozen, Owned, OwnLogin, SecretSource, Settings, Url, no_keyless

MARK = "managed by fleet "
"""Begins the last line of a description; the fleet's name follows."""

_MARKED = re.compile(rf"{MARK}(\S+)")
_SHORT_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONGEST = 253
"""Characters, so that the names of robots that replace the first have room as well."""


class TokenAuth(Frozen):
    """A token."""

    token: SecretSource = Field(description="Where the token is found.")


class QuaySettings(Settings):
    """quay.io, or a self-hosted Quay."""

    model_config = ConfigDict(strict=True)

    type: Literal["quay"] = Field(description="Quay.")
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$")] = Field(
        description="The organisation that holds the repositories."
    )
    url: Url = Field(default="https://quay.io", description="Where Quay is served.")
    auth: TokenAuth = Field(description="An OAuth token of the organisation (repo:create, repo:admin, org:admin).")
    push: Annotated[
        OwnLogin | None,
        no_keyless("fleet has no keyless push for Quay; leave push out and each image gets a robot of its own"),
    ] = Field(default=None, description="An own login that builds push with; absent: a robot for each image.")


class Repository(Owned):
    """A registry repository; `description` is without our mark."""

    description: str = ""
    visibility: Literal["public", "private"] = "public"


class Robot(Owned):
    """A robot, and all that it may do: its role on its own repository, and what it may do elsewhere (nothing).

    Its description is not compared: Quay cannot change it after the robot was made.
    """

    is_credential: ClassVar[bool] = True

    repository: str
    role: str | None = "write"
    elsewhere: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


def marked(description: str, owner: str) -> str:
    """A description with the mark of a fleet as its last line."""
    return f"{description}\n\n{MARK}{owner}" if description else f"{MARK}{owner}"


def unmarked(text: str | None) -> tuple[str, str | None]:
    """A description without its mark, and whose mark it was; only the whole last line is ever a mark."""
    rest, _, last = plain(text or "").rpartition("\n")
    mark = _MARKED.fullmatch(last)
    return (rest.rstrip(), mark[1]) if mark else (plain(text or ""), None)


def plain(text: str) -> str:
    """A text as it is compared: with one kind of line end, and no blank ends."""
    return "\n".join(text.splitlines()).strip()


def check_name(name: str) -> None:
    """Raise ValueError, in a sentence, for a name that a Quay robot cannot have (and so an image of ours cannot)."""
    if not _SHORT_NAME.fullmatch(name) or not 2 <= len(name) <= _LONGEST:
        raise ValueError(
            f"Quay cannot take {name!r} as the name of an image with a robot of its own: write 2 to {_LONGEST} "
            "lower-case letters and digits, with single dots, dashes or underscores between them"
        )


def repository_of(entry: Mapping[str, Any]) -> Repository:
    """A repository as a listing, or its own page, describes it."""
    description, owner = unmarked(entry.get("description"))
    visibility = "public" if entry.get("is_public") else "private"
    return Repository(owner=owner, description=description, visibility=visibility)


def names_in(robot: Mapping[str, Any], key: str) -> set[str]:
    """The names in a robot's list of repositories or teams, which hold plain names or objects with one."""
    entries = robot.get(key) or ()
    return {str(entry.get("name") if isinstance(entry, dict) else entry) for entry in entries}
