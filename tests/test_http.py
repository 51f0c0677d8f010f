from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from fleet.errors import ProviderError, TryAgain, Unsure
from fleet.http import Answer, Ask, Http, Timeouts, retry_after
from fleet.sandbox.http import Fault, Loopback, Request, Response
from tests.tls import server_context

NOW = 1_800_000_000.0


class Echo:
    def handle(self, request: Request) -> Response:
        if request.path == "/away":
            return Response(302, headers={"location": "/home"})
        return Response.of_json(
            {"path": request.path, "cookie": request.headers.get("cookie")}, headers={"set-cookie": "a=b"}
        )


@pytest.fixture
def echo() -> Iterator[Loopback]:
    with Loopback(Echo()) as loopback:
        yield loopback


def send(method: str, url: str, timeouts: Timeouts | None = None) -> Answer:
    return Http(lambda: None, timeouts).send(Ask(method, url, {"authorization": "Bearer canary"}))


def test_every_request_is_counted_before_it_is_sent(echo: Loopback) -> None:
    counted: list[int] = []
    http = Http(lambda: counted.append(echo.count()))
    for _ in range(2):
        assert http.send(Ask("GET", f"{echo.url}/x")).json() == {"path": "/x", "cookie": None}
    assert counted == [0, 1]


def test_a_redirect_is_followed_on_demand_only(echo: Loopback) -> None:
    assert send("GET", f"{echo.url}/away").status == 302
    assert Http(lambda: None).send(Ask("GET", f"{echo.url}/away", follow=True)).json()["path"] == "/home"


@pytest.mark.parametrize(("kind", "when"), [("drop", "before"), ("drop", "after"), ("truncate", "before")])
def test_a_lost_answer_is_tried_again_for_a_read_and_unsure_for_a_write(echo: Loopback, kind: str, when: str) -> None:
    echo.faults.append(Fault(kind, times=None, when=when))  # type: ignore[arg-type]
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1:\d+ broke the connection in answer to GET /x"):
        send("GET", f"{echo.url}/x?secret=canary")
    with pytest.raises(Unsure, match="in answer to POST /x, so it may or may not have acted"):
        send("POST", f"{echo.url}/x?secret=canary")


def test_garbage_after_a_write_leaves_it_unsure(echo: Loopback) -> None:
    echo.faults.append(Fault("garbage", times=None))
    with pytest.raises(Unsure, match="not JSON"):
        send("PUT", f"{echo.url}/x").json()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_throttling_says_how_long_to_wait(echo: Loopback, status: int) -> None:
    echo.faults.append(Fault("status", response=Response(status, headers={"retry-after": "7"})))
    with pytest.raises(TryAgain, match=str(status)) as trouble:
        send("POST", f"{echo.url}/x")
    assert trouble.value.after == 7.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True)}, 0.0),
        ({"x-retry-after": str(int(NOW) + 30)}, 30.0),
        ({"x-ratelimit-reset": str(int(NOW) + 60)}, 60.0),
        ({"x-ratelimit-reset": "15"}, 15.0),
        ({"retry-after": "soon", "x-ratelimit-reset": "4"}, 4.0),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_every_dialect_of_waiting_is_understood(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_refused_connection_is_a_passing_trouble() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(TryAgain, match="refuses the connection"):
            send("POST", f"http://127.0.0.1:{closed.getsockname()[1]}/")


def test_a_host_that_never_answers_is_given_up(echo: Loopback) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(TryAgain, match=r"127\.0\.0\.1:\d+ sent nothing for 0\.05 seconds"):
            send("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", Timeouts(read=0.05))
        with pytest.raises(Unsure, match="may or may not"):
            send("POST", f"http://127.0.0.1:{silent.getsockname()[1]}/", Timeouts(read=0.05))


def test_an_answer_that_never_ends_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                while not ended.wait(0.01):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TryAgain, match=r"did not end its answer within 0\.1 seconds"):
                send("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", Timeouts(total=0.1))
        finally:
            ended.set()
            thread.join()


def test_an_answer_that_is_too_large_is_not_read_to_its_end(echo: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.http.LARGEST_ANSWER", 10)
    with pytest.raises(ProviderError, match=r"sent more than 10 bytes to GET /x"):
        send("GET", f"{echo.url}/x")


def test_a_name_that_cannot_be_looked_up_is_named() -> None:
    with pytest.raises(ProviderError, match=r"host no-such-host\.invalid cannot be looked up; check its spelling"):
        send("GET", "https://no-such-host.invalid/", Timeouts(connect=5))


def test_a_certificate_of_an_unknown_authority_is_explained(tmp_path: Path) -> None:
    sentence = r"certificate of 127\.0\.0\.1:\d+ is not accepted .* SSL_CERT_FILE"
    context, _ = server_context(tmp_path)
    with Loopback(Echo(), tls=context) as loopback, pytest.raises(ProviderError, match=sentence):
        send("GET", loopback.url)


def test_an_authority_of_ones_own_is_accepted_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with Loopback(Echo(), tls=context) as loopback:
        assert send("GET", f"{loopback.url}/x").status == 200


def test_plain_http_behind_an_https_address_is_explained(echo: Loopback) -> None:
    with pytest.raises(ProviderError, match=r"no TLS connection to 127\.0\.0\.1:.*is it a plain http:// address"):
        send("GET", echo.url.replace("http://", "https://"))


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:canary@127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(TryAgain) as trouble:
            send("GET", "https://quay.example/")
    assert str(trouble.value) == f"quay.example refuses the connection (through the proxy 127.0.0.1:{port})"


def test_loopback_is_reached_past_any_proxy(echo: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert send("GET", f"{echo.url}/x").status == 200


@pytest.mark.parametrize("value", ["Bearer canary\n", "Bearer canary\u2019"])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(echo: Loopback, value: str) -> None:
    with pytest.raises(ProviderError, match="authorization header holds a line end") as refused:
        Http(lambda: None).send(Ask("GET", echo.url, {"authorization": value}))
    error: BaseException | None = refused.value
    while error is not None:
        assert "canary" not in repr(error)
        error = error.__context__
    assert echo.count() == 0
