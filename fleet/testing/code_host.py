"""What code hosts keep: files are read as of one commit, and a commit lands whole, once, on the head it was for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

from fleet.gitblob import blob_id
from fleet.provider import CodeHost, CommitRequest, Conflict, Files, Swap, TryAgain
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
    """The commit that last changed a line is known, and whose it is; a file that is not there has none."""
    with _opened(subject) as (given, host, _):
        first = {"config/common.yaml": [1], "config/prod.yaml": [1]}
        before = host.blame(given.repository, None, first)
        assert set(before) == {("config/common.yaml", 1), ("config/prod.yaml", 1)}
        request = _request(given, _read(host, given))
        made = host.commit(request)
        after = host.blame(given.repository, None, {**first, "config/prod.yaml": [1, 2]})
        written = request.message.strip()
        for place in (("config/common.yaml", 1), ("config/prod.yaml", 2)):
            last = after[place]
            assert (last.commit, last.message.strip()) == (made, written)
            assert last.author, "a commit has no author"
            assert datetime.fromisoformat(last.at).tzinfo is not None, f"{last.at!r} is no moment"
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


DATA = "fleet-data"
"""A branch that holds data; nobody has checked it out."""

FIRST = {"README.md": b"What this is\n", "log/1": b"one\n", "log/2": b"two\n", "raw": bytes(range(256))}


def branch_is_begun_and_swapped(subject: type[Subject]) -> None:
    """A branch for data begins without history, and each commit adds, replaces and removes files in one go."""
    with _opened(subject) as (given, host, _):
        before = given.history()
        absent = host.branch(given.repository, DATA)
        assert (absent.head, dict(absent.contents)) == ("", {}), "a branch that is not there has something"
        begun = host.swap(_swap(given, "", FIRST))
        found = host.branch(given.repository, DATA)
        assert (found.head, dict(found.contents)) == (begun.head, FIRST), "what was begun is not what is read"
        assert abs(found.at - begun.at) < 60, "the host's clock jumps"
        after = host.swap(_swap(given, begun.head, {"log/1": None, "log/3": b"three\n", "raw": b"text\n"}))
        kept = {"README.md": FIRST["README.md"], "log/2": b"two\n", "log/3": b"three\n", "raw": b"text\n"}
        found = host.branch(given.repository, DATA)
        assert (found.head, dict(found.contents)) == (after.head, kept)
        assert given.history() == before, "the default branch has changed"


def swap_for_another_head_is_a_conflict(subject: type[Subject]) -> None:
    """A swap for a head that is no longer there, or for a branch that is there already or gone, writes nothing."""
    with _opened(subject) as (given, host, _):
        first = host.swap(_swap(given, "", FIRST)).head
        second = host.swap(_swap(given, first, {"raw": b"2\n"})).head
        held = host.branch(given.repository, DATA)
        for head in ("", first):
            _assert_conflict(host, _swap(given, head, {"raw": b"3\n"}))
        _assert_conflict(host, replace(_swap(given, second, {"raw": b"3\n"}), branch="fleet-nowhere"))
        now = host.branch(given.repository, DATA)
        assert (now.head, now.contents) == (held.head, held.contents)


def _assert_conflict(host: CodeHost, swap: Swap) -> None:
    try:
        host.swap(swap)
    except Conflict:
        return
    raise AssertionError(f"a swap for {swap.expected_head or 'no head'} of {swap.branch} was made")


def sixteen_writers_swap(subject: type[Subject]) -> None:
    """Sixteen writers that begin one branch, and then swap it, each for the head they read: one wins each round."""
    with _opened(subject) as (given, _, rig):
        hosts = [_host(rig, given) for _ in range(16)]
        head = ""
        for round_ in range(3):
            swaps = [_swap(given, head, {"log/1": b"%d %d\n" % (round_, writer)}) for writer in range(16)]

            def attempt(number: int, swaps: list[Swap] = swaps) -> str:
                try:
                    return hosts[number].swap(swaps[number]).head
                except (Conflict, TryAgain):
                    return ""

            with ThreadPoolExecutor(16) as pool:
                made = list(pool.map(attempt, range(16)))
            assert sum(map(bool, made)) == 1, f"of sixteen swaps for one head these landed: {made}"
            found = hosts[0].branch(given.repository, DATA)
            head = next(filter(None, made))
            assert (found.head, dict(found.contents)) == (head, dict(swaps[made.index(head)].contents))


def swap_killed_at_every_step(subject: type[Subject]) -> int:
    """A swap that is killed at any step of its process is made once, by it or by the next one, and blocks nobody."""
    with _opened(subject) as (given, host, _):
        first = host.swap(_swap(given, "", FIRST)).head
        steps = count_events(lambda: host.swap(_swap(given, first, {"raw": b"2\n"})))
        for nth in range(1, steps + 1):
            before = host.branch(given.repository, DATA)
            swap = _swap(given, before.head, {"raw": b"%d\n" % nth})
            assert run_killed_at(nth, partial(host.swap, swap), group=nth % 2 == 0).killed
            if host.branch(given.repository, DATA).head == before.head:
                host.swap(swap)
            assert host.branch(given.repository, DATA).contents == {**before.contents, **swap.contents}
        return steps


def _swap(given: CodeHostSubject, head: str, contents: Mapping[str, bytes | None]) -> Swap:
    return Swap(given.repository, DATA, head, contents, "Data\n\nWhat happened")


def remotes_are_recognised(subject: type[Subject]) -> None:
    """A URL that leads elsewhere is nobody's repository here."""
    with _opened(subject) as (_, host, __):
        for url in ("https://elsewhere.example.org/owner/name.git", "git@elsewhere.example.org:owner/name.git"):
            assert host.repository_at(url) is None, url


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
    "a branch for data is begun and swapped": (branch_is_begun_and_swapped, ("code host", "branch")),
    "a swap for another head is a conflict": (swap_for_another_head_is_a_conflict, ("code host", "branch")),
    "of sixteen swaps one wins": (sixteen_writers_swap, ("code host", "branch")),
    "killed at every step of a swap": (swap_killed_at_every_step, ("code host", "branch")),
    "a remote elsewhere is not taken for one here": (remotes_are_recognised, ("code host",)),
}
