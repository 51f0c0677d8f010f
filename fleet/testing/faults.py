"""Passing troubles at every request end well, lasting ones end in a sentence, and neither is taken for an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from fleet.errors import ExitCode, FleetError
from fleet.http import PATIENT
from fleet.sandbox.http import Fault, Request, Response, Service
from fleet.testing.killing import making
from fleet.testing.running import IMPATIENT, Rig, refusal, rig_of
from fleet.testing.subject import Subject

HANG = Fault("hang", seconds=0.5)
"""Longer than an impatient client waits."""


def passes(fault: Fault, subject: type[Subject]) -> None:
    """A trouble that strikes once, at each request of a run in turn, changes nothing about the run's end."""
    timeouts = IMPATIENT if fault.kind == "hang" else PATIENT
    with rig_of(subject) as rig:
        making(rig)
        before = rig.requests()
        rig.apply_well()
        requests, wanted = rig.requests() - before, rig.subject.snapshot()
    for nth in range(1, requests + 1):
        with rig_of(subject) as rig:
            making(rig)
            rig.timeouts = timeouts
            strike = replace(fault, nth=nth, seen=0)
            rig.server.faults.append(strike)
            try:
                rig.apply_well()
                assert strike.seen >= nth, "the run made fewer requests than the undisturbed one"
                rig.timeouts = PATIENT
                rig.assert_finished()
                assert rig.subject.snapshot() == wanted, "the service holds something else than after other runs"
            except AssertionError as error:
                error.add_note(f"({fault.kind} {fault.when} request {nth} of {requests})")
                raise


def throttling_passes(subject: type[Subject]) -> None:
    """A client that asks too often waits as long as the service says, and goes on."""
    answer = subject.throttled
    passes(Fault("status", response=answer), subject)
    asked = float(answer.headers.get("retry-after", 0))
    with rig_of(subject) as rig:
        making(rig)
        rig.server.faults.append(Fault("status", response=answer))
        rig.apply_well()
        assert rig.clock.waited >= asked, f"the service asked for {asked:g} seconds, and got {rig.clock.waited:g}"
        assert rig.clock.waited > 0, "it was asked again at once"


def lasting_trouble_is_said(subject: type[Subject]) -> None:
    """A service that does not come back ends the plan with a sentence, whether or not there is something to do."""
    faults = (Fault("drop"), Fault("truncate"), Fault("garbage"), HANG, Fault("status", response=Response(500)))
    for fault in faults:
        with rig_of(subject) as rig:
            making(rig)
            rig.timeouts = IMPATIENT if fault.kind == "hang" else PATIENT
            rig.server.faults.append(replace(fault, times=None, seen=0))
            _assert_no_plan(rig, fault.kind)
            rig.server.faults.clear()
            rig.timeouts = PATIENT
            rig.apply_well()
            rig.timeouts = IMPATIENT if fault.kind == "hang" else PATIENT
            rig.server.faults.append(replace(fault, times=None, seen=0))
            _assert_no_plan(rig, fault.kind)


def _assert_no_plan(rig: Rig, kind: str) -> None:
    sentence = refusal(rig.plan)
    assert sentence is not None, f"a service that can't be read ({kind}) gives a plan"
    assert sentence.strip(), f"an error without words after {kind}"


def nonsense_is_not_an_answer(subject: type[Subject]) -> None:
    """JSON that is none of the service's ends the plan; it is never taken for a service that holds nothing."""
    with rig_of(subject) as rig:
        making(rig)
        rig.apply_well()
        before = rig.requests()
        rig.assert_finished()
        reads = rig.requests() - before
        for nth in range(1, reads + 1):
            for body in subject.nonsense:
                response = Response(200, body, {"content-type": "application/json"})
                rig.server.faults.append(Fault("status", nth=nth, times=None, response=response))
                changes = _changes(rig)
                rig.server.faults.clear()
                assert not changes, f"{body.decode()} in answer to read {nth} of a plan is believed: {changes}"


def _changes(rig: Rig) -> list[str]:
    try:
        return [f"{change.action} {change.address}" for change in rig.plan().changes]
    except FleetError:
        return []


def _undisturbed(subject: type[Subject]) -> tuple[int, object]:
    """How many writes a run takes that nothing disturbs, and what the service holds after it."""
    with rig_of(subject) as rig:
        making(rig)
        before = rig.writes()
        rig.apply_well()
        return rig.writes() - before, rig.subject.snapshot()


