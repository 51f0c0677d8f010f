"""State on a branch of the fleet repository: readable, leased, cheap, and enough for runners with an empty disk."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.apply import Group, Result, Services, Status, carry_out
from fleet.cli import main
from fleet.errors import ExitCode, FleetError, Locked, OutOfBudget
from fleet.git_store import GitStore
from fleet.group_commit import Rhythm
from fleet.pace import Budget, Pace
from fleet.plan import Plan
from fleet.provider import Limits
from fleet.run import Run, _Journalist
from fleet.runner import By
from fleet.sandbox.github.model import Protection
from fleet.sandbox.github.objects import Entry, write_tree
from fleet.sandbox.github.pushes import Draft, commit
from fleet.sandbox.http import Fault, Loopback, Request, Response
from fleet.state_place import open_git_store
from fleet.tenure import Terms
from fleet.testing.crash import CRASH_POINTS, run_armed
from tests.keepers import BRANCH, FLEET, GitHubKeeper, Keeper, LocalKeeper, keeper_of
from tests.little_fleet import COMMON, LittleFleet, git
from tests.shelf import Shelf, put
from tests.test_apply import NoSleep, Silent
from tests.test_stores import AT, began, done

VALUES = "example-org/infrastructure"
RUN = {
    "GITHUB_SERVER_URL": "https://github.example.org",
    "GITHUB_REPOSITORY": FLEET,
    "GITHUB_RUN_ID": "7",
    "GITHUB_SHA": "c0ffee",
    "GITHUB_ACTOR": "grace",
}
URL = "https://github.example.org/example-org/fleet/actions/runs/7"


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[GitHubKeeper]:
    with keeper_of("github", tmp_path) as keeper:
        assert isinstance(keeper, GitHubKeeper)
        yield keeper


def store_of(keeper: Keeper, terms: Terms | None = None) -> GitStore:
    opened = open_git_store(keeper.workshop())
    return GitStore(opened._desk.host, opened.place, "example", opened._desk.pace, terms)


# --- the branch


def test_the_branch_is_for_people_too(keeper: GitHubKeeper) -> None:
    by = By(url=URL, commit="c0ffee", actor="grace")
    store = store_of(keeper)
    with store.lock("r1", Pace(), by=by):
        lease = json.loads(keeper.text("lease.json") or "")
        assert (lease["run"], lease["by"]["url"]) == ("r1", URL)
        assert lease["expires"] > lease["taken"]
        store.keep(began("a").model_copy(update={"by": by})).result()
        [entry] = json.loads(keeper.text("journal/000001.json") or "")
        assert (entry["group"], entry["by"]) == ("a", {"url": URL, "commit": "c0ffee", "actor": "grace", "attempt": 1})
        store.append(done("a"))
    assert "\n" in (keeper.text("state.json") or "").strip()
    assert keeper.text("lease.json") is None
    assert keeper.text("journal/000001.json") is None
    assert "the state of the fleet example" in (keeper.text("README.md") or "").lower()
    taken, begun, ended = keeper.messages()
    assert taken.startswith("r1: takes the lease\n")
    assert begun.startswith("r1: 1 begun\n\nbegun: a\n")
    assert ended.startswith("r1: 1 done\n\ndone: a\n")
    for message in (taken, begun, ended):
        assert f"Run: {URL}\nCommit: c0ffee\nActor: grace" in message


def test_the_branch_shares_no_history_with_the_others(keeper: GitHubKeeper) -> None:
    main_branch = keeper.github.state.repository(FLEET).head
    with store_of(keeper).lock("r1", Pace()):
        pass
    assert len(keeper.messages()) == 2
    assert keeper.github.state.repository(FLEET).head == main_branch


def test_a_note_that_a_person_commits_meanwhile_is_kept(keeper: GitHubKeeper) -> None:
    store = store_of(keeper)
    with store.lock("r1", Pace()):
        desk = store_of(keeper)._desk
        desk.swap(keeper.head or "", {"NOTES.md": b"mine\n"}, "A note")
        store.keep(began("a")).result()
    assert keeper.text("NOTES.md") == "mine\n"
    assert "a" in store_of(keeper).load().begun


def test_two_hundred_groups_are_a_few_commits(keeper: GitHubKeeper) -> None:
    changes = [put(f"book-{number}") for number in range(200)]
    shelf, store = Shelf(limits=Limits(at_once=32)), store_of(keeper)
    with store.lock("r1", Pace()):
        services = Services(
            {"shelf": shelf},
            Pace(clock=NoSleep()),
            announce=lambda group: store.keep(began(group.key)),
            ahead=200,
        )
        assert carry_out(Plan("example", {}, tuple(changes)), services, Silent()).exit_code == ExitCode.OK
    assert len(shelf.books) == 200
    assert len(keeper.messages()) <= 5
    assert len(store_of(keeper).load().begun) == 200


def test_nothing_is_written_to_a_service_before_it_is_on_the_branch(keeper: GitHubKeeper) -> None:
    shelf, store, seen = Shelf(), store_of(keeper), []

    class Watching(Shelf):
        """Looks at the branch when it is written to."""

        def apply(self, changes: Any, reveal: Any) -> None:
            seen.append({change.group for change in changes} <= store_of(keeper).load().begun.keys())

    shelf = Watching()
    with store.lock("r1", Pace()):
        services = Services({"shelf": shelf}, Pace(), announce=lambda group: store.keep(began(group.key)), ahead=4)
        carry_out(Plan("example", {}, tuple(put(f"b{number}") for number in range(4))), services, Silent())
    assert seen == [True] * 4


def test_a_long_journal_is_one_file_for_each_commit(keeper: GitHubKeeper) -> None:
    store = store_of(keeper)
    with store.lock("r1", Pace()):
        for group in ("a", "b"):
            store.keep(began(group)).result()
        first = json.loads(keeper.text("journal/000001.json") or "")
        assert [entry["group"] for entry in first] == ["a"]
        assert keeper.text("journal/000002.json") is not None


# --- the lease


def test_whoever_lost_the_lease_stops_and_records_nothing_more(keeper: GitHubKeeper) -> None:
    slow, pace = store_of(keeper), Pace()
    lock = slow.lock("slow", pace)
    lock.__enter__()
    slow.keep(began("a")).result()
    keeper.outlive()
    with store_of(keeper).lock("quick", Pace()) as note:
        assert "slow" in (note or "")
        with pytest.raises(Locked, match=r"run quick .* took it over"):
            slow.keep(began("b")).result()
        with pytest.raises(Locked, match="lost its lease"):
            pace.spend("anything", Limits())
        assert "quick" in (keeper.text("lease.json") or "")
    slow.append(done("a"))
    with pytest.raises(Locked, match="lost its lease"):
        lock.__exit__(None, None, None)
    assert set(store_of(keeper).load().begun) == {"a"}


def test_a_lease_that_was_not_renewed_in_time_allows_no_request(keeper: GitHubKeeper) -> None:
    pace = Pace()
    lock = store_of(keeper, Terms(seconds=30, margin=60)).lock("r1", pace)
    lock.__enter__()
    with pytest.raises(Locked, match="could not be renewed"):
        pace.spend("anything", Limits())
    lock.__exit__(None, None, None)
    pace.spend("anything", Limits())


def test_a_lease_is_renewed_while_nothing_is_written(keeper: GitHubKeeper) -> None:
    opened = store_of(keeper)
    store = GitStore(opened._desk.host, opened.place, "example", opened._desk.pace, rhythm=Rhythm(idle=0.05))
    with store.lock("r1", Pace()):
        until = time.monotonic() + 30
        while len(keeper.messages()) < 4 and time.monotonic() < until:
            time.sleep(0.02)
        assert json.loads(keeper.text("lease.json") or "")["writes"] >= 2
        assert keeper.messages()[-1].startswith("r1: goes on")


def test_a_run_that_may_ask_nothing_more_still_records_and_gives_its_lease_back(keeper: GitHubKeeper) -> None:
    store, pace = store_of(keeper), Pace(Budget(requests=0))
    with store.lock("r1", pace):
        pace.stop.set()
        with pytest.raises(OutOfBudget):
            pace.spend("anything", Limits())
        store.append(done("a"))
    assert keeper.text("lease.json") is None
    assert "shelf:book:a" in store_of(keeper).load().things


def test_what_was_written_down_ahead_and_never_begun_is_closed(keeper: GitHubKeeper) -> None:
    store, workshop = store_of(keeper), keeper.workshop()
    group = Group("shelf a", "shelf", (put("a"),))
    with store.lock("r1", Pace()):
        run = Run("r1", store, workshop, store.load())
        journalist = _Journalist(run, Plan("example", {}, (put("a"),)), Silent())
        journalist.announce(group).result()
        journalist.ended(Result(group, Status.SKIPPED, "the deadline has come"))
        assert store.load().begun == {}
        journalist.announce(group).result()
        journalist.began(group)
        journalist.ended(Result(group, Status.SKIPPED, "the deadline has come"))
    assert set(store_of(keeper).load().begun) == {"shelf a"}


def test_every_commit_renews_the_lease_by_the_hosts_clock(keeper: GitHubKeeper) -> None:
    keeper.github.state.clock.advance(86_400 * 365)
    store = store_of(keeper)
    with store.lock("r1", Pace()):
        before = json.loads(keeper.text("lease.json") or "")
        assert before["taken"][:4] > AT[:4]
        keeper.github.state.clock.advance(200)
        store.keep(began("a")).result()
        store.keep(began("b")).result()
        keeper.github.state.clock.advance(200)
        with pytest.raises(Locked), store_of(keeper).lock("r2", Pace()):
            pass


def test_the_same_ci_run_started_again_does_not_wait_for_itself(keeper: GitHubKeeper) -> None:
    first = By(url=URL, attempt=1)
    lock = store_of(keeper).lock("r1", Pace(), by=first)
    lock.__enter__()
    with pytest.raises(Locked), store_of(keeper).lock("r2", Pace(), by=first):
        pass
    with store_of(keeper).lock("r3", Pace(), by=By(url=URL, attempt=2)) as note:
        assert "took over from run r1" in (note or "")
    lock.__exit__(None, None, None)


def test_force_unlock_frees_the_lease_of_exactly_that_run(
    keeper: GitHubKeeper, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(keeper.runner())
    assert main(["force-unlock", "-force", "r1"]) == ExitCode.ERROR
    assert "nobody holds the lease" in capsys.readouterr().err
    store = store_of(keeper)
    lock = store.lock("r1", Pace())
    lock.__enter__()
    assert main(["force-unlock", "r1"]) == ExitCode.USAGE
    assert main(["force-unlock", "-force", "r9"]) == ExitCode.ERROR
    assert "is that of run r1" in " ".join(capsys.readouterr().err.split())
    assert main(["force-unlock", "-force", "r1"]) == ExitCode.OK
    assert keeper.text("lease.json") is None
    with store_of(keeper).lock("r2", Pace()), pytest.raises(Locked, match=r"run r2 .* took it over"):
        store.keep(began("a")).result()
    with pytest.raises(Locked, match="lost its lease"):
        lock.__exit__(None, None, None)


def test_a_folder_has_nothing_to_unlock(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["force-unlock", "-force", "r1"]) == ExitCode.ERROR
    assert "nothing to unlock" in " ".join(capsys.readouterr().err.split())


# --- what stands in the way


@pytest.mark.parametrize("kind", ["drop", "truncate", "garbage"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_loses_no_entry_and_repeats_none(keeper: GitHubKeeper, kind: Any, when: Any) -> None:
    for nth in range(1, 9):
        store = store_of(keeper)
        keeper.github.loopback.faults[:] = [Fault(kind, nth=nth, when=when)]
        with store.lock(f"r{nth}", Pace()) as note:
            assert note is None
            store.keep(began(f"g{nth}")).result()
            store.append(done(f"g{nth}", str(nth)))
        keeper.github.loopback.faults.clear()
        state = store_of(keeper).load()
        assert len(state.things) == nth
        assert state.begun == {}
        assert keeper.text("lease.json") is None


def foreign_branch(keeper: GitHubKeeper, files: dict[str, str]) -> None:
    """Somebody has begun a branch of that name."""
    state = keeper.github.state
    with state.lock:
        blobs = {name: Entry("100644", state.store.write("blob", text.encode())) for name, text in files.items()}
        repository = state.repository(FLEET)
        oid = commit(state, state.account("ada"), Draft(write_tree(state.store, blobs), [], "Mine"))
        state.move_ref(repository, f"refs/heads/{BRANCH}", oid, "0" * 40)


def refuse(keeper: GitHubKeeper, how: str) -> None:
    """Make the branch unusable."""
    state = keeper.github.state
    repository = state.repository(FLEET)
    match how:
        case "a token that may only read":
            (keeper.folder / "token").write_text(state.create_token("ada", {"contents": "read"}))
        case "a token of a stranger":
            state.create_user("eve")
            (keeper.folder / "token").write_text(state.create_token("eve", {"contents": "write"}))
        case "a repository that is not there":
            state.repositories.clear()
        case "an empty repository":
            state.repositories.clear()
            state.add_repository(state.account("example-org"), "fleet")
        case "a protected branch":
            with store_of(keeper).lock("r0", Pace()):
                pass
            repository.protection[BRANCH] = Protection(required_reviews=1)
        case "another use of the branch":
            foreign_branch(keeper, {"index.html": "<html>"})
        case "another fleet's state":
            foreign_branch(keeper, {"state.json": json.dumps({"format_version": 1, "fleet": "other"})})
        case "a newer fleet's state":
            foreign_branch(keeper, {"state.json": json.dumps({"format_version": 99, "fleet": "example"})})
        case "a damaged state":
            foreign_branch(keeper, {"state.json": "{"})
        case "a damaged journal":
            state_file = json.dumps({"format_version": 1, "fleet": "example"})
            foreign_branch(keeper, {"state.json": state_file, "journal/000001.json": "[3]"})
        case _:
            state_file = json.dumps({"format_version": 1, "fleet": "example"})
            foreign_branch(keeper, {"state.json": state_file, "lease.json": "[]"})


REFUSALS = {
    "a token that may only read": "contents",
    "a token of a stranger": "403",
    "a repository that is not there": "shows no repository example-org/fleet to this token",
    "an empty repository": "is empty: give it a first commit",
    "a protected branch": "no branch protection or ruleset may cover this branch",
    "another use of the branch": "holds something else than fleet's state (index.html, and no state.json)",
    "another fleet's state": "holds the state of the fleet 'other', not of 'example'",
    "a newer fleet's state": "was written by a newer fleet",
    "a damaged state": "state.json in fleet-state of example-org/fleet is damaged",
    "a damaged journal": "journal/000001.json in fleet-state of example-org/fleet is damaged",
    "a damaged lease": "lease.json in fleet-state of example-org/fleet is damaged",
}


@pytest.mark.parametrize("how", REFUSALS)
def test_what_stands_in_the_way_is_one_sentence_and_nothing_is_written(keeper: GitHubKeeper, how: str) -> None:
    refuse(keeper, how)
    before = {name: dict(held.refs) for name, held in keeper.github.state.repositories.items()}
    with pytest.raises(FleetError) as caught, store_of(keeper).lock("r1", Pace()):
        pass
    assert REFUSALS[how] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {name: dict(held.refs) for name, held in keeper.github.state.repositories.items()} == before


# --- runners with an empty disk


class CiFleet:
    """Two hubs whose values lie in a repository on GitHub; each `apply` is that of a new runner."""

    def __init__(self, keeper: GitHubKeeper, registry: Loopback) -> None:
        self.keeper, self.registry = keeper, registry
        self.state = keeper.github.state
        values = {"common.yaml": COMMON.replace("HOST", registry.host), "one.yaml": "{}\n"}
        self.state.create_repository(VALUES, values)
        self.tag = "aaaaaaaaaaaa"

    def runner(self) -> Path:
        """A fresh checkout of the fleet repository, which becomes the current folder."""
        folder = self.keeper.runner()
        document = json.loads((folder / "fleet.yaml").read_text()) | {
            "state": "git",
            "images": {"climate": {"upstream": f"{self.registry.host}/example/climate"}},
            "hubs": {
                "one": {
                    "url": "https://one.example.org",
                    "values": {"repository": VALUES, "files": ["common.yaml", "one.yaml"]},
                    "slots": {"default": {"image": "climate", "track": self.tag}},
                }
            },
        }
        (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
        os.chdir(folder)
        return folder

    def apply(self, *options: str) -> int:
        """Apply on a new runner."""
        self.runner()
        return main(["apply", "-auto-approve", *options])

    def values(self) -> tuple[int, str]:
        """How many commits the values repository has, and what its file says."""
        from fleet.sandbox.github.objects import find, history, read_commit

        head = self.state.repository(VALUES).head
        assert head is not None
        entry = find(self.state.store, read_commit(self.state.store, head).tree, "common.yaml")
        assert entry is not None
        blob = self.state.store.read(entry.oid)
        assert blob is not None
        return len(list(history(self.state.store, head))), blob.data.decode()


@pytest.fixture
def ci(keeper: GitHubKeeper, registry: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CiFleet:
    monkeypatch.chdir(tmp_path)
    for name, value in RUN.items():
        monkeypatch.setenv(name, value)
    return CiFleet(keeper, registry)


def test_a_runner_with_an_empty_disk_knows_what_the_last_one_did(
    ci: CiFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    ci.tag = "bbbbbbbbbbbb"
    assert ci.apply() == ExitCode.OK, capsys.readouterr()
    assert ci.values()[0] == 2
    state = json.loads(ci.keeper.text("state.json") or "")
    [thing] = state["things"].values()
    assert (thing["previous"]["tag"], thing["current"]["tag"]) == ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    [run] = state["runs"]
    assert (run["exit_code"], run["by"]["url"], run["by"]["actor"]) == (0, URL, "grace")
    ci.runner()
    assert not Path(".fleet").exists()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def of_state(ci: CiFleet, command: Callable[[], int]) -> int:
    """How many requests a command makes to the fleet repository."""
    ci.keeper.github.loopback.records.clear()
    assert command() == ExitCode.OK
    asked = [record.request for record in ci.keeper.github.loopback.records]
    by_name = (f"/repos/{FLEET}/".encode(), f'"{FLEET}"'.encode(), b'"name": "fleet"')
    return sum(any(name in request.path.encode() + request.body for name in by_name) for request in asked)


def test_bookkeeping_costs_few_requests(ci: CiFleet) -> None:
    ci.tag = "bbbbbbbbbbbb"
    assert of_state(ci, ci.apply) == 7
    ci.tag = "cccccccccccc"
    assert of_state(ci, ci.apply) == 5
    assert of_state(ci, ci.apply) == 3
    ci.runner()
    assert of_state(ci, lambda: main(["plan"])) == 1


def test_a_run_whose_requests_are_used_up_leaves_no_lease(ci: CiFleet) -> None:
    ci.tag = "bbbbbbbbbbbb"
    assert ci.apply("-max-requests=9") == ExitCode.BUDGET
    assert ci.keeper.text("lease.json") is None
    assert ci.apply() == ExitCode.OK
    assert ci.values()[0] == 2


def test_an_offline_plan_leaves_the_branch_alone(ci: CiFleet) -> None:
    ci.runner()
    before = ci.keeper.github.loopback.count()
    assert main(["plan", "-refresh=false"]) == ExitCode.OK
    assert ci.keeper.github.loopback.count() == before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("shard", range(4))
def test_killed_at_every_request_the_next_runner_completes_it(
    ci: CiFleet, when: Any, shard: int, record_property: Callable[[str, object], None]
) -> None:
    points, nth = 0, 1 + shard
    while True:
        ci.tag = "abcd"[(points + 1) % 4] * 12
        commits = ci.values()[0]
        fault = Fault("kill", nth=nth, when=when)

        def arm(pid: int, fault: Fault = fault) -> None:
            fault.pid = lambda: pid
            ci.keeper.github.loopback.faults[:] = [fault]

        killed = run_armed(lambda: _quietly(ci), arm).killed
        ci.keeper.github.loopback.faults.clear()
        ci.keeper.outlive()
        assert ci.apply() == ExitCode.OK
        assert ci.values()[0] == commits + 1, f"killed {when} request {nth}"
        assert ci.values()[1].count(ci.tag) == 1
        assert ci.keeper.text("lease.json") is None
        assert store_of(ci.keeper).load().begun == {}
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
        if not killed:
            break
        points, nth = points + 1, nth + 4
    assert points >= 2
    record_property(CRASH_POINTS, points)


def _quietly(ci: CiFleet) -> None:
    import sys

    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        sys.stdout = sys.stderr = nothing
        assert ci.apply() == ExitCode.OK


def test_a_runner_waits_for_the_lease_of_a_dead_one_as_long_as_it_is_told(
    ci: CiFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = store_of(ci.keeper).lock("r1", Pace())
    lock.__enter__()
    ci.tag = "bbbbbbbbbbbb"
    assert ci.apply() == ExitCode.LOCKED
    said = " ".join(capsys.readouterr().err.split())
    assert "run r1" in said
    assert "-lock-timeout" in said
    ci.keeper.outlive()
    assert ci.apply() == ExitCode.OK
    assert "took over from run r1" in " ".join(capsys.readouterr().err.split())
    lock.__exit__(None, None, None)


class Thief:
    """Takes the lease just before a request of a kind arrives."""

    def __init__(self, ci: CiFleet, strikes: Callable[[Request], bool]) -> None:
        self.ci, self.strikes = ci, strikes
        self.service = ci.keeper.github.loopback.service
        self.has_struck = False

    def handle(self, request: Request) -> Response:
        if not self.has_struck and self.strikes(request):
            self.has_struck = True
            self.ci.keeper.outlive()
            self.ci.keeper.github.loopback.service = self.service
            with store_of(self.ci.keeper).lock("thief", Pace()):
                pass
        return self.service.handle(request)


def test_a_runner_that_lost_the_lease_stops_before_its_next_write(
    ci: CiFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    ci.tag = "bbbbbbbbbbbb"
    thief = Thief(ci, lambda request: b"journal/" in request.body and b"createCommitOnBranch" in request.body)
    ci.keeper.github.loopback.service = thief
    assert ci.apply() == ExitCode.LOCKED
    assert thief.has_struck
    assert ci.values() == (1, ci.values()[1])
    assert "lost its lease" in " ".join(capsys.readouterr().err.split())
    assert store_of(ci.keeper).load().things == {}
    assert ci.apply() == ExitCode.OK
    assert ci.values()[0] == 2


def test_a_fleet_repository_that_no_code_host_serves_is_named(
    ci: CiFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ci.runner()
    document = yaml.safe_load((folder / "fleet.yaml").read_text())
    document["code_hosts"]["github"]["owner"] = "example-org"
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("GITHUB_REPOSITORY", "elsewhere/fleet")
    assert main(["plan"]) == ExitCode.ERROR
    assert "no entry of code_hosts serves elsewhere/fleet" in " ".join(capsys.readouterr().err.split())
    monkeypatch.delenv("GITHUB_REPOSITORY")
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "https://someone:canary@git.example.org/elsewhere/fleet.git")
    assert main(["plan"]) == ExitCode.ERROR
    said = " ".join(capsys.readouterr().err.split())
    assert "no entry of code_hosts serves https://git.example.org/elsewhere/fleet.git" in said
    assert "canary" not in said


@pytest.mark.parametrize("form", ["{url}/example-org/fleet.git", "ssh://git@{host}/example-org/fleet"])
def test_outside_of_ci_the_remote_origin_names_the_repository(
    ci: CiFleet, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for name in RUN:
        monkeypatch.delenv(name)
    folder = ci.runner()
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", form.format(url=ci.keeper.github.url, host="127.0.0.1"))
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert ci.keeper.head is not None


# --- a local repository


@pytest.fixture
def local(little: LittleFleet, tmp_path: Path) -> Path:
    """A bare fleet repository whose fleet.yaml keeps state in git."""
    seed = tmp_path / "seed"
    seed.mkdir()
    for hub in little.document["hubs"].values():
        hub["values"]["path"] = str(little.infrastructure)
    (seed / "fleet.yaml").write_text(yaml.safe_dump(little.document | {"state": "git"}))
    git(seed, "init", "--quiet", "--initial-branch=main")
    for count in range(3):
        git(seed, "add", ".")
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        git(seed, *identity, "commit", "--quiet", "--allow-empty", f"--message={count}")
    git(tmp_path, "clone", "--quiet", "--bare", str(seed), "fleet.git")
    return tmp_path / "fleet.git"


def checkout_of(repository: Path, name: str) -> Path:
    """A shallow clone with a detached head, as CI makes it; the current folder."""
    folder = repository.parent / name
    git(repository.parent, "clone", "--quiet", "--depth=1", repository.as_uri(), name)
    git(folder, "checkout", "--quiet", "--detach")
    os.chdir(folder)
    return folder


def test_a_shallow_clone_and_a_detached_checkout_work(
    local: Path, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    first = checkout_of(local, "first")
    text = (first / "fleet.yaml").read_text().replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    (first / "fleet.yaml").write_text(text)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert little.commits() == 2
    shutil.rmtree(first)
    second = checkout_of(local, "second")
    (second / "fleet.yaml").write_text(text)
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    state = json.loads(git(local, "show", f"{BRANCH}:state.json"))
    assert len(state["things"]) == 2
    assert git(local, "ls-tree", "--name-only", BRANCH).split() == ["README.md", "state.json"]
    assert git(local, "rev-list", "--max-parents=0", "--count", BRANCH) == "1"


def test_without_a_remote_the_branch_is_the_checkouts_own(local: Path, little: LittleFleet) -> None:
    folder = checkout_of(local, "alone")
    git(folder, "remote", "remove", "origin")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert "state.json" in git(folder, "ls-tree", "--name-only", BRANCH)
    assert git(folder, "status", "--porcelain") == ""


def test_a_branch_that_is_checked_out_is_not_moved_behind_its_back(
    local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkout_of(local, "alone")
    git(folder, "remote", "remove", "origin")
    git(folder, "switch", "--quiet", "--create", BRANCH)
    assert main(["apply", "-auto-approve"]) == ExitCode.ERROR
    assert f"{BRANCH} is checked out" in " ".join(capsys.readouterr().err.split())


def test_state_moves_from_a_folder_to_a_branch_and_back(tmp_path: Path) -> None:
    from fleet.store import FolderStore

    folder = FolderStore(tmp_path / "state", "example")
    with folder.lock("r1", Pace()):
        folder.append(done("a"))
        folder.save(folder.load())
    keeper = LocalKeeper(tmp_path)
    desk = store_of(keeper)._desk
    desk.swap("", {"state.json": (tmp_path / "state/state.json").read_bytes()}, "Moved here")
    with store_of(keeper).lock("r2", Pace()):
        assert set(store_of(keeper).load().things) == {"shelf:book:a"}
    back = tmp_path / "back"
    back.mkdir()
    (back / "state.json").write_bytes(desk.read().contents["state.json"])
    assert set(FolderStore(back, "example").load().things) == {"shelf:book:a"}
