"""Speaks to GitHub through PyGithub: one client for each thread, no waiting and no retrying of its own.

PyGithub's client is not safe to share: it keeps verb and address of the request that it is about to send on one
connection object. Its pauses between requests and its retries are switched off, because the core waits in one place.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from fleet.provider import Context, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet_github.login import InstallationLogin, Login, TokenLogin
from fleet_github.settings import App, GitHubSettings

if TYPE_CHECKING:
    from github.Auth import Auth

    from fleet_github.connection import Line

API = "https://api.github.com"

SECONDARY_PAUSE = 60.0
"""Seconds to wait after a secondary limit that names no time.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""

_QUERY = "QUERY"
"""Stands for the verb of a GraphQL request that only reads."""


class Reply(NamedTuple):
    """What came back: the status, the headers by lower-case name, and the body as data (None when it is empty)."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Client:
    """GitHub's REST and GraphQL for one login; threads may share it."""

    def __init__(self, settings: GitHubSettings, context: Context) -> None:
        self.base_url = (settings.base_url or API).rstrip("/")
        self._context = context
        self._local = threading.local()
        auth = settings.auth
        self.login: Login = (
            InstallationLogin(auth.app, self._as_app(auth.app))
            if auth.app is not None
            else TokenLogin(lambda: context.secret(auth.source))
        )

    @property
    def host(self) -> str:
        """GitHub's host, as messages name it."""
        return urlsplit(self.base_url).netloc

    def rest(
        self, verb: str, path: str, body: Any = None, *also: int, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One REST request; statuses of 400 and above are errors but for those in `also`."""
        reply = self._send(self._line, verb, path, body, headers)
        if reply.status >= 400 and reply.status not in also:
            raise self._error(verb, path, reply)
        return reply

    def object(self, path: str) -> Mapping[str, Any]:
        """The JSON object at a path."""
        document = self.rest("GET", path).document
        if not isinstance(document, dict):
            raise TryAgain(f"{self.host} sent something that is not what stands at {path}")
        return document

    def graphql(self, query: str, variables: Mapping[str, Any], *, writes: bool = False) -> Reply:
        """One GraphQL request, with its errors left to the caller, but for limits and refused logins."""
        verb = "POST" if writes else _QUERY
        reply = self._send(self._line, verb, "/graphql", {"query": query, "variables": dict(variables)})
        if reply.status >= 400:
            raise self._error(verb, "/graphql", reply)
        document = reply.document
        if not isinstance(document, dict) or not ("data" in document or "errors" in document):
            raise _lost(verb, f"{self.host} sent something that is no answer to a GraphQL query")
        errors = document.get("errors") or []
        if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
            raise _lost(verb, f"{self.host} sent something that is no answer to a GraphQL query")
        if any(error.get("type") == "RATE_LIMITED" for error in errors):
            raise TryAgain(f"{self.host}: the rate limit of GraphQL is reached", _reset(reply.headers))
        return reply

    def _send(self, line: Line, verb: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        import requests

        from fleet_github.connection import Redirected

        requester = line.requester
        url = requester.graphql_url if path == "/graphql" else path
        try:
            status, answered, text = requester.requestJson(
                "POST" if verb == _QUERY else verb, url, headers=dict(headers or {}), input=body, cnx=line.connection
            )
        except Redirected as error:
            raise self._moved(path, error.location) from None
        except requests.exceptions.SSLError:
            raise ProviderError(
                f"the TLS certificate of {self.host} cannot be verified; if an authority of your own signed it, set "
                "REQUESTS_CA_BUNDLE to that authority's file"
            ) from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            refused = "NewConnectionError" in repr(error) or isinstance(error, requests.exceptions.ConnectTimeout)
            raise _lost("GET" if refused else verb, f"{self.host} does not answer") from None
        except requests.exceptions.RequestException:
            raise _lost(verb, f"the answer of {self.host} broke off") from None
        try:
            document = json.loads(text) if text else None
        except ValueError:
            raise _lost(verb, f"{self.host} sent something that is not JSON") from None
        if status < 400:
            self.login.worked(getattr(self._local, "token", ""))
        return Reply(status, answered, document)

    @property
    def _line(self) -> Line:
        if not hasattr(self._local, "line"):
            from fleet_github.connection import TokenAuth

            self._local.line = self._open(TokenAuth(self._token))
        line: Line = self._local.line
        return line

    def _token(self) -> str:
        """The token for this thread's next request, which is remembered for what its answer says of it."""
        self._local.token = token = self.login.current()
        return token

    def _open(self, auth: Auth) -> Line:
        from fleet.provider import Timeouts
        from fleet_github.connection import Line

        return Line(self.base_url, auth, self._context.spend, self._context.timeouts or Timeouts())

    def _as_app(self, app: App) -> Callable[..., Any]:
        """Requests in the name of the App itself: each is signed with its private key."""

        def ask(verb: str, path: str, body: Any = None) -> Any:
            from github.Auth import AppAuth
            from jwt.exceptions import PyJWTError

            auth = AppAuth(app.id, self._context.secret(app.private_key).expose())
            try:
                reply = self._send(self._open(auth), verb, path, body)
            except PyJWTError:
                raise ProviderError("the private key of the GitHub App is no RSA key in PEM form") from None
            if reply.status == 401:
                raise ProviderError(
                    f"{self.host} does not take the signature of the GitHub App {app.id}: its ID or private key is "
                    f"wrong, or this machine's clock is ({said_by(reply.document)})"
                )
            if reply.status == 404:
                raise ProviderError(f"the GitHub App {app.id} has no installation {app.installation} at {self.host}")
            if reply.status >= 400:
                raise self._error("GET", path, reply)  # a token more or less does no harm: it may be asked for again
            return reply.document

        return ask

    def _moved(self, path: str, location: str) -> ProviderError:
        """Names where a repository has gone, which takes one request more; nothing is sent on."""
        old = "/".join(path.partition("?")[0].split("/")[2:4])
        parts = urlsplit(location)
        if parts.path.startswith("/repositories/") and parts.netloc == self.host and not path.startswith(parts.path):
            found = self.rest("GET", f"/repositories/{parts.path.split('/')[2]}", None, 404).document
            name = found.get("full_name") if isinstance(found, dict) else None
            if name:
                return ProviderError(renamed(old, str(name)))
        return ProviderError(f"{self.host} sends {path} on to another address; check `base_url` and the repository")

    def _error(self, verb: str, path: str, reply: Reply) -> ProviderError | OutOfBudget:
        said = said_by(reply.document)
        if reply.status == 401:
            return self.login.refused(self.host, getattr(self._local, "token", ""))
        if reply.status in (403, 429) and _is_limit(reply, said):
            return TryAgain(f"{self.host}: a rate limit is reached ({said})", _pause(reply.headers))
        if reply.status >= 500:
            return _lost(verb, f"{self.host} answers {reply.status} to {verb} {path}")
        return ProviderError(f"{self.host} answers {reply.status} to {verb} {path}: {said}{_right(reply)}")


def renamed(old: str, new: str) -> str:
    """The sentence about a repository that is found under another name than the one in fleet.yaml."""
    return f"{old} was renamed or transferred to {new}: write that name in fleet.yaml"


def said_by(document: Any) -> str:
    """What GitHub says in an error's body, the causes in single fields too."""
    if not isinstance(document, dict):
        return "it gives no reason"
    errors = document.get("errors")
    causes = [
        str(error.get("message") or error.get("code") or "") if isinstance(error, dict) else str(error)
        for error in (errors if isinstance(errors, list) else [])
    ]
    return ": ".join(text for text in (str(document.get("message") or ""), *causes) if text) or "it gives no reason"


def right_needed(reply: Reply) -> str:
    """The right that a refused request needs, in GitHub's own word for it; empty where GitHub does not say.

    https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
    """
    return reply.headers.get("x-accepted-github-permissions") or reply.headers.get("x-accepted-oauth-scopes") or ""


def _right(reply: Reply) -> str:
    needed = right_needed(reply) if reply.status in (403, 404) else ""
    return f"; the token needs: {needed}" if needed else ""


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
    return TryAgain(sentence) if verb in ("GET", "HEAD", _QUERY) else Unsure(sentence)
