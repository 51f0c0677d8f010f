"""The seam in PyGithub through which every request goes: it is counted there, and no redirect is followed.

PyGithub sends requests on a connection object, which its `requestJson` takes as an argument. Its own connections know
nothing of the core's budget and time limits, and it follows 301 with whatever verb the request had: a write would go
where nobody looked. This module imports PyGithub, so it is imported late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from github.Auth import Auth
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from fleet.provider import is_loopback

if TYPE_CHECKING:
    from fleet.provider import Timeouts

Connection = HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass

_REDIRECTS = (301, 302, 307, 308)


class Redirected(Exception):
    """The service sends a request on to another address."""

    def __init__(self, location: str) -> None:
        super().__init__("the request was redirected")
        self.location = location


class TokenAuth(Auth):
    """A token that is asked for with each request, because it may have been renewed since."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    @property
    def token_type(self) -> str:
        """As it stands in the header."""
        return "token"

    @property
    def token(self) -> str:
        """The token of this moment."""
        return self._token()

    @property
    def _masked_token(self) -> str:
        return "token (removed)"


class Line:
    """PyGithub's requester and one connection for it; for one thread."""

    def __init__(self, base_url: str, auth: Auth, spend: Callable[[], None], timeouts: Timeouts) -> None:
        from github import Github

        client = Github(
            auth=auth,
            base_url=base_url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )
        self.requester: Requester = client.requester
        self.connection = _connect(base_url, spend, timeouts)


def _connect(base_url: str, spend: Callable[[], None], timeouts: Timeouts) -> Connection:
    parts = urlsplit(base_url)
    connection_class = _Plain if parts.scheme == "http" else _Tls
    made = connection_class(parts.hostname or "", parts.port)
    made.spend = spend
    if parts.scheme == "http" and is_loopback(base_url):
        made.session.trust_env = False  # a proxy is never asked for loopback
    made.timeout = (timeouts.connect, timeouts.read)  # type: ignore[assignment]  # requests takes both in one
    return made


class _Plain(HTTPRequestsConnectionClass):
    spend: Callable[[], None]

    def getresponse(self) -> RequestsResponse:
        """Count one request, then send it."""
        self.spend()
        return _direct(super().getresponse())


class _Tls(HTTPSRequestsConnectionClass):
    spend: Callable[[], None]

    def getresponse(self) -> RequestsResponse:
        """Count one request, then send it."""
        self.spend()
        return _direct(super().getresponse())


def _direct(response: RequestsResponse) -> RequestsResponse:
    if response.status in _REDIRECTS:
        raise Redirected(str(response.headers.get("location", "")))
    return response
