"""When each Actions secret was last stored: one request per repository, which costs little where nothing changed.

An answer of 304 does not count against GitHub's primary limit, so what it last said is kept between runs: names and
times, never a value. https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fleet.provider import Context, TryAgain
from fleet_github.client import Client

_MOST = 100
"""Secrets that a repository may have; one page holds as many, so that no list changes between two of its pages.
https://docs.github.com/en/actions/reference/limits"""


class Listing:
    """The secrets of repositories, with what GitHub last said of them."""

    def __init__(self, client: Client, context: Context, name: str) -> None:
        self._client = client
        self._context = context
        self._file = context.cache / f"secrets-{quote(name, safe='')}.json" if context.cache else None

    def of(self, repositories: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """By repository the names of its secrets, with the time at which each was last stored."""
        known = self._known() if repositories else {}

        def look(repository: str) -> dict[str, Any]:
            return self._look(repository, known.get(repository))

        found = dict(zip(repositories, self._context.each(look, repositories), strict=True))
        if any(known.get(repository) != entry for repository, entry in found.items()):
            self._keep({**known, **found})
        return {repository: entry["secrets"] for repository, entry in found.items()}

    def _look(self, repository: str, known: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"If-None-Match": known["etag"]} if known else {}
        path = f"/repos/{repository}/actions/secrets?per_page={_MOST}"
        reply = self._client.rest("GET", path, None, 404, headers=headers)
        if reply.status == 304 and known:
            return known
        if reply.status == 404:
            return {"etag": "", "secrets": {}}
        listed = reply.document.get("secrets") if isinstance(reply.document, dict) else None
        try:
            secrets = {str(entry["name"]): str(entry["updated_at"]) for entry in listed}  # type: ignore[union-attr]
        except (KeyError, TypeError):
            raise TryAgain(
                f"{self._client.host} sent something that is no list of the secrets of {repository}"
            ) from None
        return {"etag": reply.headers.get("etag", ""), "secrets": secrets}

    def _known(self) -> dict[str, dict[str, Any]]:
        if self._file is None:
            return {}
        try:
            document = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}  # it was never written, or is spoilt: everything is asked anew
        entries = document.items() if isinstance(document, dict) else ()
        return {str(name): entry for name, entry in entries if _is_entry(entry)}

    def _keep(self, entries: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        fresh = self._file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):  # a full or read-only disk costs requests, and nothing else
            self._file.parent.mkdir(exist_ok=True)
            fresh.write_text(json.dumps(entries, sort_keys=True), encoding="utf-8")
            fresh.replace(self._file)


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    etag, secrets = entry.get("etag"), entry.get("secrets")
    is_listed = isinstance(secrets, dict) and all(isinstance(moment, str) for moment in secrets.values())
    return isinstance(etag, str) and etag != "" and is_listed
