"""Image references: `name:tag@digest`, and when two spellings mean one image.

Grammar: https://github.com/distribution/reference/blob/main/reference.go
"""

from __future__ import annotations

import re
from typing import NamedTuple

_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)

DEFAULT_HOST = "docker.io"


def is_tag(text: str) -> bool:
    """Whether a registry would take this as a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether this is a digest: `sha256:` and 64 hexadecimal digits, or another algorithm's like it."""
    return _DIGEST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether this can be the name of an image, with or without a host."""
    return _NAME.fullmatch(text) is not None


class ImageReference(NamedTuple):
    """An image as somebody spelled it: `name`, and where given `tag` and `digest`."""

    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Split a reference; raises ValueError when it is none."""
        rest, _, digest = text.partition("@")
        if digest and not _DIGEST.fullmatch(digest):
            raise ValueError(f"{text!r} is not an image reference: the digest is malformed")
        name, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:  # the colon, if any, belongs to a host's port
            name, tag = rest, ""
        if not is_name(name) or (colon and name != rest and not is_tag(tag)):
            raise ValueError(f"{text!r} is not an image reference")
        return cls(name, tag or None, digest or None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def split_host(name: str) -> tuple[str, str]:
    """The registry's host and the repository there, as Docker reads a name (`a/b` is `docker.io`, `a/b`)."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, repository = first, rest
    else:
        host, repository = DEFAULT_HOST, name
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = DEFAULT_HOST
    if host == DEFAULT_HOST and "/" not in repository:
        repository = f"library/{repository}"
    return host, repository


def same_image(one: str, other: str) -> bool:
    """Whether two spellings name one image (`a/b` and `docker.io/a/b` do)."""
    return one == other or split_host(one) == split_host(other)
