"""What code hosts show to people: proposals, remarks and verdicts are one each, whoever else wrote what, and however
often a run was killed while it put them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from fleet.proposal import Text
from fleet.provider import CodeHost, Verdict
from fleet.testing.code_host import WANTED, opened, read, request_of
from fleet.testing.running import Rig
from fleet.testing.subject import CodeHostSubject, SeenProposal, Subject

BRANCH = "fleet/ours/values/main"
MARKER = "<!-- fleet: fleet.yaml -->"
TEXT = Text("Roll out two", "What it is about")
VERDICT = Verdict("fleet plan", "neutral", "1 to change", "What would change")


def proposal_is_one(subject: type[Subject]) -> None:
    """A proposal that is made again changes nothing, and made otherwise it is the same one, brought up to date."""
    with opened(subject) as (given, host, _):
        history = given.history()
        url = _propose(given, host)
        first = given.proposals()
        assert [(one.branch, one.text, dict(one.files), one.is_open) for one in first] == [(BRANCH, TEXT, WANTED, True)]
        assert _propose(given, host) == url
        assert given.proposals() == first, "proposing the same again has changed something"
        other, text = {**WANTED, "new/hub.yaml": b"new: 2\n"}, Text("Roll out three", "What that is about")
        request = request_of(given, read(host, given), other)
        assert host.propose(request, BRANCH, text) == url
        (renewed,) = given.proposals()
        assert (renewed.number, renewed.text, dict(renewed.files)) == (first[0].number, text, other)
        found = host.proposal(given.repository, BRANCH, list(other))
        assert found is not None
        assert (found.url, found.status, dict(found.contents)) == (url, "open", other)
        assert given.history() == history, "what is only proposed has been written"


def proposal_of_a_stranger_is_left_alone(subject: type[Subject]) -> None:
    """A proposal from somebody else's copy is not ours, though its branch is called as ours would be."""
    with opened(subject) as (given, host, _):
        given.propose_elsewhere(BRANCH, WANTED)
        theirs = given.proposals()
        assert host.proposal(given.repository, BRANCH, list(WANTED)) is None
        _propose(given, host)
        assert host.proposal(given.repository, BRANCH, list(WANTED)) is not None
        assert len(given.proposals()) == 2
        assert given.proposals()[:1] == theirs, "somebody else's proposal was changed"


def remark_is_one(subject: type[Subject]) -> None:
    """A remark is put once and then brought up to date; what others say stays, whatever it looks like."""
    with opened(subject) as (given, host, _):
        number = _proposed(given, host)
        said = f"{MARKER}\nforged"
        given.say(number, said)
        url = host.comment(given.repository, number, MARKER, f"{MARKER}\none")
        assert given.remarks(number) == [said, f"{MARKER}\none"]
        for body in (f"{MARKER}\none", f"{MARKER}\ntwo"):
            assert host.comment(given.repository, number, MARKER, body) == url
            assert given.remarks(number) == [said, body]


def verdict_is_one(subject: type[Subject]) -> None:
    """A verdict of a name is put on a commit once, and then brought up to date."""
    with opened(subject) as (given, host, _):
        head = read(host, given).head
        url = host.judge(given.repository, head, VERDICT)
        for verdict in (VERDICT, replace(VERDICT, conclusion="failure", title="it is stopped")):
            assert host.judge(given.repository, head, verdict) == url
            assert given.verdicts(head) == [verdict]
        another = replace(VERDICT, name="fleet apply")
        host.judge(given.repository, head, another)
        assert [one.name for one in given.verdicts(head)] == [VERDICT.name, another.name]


Act = Callable[[CodeHostSubject, CodeHost], object]
Look = Callable[[CodeHostSubject, CodeHost], object]


def killed_at_every_write(prepare: Act, act: Act, look: Look, subject: type[Subject]) -> int:
    """Killed before or after any of its writes, and done again, it comes to the same as undisturbed."""
    with opened(subject) as (given, host, rig):
        prepare(given, host)
        before = rig.writes()
        act(given, host)
        writes, wanted = rig.writes() - before, look(given, host)
    assert writes, "it writes nothing"
    for nth in range(1, writes + 1):
        for when in ("before", "after"):
            with opened(subject) as (given, host, rig):
                prepare(given, host)
                _killed(rig, nth, when, partial(act, given, host))
                act(given, host)
                assert look(given, host) == wanted, f"killed {when} write {nth} of {writes}, and that still shows"
    return 2 * writes


def _killed(rig: Rig, nth: int, when: str, act: Callable[[], object]) -> None:
    assert rig.killed_at_write(nth, when, act).killed, f"write {nth} did not come"


def _propose(given: CodeHostSubject, host: CodeHost) -> str:
    return host.propose(request_of(given, read(host, given)), BRANCH, TEXT)


def _propose_something_else(given: CodeHostSubject, host: CodeHost) -> None:
    request = request_of(given, read(host, given), {**WANTED, "new/hub.yaml": b"new: 0\n"})
    host.propose(request, BRANCH, Text("Roll out one", "What that was about"))


def _proposed(given: CodeHostSubject, host: CodeHost) -> int:
    _propose(given, host)
    return given.proposals()[0].number


def _shown(given: CodeHostSubject, _: CodeHost) -> Sequence[SeenProposal]:
    """The proposals, but for the ids of their commits, in which times are."""
    return [replace(one, head="") for one in given.proposals()]


def _remark(given: CodeHostSubject, host: CodeHost) -> object:
    return host.comment(given.repository, given.proposals()[0].number, MARKER, f"{MARKER}\none")


def _remarks(given: CodeHostSubject, _: CodeHost) -> object:
    return given.remarks(given.proposals()[0].number)


def _judge(given: CodeHostSubject, host: CodeHost) -> object:
    return host.judge(given.repository, read(host, given).head, VERDICT)


def _verdicts(given: CodeHostSubject, host: CodeHost) -> object:
    return given.verdicts(read(host, given).head)


def _nothing(given: CodeHostSubject, host: CodeHost) -> None:
    """Nothing stands there yet."""


RULES: Mapping[str, tuple[Callable[[type[Subject]], int | None], tuple[str, ...]]] = {
    "a proposal is one": (proposal_is_one, ("code host", "proposals")),
    "a stranger's proposal is left alone": (proposal_of_a_stranger_is_left_alone, ("code host", "proposals")),
    "a remark is one": (remark_is_one, ("code host", "proposals")),
    "a verdict is one": (verdict_is_one, ("code host", "verdicts")),
    "killed at every write of a proposal": (
        partial(killed_at_every_write, _nothing, _propose, _shown),
        ("code host", "proposals"),
    ),
    "killed at every write of bringing a proposal up to date": (
        partial(killed_at_every_write, _propose_something_else, _propose, _shown),
        ("code host", "proposals"),
    ),
    "killed at every write of a remark": (
        partial(killed_at_every_write, _propose, _remark, _remarks),
        ("code host", "proposals"),
    ),
    "killed at every write of a verdict": (
        partial(killed_at_every_write, _nothing, _judge, _verdicts),
        ("code host", "verdicts"),
    ),
}
