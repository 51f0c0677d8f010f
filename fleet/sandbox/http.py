"""Real HTTP on loopback for the sandbox's services, with faults that strike at a chosen request.

A service is an object with one method, `handle(request) -> Response`. `Loopback` serves it from a thread and applies
`Fault`s before or after the service has acted, so that every service gets every fault without knowing of them. Longer
than most modules, because faults strike in the middle of serving.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a service sees it; `path` is decoded, `raw_path` is not, header names are in lower case."""

    method: str
    path: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    raw_query: str = ""

    def json(self) -> Any:
        """The body as JSON; raises ValueError when it is none."""
        return json.loads(self.body or b"null")

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @property
    def base_url(self) -> str:
        """Scheme and host as the client wrote them, so that links in answers lead back here."""
        scheme = self.headers.get("x-forwarded-proto", "http")
        return f"{scheme}://{self.headers.get('host', '127.0.0.1')}"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `chunks` of None means that the body is sent at once with its length."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer."""
        return cls(status, json.dumps(document).encode(), {"content-type": "application/json", **(headers or {})})


class Service(Protocol):
    """Anything that can answer requests."""

    def handle(self, request: Request) -> Response:
        """Answer one request; called from many threads at once."""
        ...


Kind = Literal["status", "drop", "kill", "hang", "truncate", "garbage", "slow"]


@dataclass(slots=True)
class Fault:
    """What goes wrong, when: at the `nth` request (from 1) that `method`, `path` and `where` match, before or after the
    service acted, `times` times in a row (None: for ever).

    status: answer with `response`; drop: cut the connection; kill: SIGKILL `pid`, then cut; hang: wait `seconds`, then
    cut; truncate: send half of the body; garbage: send a body that is not what it says; slow: wait `seconds`, then
    answer as usual.
    """

    kind: Kind
    method: str | Literal["write", "any"] = "any"
    path: str = ".*"
    where: Callable[[Request], bool] | None = None
    nth: int = 1
    when: Literal["before", "after"] = "before"
    times: int | None = 1
    response: Response = field(default_factory=lambda: Response(503, b"injected fault"))
    pid: Callable[[], int] | None = None
    seconds: float = 5.0
    seen: int = 0

    def strikes(self, request: Request) -> bool:
        """Count the request, and say whether the fault strikes it."""
        if not (self._method_matches(request.method) and re.fullmatch(self.path, request.path)):
            return False
        if self.where and not self.where(request):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)

    def _method_matches(self, method: str) -> bool:
        if self.method == "any":
            return True
        return method in WRITES if self.method == "write" else method == self.method


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked and answered, for tests that count requests."""

    method: str
    path: str
    status: int
    request: Request


class Loopback:
    """Serves one service on 127.0.0.1 until closed; a context manager.

    `port` 0 picks a free one. With `tls` it speaks https. `delay` seconds are waited before each answer.
    """

    def __init__(self, service: Service, port: int = 0, tls: ssl.SSLContext | None = None, delay: float = 0.0) -> None:
        self.service = service
        self.faults: list[Fault] = []
        self.records: list[Record] = []
        self.delay = delay
        self._lock = threading.Lock()
        self._server = _Server(self, port)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is served."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """Host and port, as in an image's name."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where the service is reached."""
        return f"{self.scheme}://{self.host}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fault_for(self, request: Request) -> Fault | None:
        """The fault that strikes this request, if any."""
        with self._lock:
            struck = [fault for fault in self.faults if fault.strikes(request)]
            return struck[0] if struck else None

    def record(self, request: Request, status: int) -> None:
        """Remember one exchange."""
        with self._lock:
            self.records.append(Record(request.method, request.path, status, request))

    def count(self, method: str | None = None, path: str = ".*") -> int:
        """How many requests have come so far that match."""
        with self._lock:
            return sum(
                method in (None, record.method) and re.fullmatch(path, record.path) is not None
                for record in self.records
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, loopback: Loopback, port: int) -> None:
        self.loopback = loopback
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event worth a traceback; anything else is a bug and is shown."""
        import sys

        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: Any) -> None:
        """Nothing is printed: the records hold what was asked."""

    def _serve(self) -> None:
        request = self._request()
        if self.server.loopback.delay:
            time.sleep(self.server.loopback.delay)
        fault = self.server.loopback.fault_for(request)
        if fault and fault.when == "before" and not self._strike(fault, request, None):
            return
        response = self.server.loopback.service.handle(request)
        if fault and fault.when == "after" and not self._strike(fault, request, response):
            return
        self._answer(request, response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else self._chunked()
        if len(body) < length:
            raise ConnectionError("the client went away in the middle of its request, so it has asked for nothing")
        return Request(
            self.command,
            unquote(parts.path),
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {"x-forwarded-proto": self.server.loopback.scheme}
            | {key.lower(): value for key, value in self.headers.items()},
            body,
            parts.query,
        )

    def _chunked(self) -> bytes:
        if "chunked" not in (self.headers.get("transfer-encoding") or ""):
            return b""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _strike(self, fault: Fault, request: Request, response: Response | None) -> bool:
        """Do the fault; True when the request goes on as usual."""
        match fault.kind:
            case "status":
                self._answer(request, fault.response)
            case "slow":
                time.sleep(fault.seconds)
                return True
            case "truncate" | "garbage":
                whole = response if response is not None else self.server.loopback.service.handle(request)
                self._spoil(fault.kind, request, whole)
            case "kill":
                assert fault.pid is not None
                os.kill(fault.pid(), signal.SIGKILL)
                self._cut(request)
            case "hang":
                time.sleep(fault.seconds)
                self._cut(request)
            case _:
                self._cut(request)
        return False

    def _spoil(self, kind: str, request: Request, response: Response) -> None:
        if kind == "garbage":
            self._answer(request, Response(response.status, b"<html>{not json", response.headers))
            return
        self._head(response, len(response.body) + 64)
        self.wfile.write(response.body[: len(response.body) // 2])
        self._cut(request)

    def _answer(self, request: Request, response: Response) -> None:
        self.server.loopback.record(request, response.status)
        self._head(response, len(response.body))
        if request.method != "HEAD":
            self.wfile.write(response.body)

    def _head(self, response: Response, length: int) -> None:
        names = {name.lower() for name in response.headers}
        if "date" in names:  # a service with a clock of its own
            self.send_response_only(response.status)
        else:
            self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "content-length" not in names and response.status not in (204, 304):
            self.send_header("content-length", str(length))
        self.end_headers()

    def _cut(self, request: Request) -> None:
        """Close the connection with a reset, so that the client sees it at once."""
        self.server.loopback.record(request, 0)
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
