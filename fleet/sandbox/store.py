"""What the sandbox keeps between two starts: contents by digest, and documents that are replaced as a whole."""

from __future__ import annotations

import secrets
from pathlib import Path


class Content:
    """Bytes by digest, in a folder where there is one, else in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / "blobs" if folder else None
        self._held: dict[str, bytes] = {}
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)

    def read(self, digest: str) -> bytes:
        """The bytes with this digest; they must have been written."""
        if self._folder is None:
            return self._held[digest]
        return (self._folder / digest.replace(":", "-")).read_bytes()

    def write(self, digest: str, content: bytes) -> None:
        """Keep bytes under their digest."""
        if self._folder is None:
            self._held[digest] = content
        else:
            (self._folder / digest.replace(":", "-")).write_bytes(content)


def replace_text(path: Path, text: str) -> None:
    """Write a file that only its owner reads, so that the next start finds the old text or the new one."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    beside.touch(mode=0o600)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
