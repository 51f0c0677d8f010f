"""A registry of the sandbox while it is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fleet.sandbox.http import Loopback


@dataclass(frozen=True, slots=True)
class Running:
    """A service on loopback until it is closed; a context manager."""

    loopback: Loopback

    @property
    def url(self) -> str:
        """What a `url:` in fleet.yaml says."""
        return self.loopback.url

    @property
    def registry_host(self) -> str:
        """The host in an image's name."""
        return self.loopback.host

    def close(self) -> None:
        """Stop serving."""
        self.loopback.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
