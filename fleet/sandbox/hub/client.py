"""What a user does on a hub, by its API: start a server and follow its progress, run code in a kernel, stop it.

https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html,
https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

PATIENCE = 60.0
"""Seconds that a server may take to start or to stop, and code to run."""


class Event(NamedTuple):
    """One step of a starting server, as the hub tells it: per cent, and what happened."""

    progress: int
    message: str


class SpawnFailed(Exception):
    """A server did not start; the text is the hub's own reason."""


class CodeFailed(Exception):
    """Code that ran in a kernel ended with an error; the text names it."""


@dataclass(frozen=True, slots=True)
class HubClient:
    """A client of one hub with one token, which must be allowed to administer users and to access their servers."""

    url: str
    token: str

    def start(
        self, user: str, options: Mapping[str, object] | None = None, told: Callable[[Event], None] = lambda _: None
    ) -> None:
        """Start a user's server with the options that a spawn form would send, each step told; the user is made if new.

        Raises SpawnFailed with the hub's reason when it does not start.
        """
        with self._client() as client:
            made = client.post(f"/hub/api/users/{quote(user)}")
            if made.status_code not in (201, 409):
                made.raise_for_status()
            asked = client.post(f"/hub/api/users/{quote(user)}/server", json=dict(options or {}))
            if asked.status_code not in (201, 202, 500):  # 500: it failed at once, and the progress says why
                asked.raise_for_status()
            for event in _events(client, f"/hub/api/users/{quote(user)}/server/progress"):
                told(Event(event["progress"], event["message"]))
                if event.get("failed"):
                    raise SpawnFailed(event["message"])
                if event.get("ready"):
                    return
        raise SpawnFailed("the hub ended its progress without a word")

    def run(self, user: str, code: str) -> str:
        """Run code in a new kernel of a user's server, and return what it printed; raises CodeFailed."""
        with self._client() as client:
            made = client.post(f"/user/{quote(user)}/api/kernels", json={"name": "python3"}).raise_for_status()
            kernel = f"/user/{quote(user)}/api/kernels/{made.json()['id']}"
            try:
                return self._execute(f"{self.url.replace('http', 'ws', 1)}{kernel}/channels", code)
            finally:
                client.delete(kernel).raise_for_status()

    def is_running(self, user: str) -> bool:
        """Whether a user has a server; a user that the hub does not know has none."""
        with self._client() as client:
            found = client.get(f"/hub/api/users/{quote(user)}")
            return found.status_code != 404 and bool(found.raise_for_status().json()["servers"])

    def stop(self, user: str) -> None:
        """Stop a user's server, and wait until it has ended."""
        ends = time.monotonic() + PATIENCE
        with self._client() as client:
            client.delete(f"/hub/api/users/{quote(user)}/server").raise_for_status()
            while client.get(f"/hub/api/users/{quote(user)}").raise_for_status().json()["servers"]:
                if time.monotonic() > ends:
                    raise TimeoutError(f"the server of {user} did not stop within {PATIENCE:g} seconds")
                time.sleep(0.05)

    def image_of(self, user: str, options: Mapping[str, object] | None = None) -> str:
        """The image that a kernel of a fresh server of the user sees; the server is stopped again."""
        self.start(user, options)
        try:
            return self.run(user, "import os; print(os.environ['JUPYTER_IMAGE'])").strip()
        finally:
            self.stop(user)

    def _client(self) -> httpx.Client:
        headers = {"authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False)

    def _execute(self, channels: str, code: str) -> str:
        import websocket

        header = [f"Authorization: token {self.token}"]
        with closing(websocket.create_connection(channels, header=header, timeout=PATIENCE)) as socket:
            request = _execute_request(code)
            socket.send(json.dumps(request))
            return _output(iter(lambda: json.loads(socket.recv()), None), request["header"]["msg_id"])


def _events(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """The server-sent events of a path."""
    with client.stream("GET", path) as stream:
        stream.raise_for_status()
        for line in stream.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


def _execute_request(code: str) -> dict[str, Any]:
    """https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute"""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": uuid.uuid4().hex, "version": "5.4"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {
        "channel": "shell",
        "header": {**header, "username": "fleet"},
        "parent_header": {},
        "metadata": {},
        "content": content,
    }


def _output(messages: Iterator[dict[str, Any]], request: str) -> str:
    """What a request printed: all is there once the reply and the kernel's `idle` have both come, in either order."""
    printed: list[str] = []
    awaited = {"reply", "idle"}
    while awaited:
        message = next(messages)
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                printed.append(content["text"])
            case "error":
                raise CodeFailed(f"{content['ename']}: {content['evalue']}")
            case "execute_reply":
                awaited.discard("reply")
            case "status" if content["execution_state"] == "idle":
                awaited.discard("idle")
    return "".join(printed)
