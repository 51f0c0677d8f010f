"""The example fleet and its sandbox, in a folder and on ports of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from random import Random

PORTS = 6
"""How many ports, one after the other, the example takes."""


def free_ports() -> int:
    """The first of enough ports in a row that nobody listens at."""
    choose = Random()
    for _ in count():
        first = choose.randrange(10_000, 30_000, 10)
        if all(_is_free(port) for port in range(first, first + PORTS)):
            return first
    raise AssertionError


def _is_free(port: int) -> bool:
    with ExitStack() as held:
        probe = held.enter_context(socket.socket())
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def commands_and_output(markdown: str) -> Iterator[tuple[str, str]]:
    """Each `$ command` of the console blocks of a page, and what the page shows below it."""
    inside, command, shown = False, "", [""]
    for text in markdown.splitlines():
        if text.startswith("```"):
            if inside and command:
                yield command, "\n".join(shown)
            inside, command, shown = text == "```console", "", []
        elif inside and text.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = text[2:], []
        elif inside:
            shown.append(text)
