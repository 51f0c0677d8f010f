"""The id git gives to a file's content."""

from __future__ import annotations

import hashlib


def blob_id(data: bytes, algorithm: str = "sha1") -> str:
    """The object id of `data` as a git blob, in hexadecimal.

    `algorithm` is the repository's object format, sha1 or sha256.
    Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects, "Object Storage".
    """
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
