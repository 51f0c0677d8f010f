"""The parts of Google's API that have no client here: JSON over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet_google.login import Doing, GoogleLogin, lost

Document = Mapping[str, Any]


class Rest:
    """One API at `url`, which ends with its version."""

    def __init__(self, login: GoogleLogin, url: str) -> None:
        self._login = login
        self._url = url

    def send(self, doing: Doing, method: str, path: str, body: Document | None = None) -> Document:
        """Make one request; raises the errors of fleet, Missing and Taken among them."""
        from google.api_core.exceptions import from_http_response

        def work() -> Any:
            answer = self._login.session.request(method, f"{self._url}/{path}", json=body, timeout=self._login.seconds)
            if answer.status_code >= 400:
                raise from_http_response(answer)
            return json.loads(answer.content)

        found = self._login.call(doing, work)
        if not isinstance(found, dict):
            raise lost(doing, "sent something that is not the answer")
        return found


def entries(doing: Doing, page: Document, key: str) -> list[Document]:
    """What a page lists; nothing where it has no such key, as Google leaves out what is empty."""
    found = page.get(key) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise lost(doing, "sent something that is not the answer")
    return found
