"""How Azure's packages speak HTTP here: through fleet's own client, so that it counts, bounds and names every trouble.

Their own retries are off, and what they raise becomes a sentence. Importing this imports `azure.core`.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import HttpRequest as OldRequest
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse

from fleet.provider import Answer, Ask, Http, OutOfBudget, ProviderError, TryAgain, Unsure, host_of

QUIET: Mapping[str, Any] = {"retry_total": 0, "logging_enable": False}
"""What every client is made with beside the transport: the core repeats, and nothing is logged."""

POLL = 1
"""Seconds between two looks at a long-running operation, where Azure does not say."""

logging.getLogger("azure").addHandler(logging.NullHandler())  # else its warnings are printed; errors say it all

_LONGEST_SLEEP = 10.0
_ACTION = re.compile(r"action '([^']+)'")
_ENTRA_CODE = re.compile(r"AADSTS\d+")
_LOGIN = re.compile(r"/oauth2/|/\.well-known/")


class Transport(HttpTransport[HttpRequest, HttpResponse]):
    """Sends the requests of an SDK; what fails raises TryAgain, Unsure or ProviderError right through it."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Send one request and read the whole answer."""
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        ask = Ask(request.method, request.url, headers, _body(request))
        try:
            return Reply(request, _sound(self._http.send(ask)))
        except Unsure as error:
            if _LOGIN.search(urlsplit(ask.url).path):  # asking for a token twice does no harm
                raise TryAgain(str(error)) from error
            raise

    def sleep(self, duration: float) -> None:
        """Wait between two looks at a long-running operation."""
        time.sleep(min(duration, _LONGEST_SLEEP))

    def open(self) -> None:
        """Nothing: fleet's client opens itself."""

    def close(self) -> None:
        """Nothing: fleet's client is shared."""

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: fleet's client is shared."""


class Reply(HttpResponse):
    """An answer as the SDKs want it, all of it read already."""

    def __init__(self, request: HttpRequest, answer: Answer) -> None:
        self._request, self._answer = request, answer
        self._encoding: str | None = "utf-8"

    request = property(lambda self: self._request)
    status_code = property(lambda self: self._answer.status)
    reason = property(lambda self: "")
    url = property(lambda self: self._answer.url)
    content = property(lambda self: self._answer.body)
    content_type = property(lambda self: self._answer.headers.get("content-type"))
    is_closed = property(lambda self: True)
    is_stream_consumed = property(lambda self: True)

    @property
    def headers(self) -> MutableMapping[str, str]:
        """The headers, whatever the case of a name."""
        from azure.core.utils import case_insensitive_dict

        return case_insensitive_dict(self._answer.headers)

    @property
    def encoding(self) -> str | None:
        """How the text is encoded."""
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    def text(self, encoding: str | None = None) -> str:
        """The body as text."""
        return self._answer.body.decode(encoding or self._encoding or "utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON."""
        return self._answer.json()

    def read(self) -> bytes:
        """The body."""
        return self._answer.body

    def body(self) -> bytes:
        """The body, as older generated code asks for it."""
        return self._answer.body

    def iter_raw(self, **_: Any) -> Iterator[bytes]:
        """The body in one piece."""
        yield self._answer.body

    def iter_bytes(self, **_: Any) -> Iterator[bytes]:
        """The body in one piece."""
        yield self._answer.body

    def raise_for_status(self) -> None:
        """Raise HttpResponseError for a status that says so."""
        if self._answer.status >= 400:
            raise HttpResponseError(response=self)

    def close(self) -> None:
        """Nothing: it is read already."""

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: it is read already."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Azure says of a call that it refused: its status, its own code and words, and the permission that lacks."""

    status: int
    code: str
    message: str

    @property
    def permission(self) -> str:
        """The action that the login lacks, empty where Azure names none."""
        found = _ACTION.search(self.message)
        return found[1] if found else ""

    @property
    def is_quota(self) -> bool:
        """Whether something has come to the most that there may be of it."""
        return re.search("quota|limit|exceed", self.code, re.IGNORECASE) is not None

    @property
    def entra_code(self) -> str:
        """The code of Entra, such as AADSTS7000215, empty where there is none."""
        found = _ENTRA_CODE.search(self.message)
        return found[0] if found else ""


@contextmanager
def refusals(explain: Callable[[Refusal], Exception]) -> Iterator[None]:
    """Turn what an SDK raises into what `explain(Refusal)` makes of it; an error of ours that it wrapped comes out."""
    try:
        yield
    except AzureError as error:
        raise _ours(error) or _explained(error, explain) from None


def _explained(error: AzureError, explain: Callable[[Refusal], Exception]) -> Exception:
    if not isinstance(error, HttpResponseError):
        return ProviderError(f"Azure cannot be asked: {_first_line(error)}")
    refusal = _refusal(error)
    if refusal.status == 409 and not refusal.is_quota:
        return TryAgain("Azure is still busy with an earlier change of the same thing")
    return explain(refusal)


def _ours(error: BaseException | None) -> Exception | None:
    """The error of fleet's that an SDK took for a failed login, None where there is none."""
    while error is not None:
        if isinstance(error, ProviderError | OutOfBudget):
            return error
        error = error.__cause__ or error.__context__
    return None


def _refusal(error: HttpResponseError) -> Refusal:
    response = error.response
    code, message = "", _first_line(error)
    try:
        document = json.loads(response.text()) if response is not None else None
    except ValueError:
        document = None
    said = document.get("error") if isinstance(document, dict) else None
    if isinstance(said, dict):
        code, message = str(said.get("code") or ""), str(said.get("message") or message)
    elif isinstance(said, str) and isinstance(document, dict):
        code, message = said, str(document.get("error_description") or said)
    status = error.status_code or (401 if isinstance(error, ClientAuthenticationError) else 0)
    return Refusal(int(status), code, message)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def _body(request: HttpRequest | OldRequest) -> bytes | None:
    content = request.content if isinstance(request, HttpRequest) else request.body
    if isinstance(content, Mapping):
        form = {name: value.encode() if isinstance(value, str) else value for name, value in content.items()}
        return urlencode(form).encode()
    if isinstance(content, str):
        return content.encode()
    assert content is None or isinstance(content, bytes), "nothing here streams"
    return content


def _sound(answer: Answer) -> Answer:
    """Refuse an answer whose body is no JSON object, before an SDK takes it for one, or for "not there"."""
    if (answer.status < 300 or answer.status == 404) and answer.body.strip() and not isinstance(answer.json(), dict):
        what = f"{host_of(answer.url)} sends JSON to {answer.ask} that is not an object"
        raise TryAgain(what) if answer.ask.is_read else Unsure(what)
    return answer
