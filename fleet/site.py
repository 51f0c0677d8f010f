"""What a site is: its address, and what it says."""

from __future__ import annotations

from typing import NamedTuple

from fleet.model import Address, Spec, Unknown
from fleet.reference import ImageReference, split_host

PROVIDER = "values"
KIND = "site"


class SiteReference(Spec):
    """The image and tag that a site says; the image's name in full, however the file spells it.

    `image` is empty where the site holds the tag alone, because the image's name stands in another file.
    """

    image: str
    tag: str | Unknown

    @classmethod
    def of(cls, reference: ImageReference) -> SiteReference:
        """The spec for a reference as somebody spelled it."""
        return cls(image=full_name(reference.name), tag=reference.tag or "")

    def __str__(self) -> str:
        return f"{self.image}:{self.tag}" if self.image else str(self.tag)


def full_name(name: str) -> str:
    """An image's name with its host, so that two spellings of one image are equal; empty for an empty one."""
    return "/".join(split_host(name)) if name else ""


class SiteAddress(NamedTuple):
    """A site's own key: `repository@branch:file#path`; the branch is left out where there is no history."""

    repository: str
    branch: str
    file: str
    path: str

    def __str__(self) -> str:
        branch = f"@{_quote(self.branch)}" if self.branch else ""
        return f"{_quote(self.repository)}{branch}:{_quote(self.file)}#{self.path}"

    @classmethod
    def parse(cls, text: str) -> SiteAddress:
        """Read a key back; raises ValueError when it is none."""
        place, hash_sign, path = text.partition("#")
        where, colon, file = place.partition(":")
        if not (hash_sign and colon):
            raise ValueError(f"{text!r} is not a site: it is written repository@branch:file#path")
        repository, _, branch = where.partition("@")
        return cls(_unquote(repository), _unquote(branch), _unquote(file), path)

    @property
    def address(self) -> Address:
        """The address in a plan."""
        return Address(PROVIDER, KIND, str(self))


_RESERVED = {"%": "%25", ":": "%3A", "@": "%40", "#": "%23"}


def _quote(text: str) -> str:
    for character, escape in _RESERVED.items():
        if character in text:
            text = text.replace(character, escape)
    return text


def _unquote(text: str) -> str:
    for character, escape in reversed(_RESERVED.items()):
        text = text.replace(escape, character)
    return text


def is_local(repository: str) -> bool:
    """Whether a site's repository is a path of the local disk rather than one of a code host."""
    return repository.startswith((".", "/"))