def failed_plan_goes_on(subject: type[Subject]) -> None:
    """A plan that a refusal stopped at any write is no stale one: carried out once more, it ends as if undisturbed."""
    writes, wanted = _undisturbed(subject)
    for nth in range(1, writes + 1):
        with rig_of(subject) as rig:
            making(rig)
            plan = rig.plan()
            refused = Fault("status", where=rig.subject.writes, nth=nth, response=Response(400, b"{}"))
            rig.server.faults.append(refused)
            rig.apply(plan)
            assert refused.seen >= nth, f"write {nth} did not come"
            rig.apply_well(plan)
            rig.assert_finished()
            assert rig.subject.snapshot() == wanted, f"write {nth} was refused once, and that still shows"


def expired_login_is_said(subject: type[Subject]) -> None:
    """A login that does not work ends the plan with a sentence; nothing is written, and no secret is in it."""
    with rig_of(subject) as rig:
        making(rig)
        rig.subject.expire()
        held, writes = rig.subject.snapshot(), rig.writes()
        _assert_clean(refusal(rig.apply) or "", subject)
        assert (rig.subject.snapshot(), rig.writes()) == (held, writes), "something was written without a login"


def login_dies_on_the_way(subject: type[Subject]) -> None:
    """A login that dies before any write leaves nothing that the next run, with a new one, does not finish."""
    writes, wanted = _undisturbed(subject)
    for nth in range(1, writes + 1):
        with rig_of(subject) as rig:
            making(rig)
            rig.server.service = _Tripwire(rig.subject, rig.server.service, nth)
            outcome = rig.apply()
            if outcome.exit_code is not ExitCode.OK:  # the last writes may need another login
                _assert_clean(" ".join([outcome.stopped, *(result.why for result in outcome.results)]), subject)
            rig.subject.renew()
            rig.apply_well()
            rig.assert_finished()
            assert rig.subject.snapshot() == wanted, f"the login died before write {nth}, and that still shows"


class _Tripwire:
    """A service where the login dies just before its nth write."""

    def __init__(self, subject: Subject, service: Service, nth: int) -> None:
        self._writes, self._service, self._left, self._expire = subject.writes, service, nth, subject.expire

    def handle(self, request: Request) -> Response:
        if self._writes(request):
            self._left -= 1
            if self._left == 0:
                self._expire()
        return self._service.handle(request)


def missing_right_is_named(subject: type[Subject]) -> None:
    """A login that lacks a right is told which; where that shows at the first write, nothing is half done."""
    with rig_of(subject) as rig:
        words = list(rig.subject.rights)
    assert words, "the subject names no right: say in `without` why there is none"
    for word in words:
        with rig_of(subject) as rig:
            making(rig)
            held = rig.subject.snapshot()
            rig.subject.rights[word]()
            said = _said(rig)
            assert word in said, f"without the right {word} the run says: {said or 'nothing'}"
            _assert_clean(said, subject)
            assert rig.subject.snapshot() == held, f"without the right {word} the work is left half done"


def _said(rig: Rig) -> str:
    try:
        outcome = rig.apply()
    except FleetError as error:
        return str(error)
    assert outcome.exit_code is not ExitCode.OK, "the run ends well"
    return " ".join([outcome.stopped, *(result.why for result in outcome.results)])


def _assert_clean(sentence: str, subject: type[Subject]) -> None:
    assert sentence.strip(), "the run ends without a word"
    assert not any(secret in sentence for secret in subject.environment.values()), "a secret is in the message"


def _passes(*needs: str, **how: Any) -> tuple[Callable[[type[Subject]], None], tuple[str, ...]]:
    return partial(passes, Fault(**how)), ("kinds", *needs)


RULES = {
    "asked too often, it waits and goes on": (throttling_passes, ("kinds", "throttled", "transport")),
    "an answer of 503 passes": _passes("transport", kind="status", response=Response(503)),
    "a connection lost before the service acted": _passes(kind="drop", when="before"),
    "a connection lost after the service acted": _passes(kind="drop", when="after"),
    "an answer that breaks off passes": _passes("transport", kind="truncate"),
    "an answer of garbage passes": _passes("transport", kind="garbage"),
    "a service that hangs before it acts": _passes("transport", kind="hang", seconds=HANG.seconds, when="before"),
    "a service that hangs after it acted": _passes("transport", kind="hang", seconds=HANG.seconds, when="after"),
    "lasting trouble ends in a sentence": (lasting_trouble_is_said, ("kinds",)),
    "nonsense is not taken for an answer": (nonsense_is_not_an_answer, ("kinds",)),
    "a plan that failed half-way goes on": (failed_plan_goes_on, ("kinds",)),
    "an expired login is said and nothing written": (expired_login_is_said, ("kinds", "expire")),
    "a login that dies on the way": (login_dies_on_the_way, ("kinds", "expire")),
    "a missing right is named": (missing_right_is_named, ("kinds", "rights")),
}
