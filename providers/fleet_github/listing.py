"""What lies in repositories and environments, one list each, which costs little where nothing changed.

An answer of 304 does not count against GitHub's primary limit, so what it last said is kept between runs: names, times
and the values of variables, never a secret.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import quote

from fleet.provider import Context, TryAgain
from fleet_github.client import Client
from fleet_github.environments import branch_pattern

_MOST = 100
"""Secrets that a repository may have; one page holds as many, so that no list changes between two of its pages. Of
variables there may be more, and fleet looks at the first hundred.
https://docs.github.com/en/actions/reference/limits"""

Pick = Callable[[Any], dict[str, str]]
"""What is kept of an answer."""


def whole(path: str) -> str:
    """A list's path, for one page that holds all of it."""
    return f"{path}?per_page={_MOST}"


def secrets(document: Any) -> dict[str, str]:
    """By name, when each was last stored."""
    return {str(entry["name"]): str(entry["updated_at"]) for entry in document["secrets"]}


def variables(document: Any) -> dict[str, str]:
    """By name, the value of each."""
    return {str(entry["name"]): str(entry["value"]) for entry in document["variables"]}


def organization_secret(document: Any) -> dict[str, str]:
    """When one secret was last stored, and whom the organisation gives it to."""
    return {name: str(document[name]) for name in ("updated_at", "visibility")}


def organization_variable(document: Any) -> dict[str, str]:
    """The value of one variable, and whom the organisation gives it to."""
    return {name: str(document[name]) for name in ("value", "visibility")}


def repositories(document: Any) -> dict[str, str]:
    """The numbers of the repositories that are selected for something, by their names in lower case."""
    return {str(entry["full_name"]).lower(): str(entry["id"]) for entry in document["repositories"]}


def policy(document: Any) -> dict[str, str]:
    """Which branches an environment lets in: `any`, `protected` or `chosen` ones."""
    found = document["deployment_branch_policy"] or {}
    chosen = "chosen" if found.get("custom_branch_policies") else "protected"
    return {"policy": chosen if found else "any"}


def branches(document: Any) -> dict[str, str]:
    """The patterns of the branches that are let in."""
    return {branch_pattern(entry): str(entry["id"]) for entry in document["branch_policies"]}


class Listing:
    """Documents of GitHub's, with what it last said of them."""

    def __init__(self, client: Client, context: Context, name: str) -> None:
        self._client = client
        self._context = context
        self._file = context.cache / f"lists-{quote(name, safe='')}.json" if context.cache else None

    def of(self, paths: Sequence[str], pick: Pick) -> Mapping[str, Mapping[str, str]]:
        """By path what is picked out of the document there; nothing of one that is not there."""
        known = self._known() if paths else {}

        def look(path: str) -> dict[str, Any]:
            return self._look(path, pick, known.get(path))

        found = dict(zip(paths, self._context.each(look, paths), strict=True))
        if any(known.get(path) != entry for path, entry in found.items()):
            self._keep({**known, **found})
        return {path: entry["found"] for path, entry in found.items()}

    def pages(self, path: str, pick: Pick) -> dict[str, str]:
        """What is picked out of all pages of a list, one after the other."""
        found: dict[str, str] = {}
        for page in count(1):
            one = f"{whole(path)}&page={page}"
            listed = self.of([one], pick)[one]
            is_last = len(listed) < _MOST or listed.keys() <= found.keys()
            found |= listed
            if is_last:
                break
        return found

    def _look(self, path: str, pick: Pick, known: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"If-None-Match": known["etag"]} if known else {}
        reply = self._client.rest("GET", path, None, 404, headers=headers)
        if reply.status == 304 and known:
            return known
        if reply.status == 404:
            return {"etag": "", "found": {}}
        try:
            found = pick(reply.document)
        except (KeyError, TypeError, AttributeError):
            raise TryAgain(f"{self._client.host} sent something that is not what stands at {path}") from None
        return {"etag": reply.headers.get("etag", ""), "found": found}

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
    etag, found = entry.get("etag"), entry.get("found")
    is_listed = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return isinstance(etag, str) and etag != "" and is_listed
