"""Speaks to GitHub through PyGithub: one client for each thread, no waiting and no retrying of its own.

PyGithub's client is not safe to share: it keeps verb and address of the request that it is about to send on one
connection object. Its pauses between requests and its retries are switched off, because the core waits in one place.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fleet.provider import Context, OutOfBudget, ProviderError, Secret, TryAgain, Unsure
from fleet_github.settings import GitHubSettings

if TYPE_CHECKING:
    from github.Requester import Requester

API = "https://api.github.com"

TIMEOUT = 30
"""Seconds that GitHub may take for one answer; it gives up itself after 10."""

SECONDARY_PAUSE = 60.0
"""Seconds to wait after a secondary limit that names no time.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""


class Reply(NamedTuple):
    """What came back: the status, the headers by lower-case name, and the body as data (None when it is empty)."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Client:
    """GitHub's REST and GraphQL for one login; threads may share it."""

    def __init__(self, settings: GitHubSettings, context: Context) -> None:
        self.base_url = (settings.base_url or API).rstrip("/")
        self._settings = settings
        self._context = context
        self._local = threading.local()
        self._has_worked = False

    @property
    def host(self) -> str:
        """GitHub's host, as messages name it."""
        return self.base_url.partition("://")[2].partition("/")[0]

    def rest(self, verb: str, path: str, body: Any = None, *also: int) -> Reply:
        """One REST request; statuses of 400 and above are errors but for those in `also`."""
        reply = self._send(verb, path, body)
        if reply.status >= 400 and reply.status not in also:
            raise self._error(verb, path, reply)
        self._has_worked = True
        return reply

    def graphql(self, query: str, variables: Mapping[str, Any], *, writes: bool = False) -> Reply:
        """One GraphQL request, with its errors left to the caller, but for limits and refused logins."""
        verb = "POST" if writes else "QUERY"
        reply = self._send(verb, self._requester.graphql_url, {"query": query, "variables": dict(variables)})
        if reply.status >= 400:
            raise self._error(verb, "/graphql", reply)
        if not isinstance(reply.document, dict) or not ("data" in reply.document or "errors" in reply.document):
            raise _lost(verb, f"{self.host} sent something that is no answer to a GraphQL query")
        if any(error.get("type") == "RATE_LIMITED" for error in reply.document.get("errors") or ()):
            raise TryAgain(f"{self.host}: the rate limit of GraphQL is reached", _reset(reply.headers))
        return reply

    def _send(self, verb: str, path: str, body: Any) -> Reply:
        import requests

        requester = self._requester
        self._context.spend()
        try:
            status, headers, text = requester.requestJson("POST" if verb == "QUERY" else verb, path, input=body)
        except requests.exceptions.SSLError:
            raise ProviderError(f"the TLS certificate of {self.host} cannot be verified") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            refused = "NewConnectionError" in repr(error) or isinstance(error, requests.exceptions.ConnectTimeout)
            raise _lost("GET" if refused else verb, f"{self.host} does not answer") from None
        except requests.exceptions.RequestException:
            raise _lost(verb, f"the answer of {self.host} broke off") from None
        try:
            document = json.loads(text) if text else None
        except ValueError:
            raise _lost(verb, f"{self.host} sent something that is not JSON") from None
        return Reply(status, headers, document)

    @property
    def _requester(self) -> Requester:
        if not hasattr(self._local, "requester"):
            from github import Auth, Github

            client = Github(
                auth=Auth.Token(self._token().expose()),
                base_url=self.base_url,
                timeout=TIMEOUT,
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
            )
            self._local.requester = client.requester
        requester: Requester = self._local.requester
        return requester

    def _token(self) -> Secret:
        source = self._settings.auth.token
        if source is None:
            raise ProviderError("logging in to GitHub as an App is not built yet; use a token")
        return self._context.secret(source)

    def _error(self, verb: str, path: str, reply: Reply) -> ProviderError | OutOfBudget:
        said = said_by(reply.document)
        if reply.status == 401:
            return self._bad_token()
        if reply.status in (403, 429) and _is_limit(reply, said):
            return TryAgain(f"{self.host}: a rate limit is reached ({said})", _pause(reply.headers))
        if reply.status >= 500:
            return _lost(verb, f"{self.host} answers {reply.status} to {verb} {path}")
        needed = reply.headers.get("x-accepted-github-permissions") or reply.headers.get("x-accepted-oauth-scopes")
        hint = f"; the token needs: {needed}" if reply.status in (403, 404) and needed else ""
        return ProviderError(f"{self.host} answers {reply.status} to {verb} {path}: {said}{hint}")

    def _bad_token(self) -> ProviderError | OutOfBudget:
        if self._has_worked:
            return OutOfBudget(f"the token for {self.host} stopped working during the run; renew it, and run again")
        return ProviderError(f"{self.host} refuses the token of `auth`: it is wrong, expired or revoked")


def said_by(document: Any) -> str:
    """What GitHub says in an error's body."""
    message = document.get("message") if isinstance(document, dict) else None
    return str(message) if message else "it gives no reason"


def _is_limit(reply: Reply, said: str) -> bool:
    headers = reply.headers
    return (
        reply.status == 429
        or "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in said.lower()
    )


def _pause(headers: Mapping[str, str]) -> float:
    if "retry-after" in headers:
        return _number(headers["retry-after"])
    return _reset(headers) if headers.get("x-ratelimit-remaining") == "0" else SECONDARY_PAUSE


def _reset(headers: Mapping[str, str]) -> float:
    """Seconds until the limit is lifted, by GitHub's own clock where the answer has a date."""
    from email.utils import parsedate_to_datetime

    now = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
    return max(1.0, _number(headers.get("x-ratelimit-reset", "0")) - now)


def _number(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdecimal() else SECONDARY_PAUSE


def _lost(verb: str, sentence: str) -> ProviderError:
    """What an answer that did not come means: a read is repeated, and a write may or may not have happened."""
    return TryAgain(sentence) if verb in ("GET", "HEAD", "QUERY") else Unsure(sentence)
