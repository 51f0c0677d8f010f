"""What code hosts keep: files are read as of one commit, and a commit lands whole, once, on the head it was for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from fleet.gitblob import blob_id
from fleet.provider import CodeHost, CommitRequest, Conflict, Files, TryAgain
from fleet.testing.crash import count_events, run_killed_at
from fleet.testing.running import Rig, rig_of
from fleet.testing.subject import CodeHostSubject, Subject

WANTED = {
    "config/common.yaml": b"tag: two\n",
    "config/prod.yaml": b"keep: this\ntag: two\n",
    "new/hub.yaml": b"new: 1\n",
}
"""Two files changed and one made."""


def files_are_of_one_commit(subject: type[Subject]) -> None:
    """Files are read as the head of the branch has them; one that is not there has no entry."""
    with _opened(subject) as (given, host, _):
        paths = [*given.content, "config/none.yaml"]
        found = host.files(given.repository, None, paths)
        assert dict(found.contents) == dict(given.content)
        assert found.branch, "the branch has no name"
        assert found.head, "the head has no id"
        assert host.files(given.repository, found.branch, paths) == found, "the branch by its name is another one"
        given.commit({"config/common.yaml": b"tag: other\n"})
        moved = host.files(given.repository, None, paths)
        assert moved.head != found.head
        assert moved.contents["config/common.yaml"] == b"tag: other\n"


def commit_lands_whole(subject: type[Subject]) -> None:
    """All files of a request are one commit on top of the head, and nothing else changes."""
    with _opened(subject) as (given, host, _):
        found = _read(host, given)
        made = host.commit(_request(given, found))
        after = _read(host, given)
        assert after == Files(found.branch, made, WANTED), "what was committed is not what is read"
        assert given.history() == [given.content, {**given.content, **WANTED}]


def last_change_of_a_line_is_known(subject: type[Subject]) -> None:
    """The commit that last changed a line is known by its message; a file that is not there has none."""
    with _opened(subject) as (given, host, _):
        first = {"config/common.yaml": [1], "config/prod.yaml": [1]}
        before = host.blame(given.repository, None, first)
        assert set(before) == {("config/common.yaml", 1), ("config/prod.yaml", 1)}
        request = _request(given, _read(host, given))
        host.commit(request)
        after = host.blame(given.repository, None, {**first, "config/prod.yaml": [1, 2]})
        written = request.message.strip()
        assert after["config/common.yaml", 1].strip() == written
        assert after["config/prod.yaml", 2].strip() == written
        assert after["config/prod.yaml", 1] == before["config/prod.yaml", 1], "a line is blamed on who left it alone"


def moved_branch_is_a_conflict(subject: type[Subject]) -> None:
    """A commit for a head that is no longer there is refused as Conflict, and writes nothing."""
    with _opened(subject) as (given, host, _):
        request = _request(given, _read(host, given))
        given.commit({"config/prod.yaml": b"keep: that\n"})
        history = given.history()
        try:
            host.commit(request)
        except Conflict:
            assert given.history() == history, "a refused commit has changed something"
        else:
            raise AssertionError("a commit was made on a head that it was not for")


def two_writers_race(subject: type[Subject]) -> None:
    """Of two commits for one head exactly one lands, and the other is told to read again."""
    with _opened(subject) as (given, host, rig):
        found = _read(host, given)
        requests = [
            _request(given, found, {path: data + b"# %d\n" % writer for path, data in WANTED.items()})
            for writer in range(2)
        ]
        hosts = [_host(rig, given) for _ in requests]

        def attempt(number: int) -> str:
            try:
                return hosts[number].commit(requests[number])
            except (Conflict, TryAgain):
                return ""

        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(attempt, range(2)))
        assert sum(map(bool, made)) == 1, f"of two commits for one head these landed: {made}"
        winner = requests[made.index(next(filter(None, made)))]
        assert given.history() == [given.content, {**given.content, **winner.contents}]


def recovering_nothing_changes_nothing(subject: type[Subject]) -> None:
    """Where no run was killed, recovery writes nothing."""
    with _opened(subject) as (given, host, _):
        held = given.snapshot()
        host.recover(given.repository, [])
        host.recover(given.repository, [blob_id(data) for data in WANTED.values()])
        assert given.snapshot() == held


def killed_at_every_step(subject: type[Subject]) -> int:
    """A commit that is killed at any step of its process is finished, or made anew, by the next run; never twice."""
    with _opened(subject) as (given, host, _):
        steps = count_events(lambda: _go_on(host, given))
        wanted = given.snapshot()
        assert given.history()[1:] == [{**given.content, **WANTED}]
    for nth in range(1, steps + 1):
        with _opened(subject) as (given, host, _):
            killed = run_killed_at(nth, partial(_go_on, host, given), group=nth % 2 == 0).killed
            assert killed, f"step {nth} did not come"
            _go_on(host, given)
            assert given.snapshot() == wanted, f"killed at step {nth} of {steps}, and that still shows"
    return steps


def _go_on(host: CodeHost, given: CodeHostSubject) -> None:
    """What the core does after a kill: recover, read, and commit what is not there yet."""
    unfinished = [blob_id(data) for data in WANTED.values()]
    host.recover(given.repository, unfinished)
    found = _read(host, given)
    if dict(found.contents) != WANTED:
        host.commit(replace(_request(given, found), unfinished=unfinished))


def _read(host: CodeHost, given: CodeHostSubject) -> Files:
    return host.files(given.repository, None, WANTED)


def _request(given: CodeHostSubject, found: Files, contents: Mapping[str, bytes] = WANTED) -> CommitRequest:
    return CommitRequest(given.repository, found.branch, found.head, contents, "Roll out two")


def _host(rig: Rig, given: CodeHostSubject) -> CodeHost:
    host = rig.provider()
    assert isinstance(host, CodeHost)
    return host


@contextmanager
def _opened(subject: type[Subject]) -> Iterator[tuple[CodeHostSubject, CodeHost, Rig]]:
    with rig_of(subject) as rig:
        assert isinstance(rig.subject, CodeHostSubject), "a code host is described by a CodeHostSubject"
        rig.wants()
        yield rig.subject, _host(rig, rig.subject), rig


RULES = {
    "files are of one commit": (files_are_of_one_commit, ("code host",)),
    "the last change of a line is known": (last_change_of_a_line_is_known, ("code host",)),
    "a commit lands whole": (commit_lands_whole, ("code host",)),
    "a moved branch is a conflict": (moved_branch_is_a_conflict, ("code host",)),
    "of two writers one wins": (two_writers_race, ("code host",)),
    "recovering nothing changes nothing": (recovering_nothing_changes_nothing, ("code host",)),
    "killed at every step of a commit": (killed_at_every_step, ("code host",)),
}
