"""Makes many images on a sandbox GitHub with content limits, and sees how long that takes on the sandbox's clock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.errors import ExitCode
from fleet.pace import LONGEST_WAIT
from fleet.sandbox.github import Limits
from fleet.sandbox.github.service import GitHub
from fleet.testing.running import HurriedClock, Rig, rig_of
from tests.subjects.github import GitHubSubject

NAMES = [f"image-{number:03}" for number in range(1_000)]

MINUTE, HOUR = 60, 3600


class TemplatedSubject(GitHubSubject):
    """Images with first content and workflows of the built-in template; their builds run and push."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state.clock.freeze()

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        document = super().document(url, images)
        document["templates"] = {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml"]}}
        for image in document["images"].values():
            image["template"] = "user-image"
        return document


class SandboxClock(HurriedClock):
    """fleet's waits move the sandbox's clock; those who wait at once wait together.

    Builds run in real time, so what runs now has ended when a wait is over.
    """

    def __init__(self, github: GitHub) -> None:
        super().__init__()
        self._github = github
        self._clock = github.state.clock
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the epoch, as the sandbox has it."""
        return self._clock.time()

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        """Move on to the moment `seconds` from now, unless it has come meanwhile."""
        until = self._clock.time() + seconds
        self._github.actions.wait(20)
        with self._lock:
            self._clock.advance(max(0.0, until - self._clock.time()))


@dataclass(frozen=True, slots=True)
class Creation:
    """What making the images took: seconds of the sandbox's clock and their lower bound, writes, refusals, runs."""

    seconds: float
    bound: float
    writes: int
    refused: int
    runs: int


def create(images: int, limits: Limits) -> Creation:
    """Apply until there is nothing to do; a run that may wait no longer is started again after five minutes."""
    with rig_of(TemplatedSubject) as rig:
        subject = rig.subject
        assert isinstance(subject, GitHubSubject)
        subject.github.meter.limits = limits
        clock = subject.state.clock
        rig.clock = SandboxClock(subject.github)
        rig.wants(*NAMES[:images])
        start, runs = clock.time(), 1
        while (ended := rig.apply().exit_code) == ExitCode.BUDGET:
            runs += 1
            clock.advance(LONGEST_WAIT)
        assert ended == ExitCode.OK, ended
        seconds = clock.time() - start
        rig.assert_finished()
        assert len(subject.state.repositories) == images + 1, "and the one that was there"
        writes, refused = _written(rig)
        return Creation(seconds, bound(writes, limits), writes, refused, runs)


def _written(rig: Rig) -> tuple[int, int]:
    """The writes to GitHub that were let through, and those that a limit refused."""
    sent = [one for one in rig.server.records if rig.subject.writes(one.request) and not one.path.startswith("/v2")]
    refused = sum(one.status in (403, 429) for one in sent)
    return len(sent) - refused, refused


def bound(writes: int, limits: Limits) -> float:
    """Seconds that writes take at least, each of them creating content."""
    moments: list[float] = []
    for number in range(writes):
        earliest = [0.0]
        for allowed, span in ((limits.content_per_minute, MINUTE), (limits.content_per_hour, HOUR)):
            if allowed is not None and number >= allowed:
                earliest.append(moments[number - allowed] + span)
        moments.append(max(earliest))
    return moments[-1]
