"""One small place where fleet speaks HTTP: every trouble becomes the error that says what to do about it.

The core waits and repeats, so nothing here does. `httpx` and what comes with it are imported with the first request,
because they cost more than all the rest of a command that needs no network.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fleet.errors import ProviderError, TryAgain, Unsure

if TYPE_CHECKING:
    import ssl

    import httpx

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that are read at most."""

HTTP2 = find_spec("h2") is not None
"""Whether HTTP/2 can be spoken: with the package `h2` (`pip install 'httpx[http2]'`)."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SECONDS_SINCE_1970 = 100_000_000
"""A larger number in a header is a moment, a smaller one a number of seconds."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a connection must stand, until the next bytes must come, and until all of an answer is here."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 120.0


PATIENT = Timeouts()
"""How long every run waits."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `follow` says whether a redirect is followed (without the login, where it leads to another host)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    follow: bool = False

    @property
    def is_read(self) -> bool:
        """Whether asking twice does no harm."""
        return self.method in _READS

    @property
    def host(self) -> str:
        """The host as messages name it."""
        return host_of(self.url)

    def __str__(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case, `url` is where a redirect led."""

    ask: Ask
    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises TryAgain, or Unsure after a write, when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise lost(self.ask, "sent something that is not JSON") from None


class Http:
    """A client for any number of hosts, shared by threads; `spend` is called before each request."""

    def __init__(self, spend: Callable[[], None], timeouts: Timeouts | None = None) -> None:
        self._spend = spend
        self._timeouts = timeouts or PATIENT
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def send(self, ask: Ask) -> Answer:
        """Send one request and read its answer, whatever its status below 500 but 429.

        Raises TryAgain for a passing trouble, Unsure when the answer to a write was lost, ProviderError for the rest.
        """
        _check_headers(ask)
        client = self._client()
        self._spend()
        outcome = self._exchange(client, ask)
        if isinstance(outcome, ProviderError):
            raise outcome  # outside of any `except`: what httpx and h11 say may quote a header's value
        if outcome.status == 429:
            raise TryAgain(f"{ask.host} is asked too often (429) at {ask}", retry_after(outcome.headers))
        if outcome.status >= 500:
            raise TryAgain(f"{ask.host} answers {outcome.status} to {ask}", retry_after(outcome.headers))
        return outcome

    def _exchange(self, client: httpx.Client, ask: Ask) -> Answer | ProviderError:
        import httpx

        ends = time.monotonic() + self._timeouts.total
        try:
            with client.stream(
                ask.method, ask.url, headers=dict(ask.headers), content=ask.body, follow_redirects=ask.follow
            ) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        return ProviderError(f"{ask.host} sent more than {LARGEST_ANSWER} bytes to {ask}")
                    if time.monotonic() > ends:
                        return lost(ask, f"did not end its answer within {self._timeouts.total:g} seconds")
                return Answer(ask, response.status_code, str(response.url), response.headers, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _explain(error, ask, self._timeouts)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = _open(self._timeouts)
                weakref.finalize(self, self._opened.close)
            return self._opened


def _open(timeouts: Timeouts) -> httpx.Client:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    from fleet import __version__

    return httpx.Client(
        verify=_trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
        timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect),
        headers={"user-agent": f"hubfleet/{__version__}"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # a session cookie would take part in the next call
        mounts={f"all://{host}": None for host in _LOOPBACK},  # a proxy is never asked for loopback
        http2=HTTP2,
        limits=httpx.Limits(max_connections=32),
    )


@cache
def _trust(file: str | None, folder: str | None) -> ssl.SSLContext:  # the key of the cache
    """Whom TLS trusts, read once: it takes longer than a request, and every provider has a client of its own."""
    import httpx

    return httpx.create_ssl_context()


def host_of(url: str) -> str:
    """Host and port of a URL as messages name it; never what may stand before an `@`."""
    return urlsplit(url).netloc.rpartition("@")[2] or "the address"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, where nobody listens in on plain http."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def lost(ask: Ask, what: str) -> ProviderError:
    """The error for an answer that cannot be used: a read is tried again, a write may have happened."""
    if ask.is_read:
        return TryAgain(f"{ask.host} {what} in answer to {ask}")
    return Unsure(f"{ask.host} {what} in answer to {ask}, so it may or may not have acted")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a service asks to wait, None where it doesn't say; `now` is in seconds since 1970.

    `Retry-After` holds seconds or a date (RFC 9110, 10.2.3); Docker Hub's `X-Retry-After` holds a moment in seconds
    since 1970; `X-RateLimit-Reset` holds such a moment (GitHub, Docker Hub) or a number of seconds.
    """
    now = time.time() if now is None else now
    for name in ("retry-after", "x-retry-after", "x-ratelimit-reset"):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value)
        except ValueError:
            seconds = _moment(value)
        if seconds == seconds and abs(seconds) != float("inf"):
            return max(0.0, seconds - now if seconds > _SECONDS_SINCE_1970 else seconds)
    return None


def _moment(date: str) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return float("nan")


def _check_headers(ask: Ask) -> None:
    """Refuse what no header can carry before a library quotes it in its own error."""
    for name, value in ask.headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ProviderError(
                f"the request to {ask.host} cannot be sent: what is meant for its {name} header holds a line end or "
                "a character that is not ASCII; look at the secret it is made from"
            )


def _explain(error: Exception, ask: Ask, timeouts: Timeouts) -> ProviderError:
    import httpx

    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ProviderError(
                f"{ask.host} does not answer: no connection within {timeouts.connect:g} seconds{_proxy(ask)}; "
                "check the host's name, a firewall on the way, and the proxy settings (HTTPS_PROXY, NO_PROXY)"
            )
        case httpx.TimeoutException():
            return lost(ask, f"sent nothing for {timeouts.read:g} seconds")
        case httpx.ProxyError():
            return ProviderError(
                f"the proxy refuses the way to {ask.host}{_proxy(ask)}; check HTTPS_PROXY and NO_PROXY"
            )
        case httpx.ConnectError():
            return _unconnected(error, ask)
        case httpx.UnsupportedProtocol() | httpx.InvalidURL() | httpx.LocalProtocolError():
            return ProviderError(f"the request to {ask.host} cannot be sent: its URL or a header is malformed")
        case httpx.TooManyRedirects():
            return ProviderError(f"{ask.host} redirects in a circle at {ask}")
        case _:
            return lost(ask, "broke the connection")


def _unconnected(error: BaseException, ask: Ask) -> ProviderError:
    import ssl

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ProviderError(
                f"the TLS certificate of {ask.host} is not accepted ({cause.verify_message}); if a certificate "
                "authority of your own signed it, set SSL_CERT_FILE to that authority's file"
            )
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "no shared protocol").replace("_", " ").lower()
            return ProviderError(f"no TLS connection to {ask.host}: {reason}; is it a plain http:// address?")
        if isinstance(cause, socket.gaierror):
            sentence = (
                f"the name of the host {ask.host} cannot be looked up{_proxy(ask)}; check its spelling and the DNS"
            )
            return TryAgain(sentence) if cause.errno == socket.EAI_AGAIN else ProviderError(sentence)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return TryAgain(f"{ask.host} refuses the connection{_proxy(ask)}")
    return TryAgain(f"no connection to {ask.host}{_proxy(ask)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _proxy(ask: Ask) -> str:
    """Names the proxy on the way, if any: then the trouble may be the proxy's."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(ask.url)
    proxy = getproxies().get(parts.scheme) or getproxies().get("all")
    if not proxy or is_loopback(ask.url) or proxy_bypass(parts.netloc):
        return ""
    return f" (through the proxy {host_of(proxy)})"
