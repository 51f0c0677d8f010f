"""Plans and applies as the command line does, in a folder of its own, on a clock that waits no real second."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fleet.apply import Group, Outcome, Result
from fleet.cli import parse
from fleet.commands.common import question_of, store_of
from fleet.config import load
from fleet.errors import ExitCode, FleetError
from fleet.http import PATIENT
from fleet.images import find_homes
from fleet.model import Address, Change, Resource, Spec
from fleet.pace import Pace
from fleet.plan import Plan
from fleet.planning import make_plan
from fleet.provider import Home, Provider, Timeouts
from fleet.run import apply_plan, open_run
from fleet.sandbox.http import Fault, Loopback
from fleet.services import Workshop
from fleet.testing.crash import End, run_armed
from fleet.testing.subject import Subject
from fleet.world import read_all

NEIGHBOUR, IMAGE = "neighbour", "image"
"""Two images: one that is there from the beginning, and the one that a case is about."""

IMPATIENT = Timeouts(connect=2, read=0.15, total=1)
"""For a service that never answers; it really is waited for."""


@dataclass(slots=True)
class HurriedClock:
    """A clock on which every wait is over at once; `waited` is the seconds that this has saved."""

    waited: float = 0.0

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic() + self.waited

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        """Return at once."""
        self.waited += seconds


class _Nobody:
    """Is told of a run, and tells nobody."""

    def began(self, group: Group) -> None:
        """A group is about to be written."""

    def ended(self, result: Result) -> None:
        """A group has ended."""


@dataclass(slots=True)
class Rig:
    """One service, one fleet.yaml that uses it, and the runs of fleet on them."""

    subject: Subject
    loopback: Loopback | None
    folder: Path
    timeouts: Timeouts = PATIENT
    clock: HurriedClock = field(default_factory=HurriedClock)

    @property
    def server(self) -> Loopback:
        """The service's server; only for providers that make requests."""
        assert self.loopback is not None
        return self.loopback

    def wants(self, *images: str) -> None:
        """Write a fleet.yaml with these images."""
        document = self.subject.document(self.loopback.url if self.loopback else "", images)
        (self.folder / "fleet.yaml").write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML

    def workshop(self) -> Workshop:
        """The providers of one run."""
        loaded = load(self.folder / "fleet.yaml")
        pace = Pace(clock=self.clock)
        return Workshop(loaded.fleet, self.folder, pace, timeouts=self.timeouts, source=loaded.source)

    def provider(self) -> Provider:
        """The provider, as one run would open it."""
        return self.subject.open(self.workshop())

    def homes(self) -> list[Home]:
        """Where the images of fleet.yaml live."""
        return list(find_homes(load(self.folder / "fleet.yaml"), self.workshop())[0].homes.values())

    def resources(self) -> list[Resource]:
        """All that the images of fleet.yaml need."""
        return self.subject.resources(find_homes(load(self.folder / "fleet.yaml"), self.workshop())[0])

    def read(self, addresses: Collection[Address]) -> dict[Address, Spec]:
        """What stands at these addresses, read as one run would."""
        workshop = self.workshop()
        found: dict[Address, Spec] = {}
        for answer in read_all(addresses, workshop, workshop.pace).values():
            if isinstance(answer, FleetError):
                raise answer
            found.update(answer)
        return found

    def plan(self) -> Plan:
        """What apply would change; raises FleetError."""
        workshop = self.workshop()
        question = question_of(parse(["plan"]), workshop, store_of(workshop).load())
        return make_plan(load(self.folder / "fleet.yaml"), workshop, question)

    def apply(self, saved: Plan | None = None) -> Outcome:
        """Carry out a saved plan, or one that is made now; raises FleetError where there is no plan."""
        workshop = self.workshop()
        with open_run(store_of(workshop), workshop, 0) as opened:
            plan = saved or make_plan(
                load(self.folder / "fleet.yaml"), workshop, question_of(parse(["plan"]), workshop, opened.state)
            )
            return apply_plan(opened, plan, _Nobody()) if plan.changes else Outcome(())

    def apply_well(self, saved: Plan | None = None) -> None:
        """Apply; raises AssertionError, in fleet's own words, where that does not end well."""
        outcome = self.apply(saved)
        why = "; ".join(f"{result.group.key}: {result.why}" for result in outcome.results if result.why)
        assert outcome.exit_code == ExitCode.OK, f"apply ended with {outcome.exit_code.name}: {why or outcome.stopped}"

    def write(self, changes: Sequence[Change]) -> None:
        """Have the provider make changes one by one, repeating what fails in passing."""
        workshop = self.workshop()
        for change in changes:
            provider = workshop[change.address.provider]
            workshop.pace.repeat(provider.limits, partial(provider.apply, [change], workshop.reveal))

    def assert_finished(self) -> None:
        """Raise AssertionError where a plan has anything left to do, or the journal anything open."""
        left = [f"{change.action} {change.address}" for change in self.plan().changes]
        assert not left, f"a plan after apply is not empty: {', '.join(left)}"
        workshop = self.workshop()
        begun = store_of(workshop).load().begun
        assert not begun, f"the journal still holds {', '.join(begun)} as begun"

    def requests(self) -> int:
        """How many requests have come so far."""
        return self.loopback.count() if self.loopback else 0

    def writes(self) -> int:
        """How many requests that write have come so far."""
        return sum(self.subject.writes(record.request) for record in list(self.server.records))

    def apply_killed_at_write(self, nth: int, when: str) -> End:
        """Apply in a process that is killed with SIGKILL when its nth write comes, before or after it is done."""
        return self.killed_at_write(nth, when, self.apply_well)

    def killed_at_write(self, nth: int, when: str, act: Callable[[], object]) -> End:
        """Do something in a process that is killed with SIGKILL at its nth write, before or after that is done."""
        fault = Fault("kill", where=self.subject.writes, nth=nth, when="before" if when == "before" else "after")

        def arm(pid: int) -> None:
            fault.pid = lambda: pid
            self.server.faults.append(fault)

        end = run_armed(act, arm)
        self.server.faults.clear()
        return end


@contextmanager
def rig_of(subject: type[Subject], timeouts: Timeouts = PATIENT) -> Iterator[Rig]:
    """A fresh service and an empty folder, with the neighbour in fleet.yaml; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fleet-testing-") as scratch, _environment(subject):
        folder = Path(scratch)
        made = subject(folder)
        with closing(made):
            yield from _served(made, folder, timeouts)


def _served(made: Subject, folder: Path, timeouts: Timeouts) -> Iterator[Rig]:
    if made.service is None:
        yield Rig(made, None, folder, timeouts)
    else:
        with Loopback(made.service, tls=made.tls) as loopback:
            rig = Rig(made, loopback, folder, timeouts)
            rig.wants(NEIGHBOUR)
            yield rig


@contextmanager
def _environment(subject: type[Subject]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in subject.environment}
    os.environ.update(subject.environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def refusal(attempt: Callable[[], object]) -> str | None:
    """The sentence that an attempt is refused with, None where it is not refused."""
    try:
        attempt()
    except FleetError as error:
        return str(error)
    return None


Scenario = Callable[[Rig], None]
"""Brings a service to where the next apply does what the scenario is named for."""
