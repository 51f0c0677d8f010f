"""Debian's docker-registry 2.8 as a service of the sandbox: the real thing behind the sandbox's tokens."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode

from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import TOKEN_PATH
from fleet.sandbox.token import TokenService

START = 10.0
"""Seconds that the program may take until it answers."""

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class DebianRegistry:
    """Runs the program `binary` with its data in `folder`, and hands requests on to it; a context manager.

    `public_url` is where clients reach it, so that its challenge names the token service there.
    """

    def __init__(self, binary: Path, folder: Path, tokens: TokenService, public_url: str) -> None:
        self.tokens = tokens
        self._port = _free_port()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trusted.pem").write_bytes(tokens.certificate)
        (folder / "config.yml").write_text(json.dumps(self._configuration(folder, public_url)), encoding="utf-8")
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [binary, "serve", str(folder / "config.yml")], stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL
        )
        self._wait(folder / "log")

    def handle(self, request: Request) -> Response:
        """Hand one request on; the Host header stays, so that links lead back to where the client came from."""
        target = request.raw_path
        if request.query:
            target += "?" + urlencode(request.query, doseq=True)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(request.method, target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            if request.method == "HEAD" and (length := answer.getheader("content-length")):
                kept["content-length"] = length
            return Response(answer.status, body, kept)
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the program."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> DebianRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _configuration(self, folder: Path, public_url: str) -> dict[str, object]:
        return {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self._port}", "relativeurls": True, "secret": "sandbox"},
            "auth": {
                "token": {
                    "realm": f"{public_url}{TOKEN_PATH}",
                    "service": self.tokens.service,
                    "issuer": self.tokens.issuer,
                    "rootcertbundle": str(folder / "trusted.pem"),
                }
            },
        }

    def _wait(self, log: Path) -> None:
        ends = time.monotonic() + START
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        self.close()
        raise RuntimeError(f"docker-registry did not start: {log.read_text(errors='replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
