"""A build that is held while its credential is replaced."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from github import Auth, Github

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.actions import runs
from fleet.sandbox.http import Loopback, Request, Response

SOURCE = "example-org/climate-image"
LONG = 60.0
"""Seconds after which something that is waited for is taken to be lost."""


class Gate:
    """Holds every request that logs in with a credential, until it is opened."""

    def __init__(self, loopback: Loopback, credential: str) -> None:
        self.service, self.credential = loopback.service, credential
        self.reached, self.opened = threading.Event(), threading.Event()
        loopback.service = self

    def handle(self, request: Request) -> Response:
        """Answer, late where it is held."""
        given = request.headers.get("authorization", "")
        if given.startswith("Basic "):
            given = base64.b64decode(given.removeprefix("Basic ")).decode()
        if self.credential in given:
            self.reached.set()
            assert self.opened.wait(LONG), "nobody opened the gate"
        return self.service.handle(request)


@dataclass(frozen=True)
class Rotating:
    """A fleet whose one image is built: `at` is what builds log in to, `shows` what they show there of a credential,
    `live` the credentials that work, and `stored` the one that GitHub holds, both by name or by value."""

    github: Sandbox
    at: Loopback
    shows: Callable[[], str]
    live: Callable[[], set[str]]
    stored: Callable[[], str]

    def assert_one(self) -> None:
        """What works is what is stored."""
        assert self.live() == {self.stored()}

    def goes_well_during_a_build(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The older credential outlives the build that uses it, and no other."""
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        self.assert_one()
        older = self.stored()
        gate = Gate(self.at, self.shows())
        self.github.commit(SOURCE, {"environment.yml": "dependencies: [python=3.12, numpy]\n"})
        assert gate.reached.wait(LONG)
        monkeypatch.setattr("fleet.retirement.PATIENCE", 0.0)
        assert main(["credentials", "rotate", "-auto-approve"]) == ExitCode.BUDGET
        assert self.stored() != older
        assert self.live() == {older, self.stored()}
        gate.opened.set()
        self.github.actions.wait(LONG)
        assert self.github.state.repository(SOURCE).runs[0].conclusion == "success"
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        self.assert_one()
        assert self.stored() != older
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK

    def leaves_after_the_last_build(self, switch: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Builds log in another way, and what they pushed with before leaves when none can be using it."""
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        repository, live = self.github.state.repository(SOURCE), self.live()
        self._start_elsewhere()
        switch()
        with monkeypatch.context() as patience:
            patience.setattr("fleet.retirement.PATIENCE", 0.0)
            assert main(["apply", "-auto-approve"]) == ExitCode.BUDGET
        assert repository.runs[-1].conclusion == "success", "the build that needs no secret comes first"
        assert repository.secrets, "the secret left while a build was running"
        assert self.live() == live
        with self.github.state.lock:
            runs.cancel(self.github.state, repository.runs[-2])
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        assert (repository.secrets, self.live()) == ({}, set())
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK

    def _start_elsewhere(self) -> None:
        """Start a build on another branch that does not end by itself."""
        client = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=self.github.url, retry=None)
        repository = client.get_repo(SOURCE)
        repository.create_git_ref("refs/heads/topic", str(self.github.state.repository(SOURCE).head))
        self.github.state.settings.builds = "hang"
        assert repository.get_workflow("build.yaml").create_dispatch("topic")
        self.github.state.settings.builds = "run"
        client.close()
