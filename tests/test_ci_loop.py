"""A fleet repository at work: pull request, comment and check, merge, apply as reviewed, drift; every runner empty."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import yaml

from fleet.errors import ExitCode
from fleet.sandbox.github.model_actions import JobRun
from fleet.sandbox.github.model_pulls import Pull
from fleet.sandbox.http import Fault, Request
from fleet.testing.crash import CRASH_POINTS
from fleet.workflow_file import WORKFLOW
from tests.fleet_in_ci import FLEET, LONGEST, SOURCE, VALUES, FleetInCI, exit_code, fleet_in_ci, hub


@pytest.fixture
def ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[FleetInCI]:
    with fleet_in_ci(tmp_path, monkeypatch, record_property) as made:
        yield made


@pytest.fixture
def with_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[FleetInCI]:
    """The same, and fleet logs in to GitHub as an App."""
    with fleet_in_ci(tmp_path, monkeypatch, record_property, as_app=True) as made:
        yield made


@pytest.fixture
def stands(ci: FleetInCI) -> FleetInCI:
    """One image and two hubs, as applied by hand for the first time."""
    ci.with_an_image("one", "two")
    apply_now(ci)
    assert ci.tag() in ci.values("one.yaml")
    return ci


def apply_now(ci: FleetInCI) -> None:
    """Have fleet.yaml as it is wanted now, without a review."""
    ci.github.commit(FLEET, {"fleet.yaml": ci.text()}, "As it is wanted [skip ci]")
    ci.by_hand()
    assert ci.job("apply").conclusion == "success", ci.shown()


def test_a_pull_request_is_shown_merged_and_has_happened(ci: FleetInCI) -> None:
    ci.with_an_image("one")
    pull = ci.propose("the-first-image")
    assert ci.job("plan").conclusion == "success", ci.shown()
    assert (list(ci.quay.state.robots), ci.values().count("tag: none")) == ([], 1)
    (check,) = [one for one in ci.repository.checks if one.name == "fleet plan"]
    assert (check.sha, check.conclusion) == (pull.head_sha, "success")
    ci.merge(pull)
    assert ci.job("apply").conclusion == "success", ci.shown()
    assert ci.tag() in ci.values()
    assert list(ci.quay.state.robots) == ["example+climate-image"]
    assert set(ci.github.state.repository(SOURCE).secrets) == {"QUAY_USERNAME", "QUAY_PASSWORD"}
    (comment,) = pull.comments
    assert (comment.author.login, "6 done" in comment.body) == ("github-actions[bot]", True)
    assert ci.drift().conclusion == "success", ci.shown()
    assert not list(ci.github.state.store.folder.glob("runner-*"))
    assert not [secret for secret in ci.secrets if secret in ci.shown()]


def test_what_is_edited_by_hand_is_drift(stands: FleetInCI) -> None:
    stands.github.commit(SOURCE, {".github/workflows/test.yaml": "on: push\n"}, "by hand [skip ci]")
    drift = stands.drift()
    assert exit_code(drift) == ExitCode.CHANGES
    assert ".github/workflows/test.yaml was last changed by" in drift.log


def test_what_is_edited_by_hand_in_a_values_file_is_told_with_its_commit(stands: FleetInCI) -> None:
    head = stands.github.commit(VALUES, {"one.yaml": stands.values().replace(stands.tag(), "by-hand")}, "Try this")
    drift = stands.drift()
    assert exit_code(drift) == ExitCode.CHANGES
    assert re.search(rf"one.yaml:3 was last changed by \S+ in {head[:12]} of 2\d\d\d-\d\d-\d\d: Try this", drift.log)
    assert head[:12] in drift.summary


def build(ci: FleetInCI, version: str) -> str:
    """Change the image, and wait for its build; the tag that it gave."""
    ci.github.commit(SOURCE, {"environment.yml": f"dependencies: [python={version}]\n"})
    ci.wait()
    return ci.tag()


def test_a_newer_build_in_between_changes_nothing_of_what_was_reviewed(stands: FleetInCI) -> None:
    stands.document["hubs"]["one"]["labels"] = {"wave": "staging"}
    reviewed = build(stands, "3.11")
    pull = stands.propose("relabelled")
    newer = build(stands, "3.12")
    stands.merge(pull)
    assert exit_code(stands.job("apply")) == ExitCode.OK, stands.shown()
    assert (reviewed in stands.values(), newer in stands.values()) == (True, False)


def test_what_nobody_reviewed_is_applied_by_hand_alone(stands: FleetInCI) -> None:
    reviewed, newer = stands.tag(), build(stands, "3.11")
    stands.github.commit(FLEET, {"notes.md": "pushed without a pull request\n"})
    stands.wait()
    assert exit_code(stands.job("apply")) == ExitCode.STALE
    assert "nothing was reviewed, so nothing is applied" in stands.job("apply").log
    assert reviewed in stands.values()
    stands.by_hand()
    assert exit_code(stands.job("apply")) == ExitCode.OK
    assert newer in stands.values()


@pytest.fixture
def pinned(stands: FleetInCI) -> FleetInCI:
    """Both hubs hold to the first build, and there is a newer one."""
    for each in stands.document["hubs"].values():
        each["slots"]["default"]["track"] = stands.tag()
    apply_now(stands)
    build(stands, "3.12")
    return stands


def propose_newest(ci: FleetInCI, name: str, *, wait: bool = True) -> Pull:
    """Propose that a hub, and as far as this branch knows no other, has the newest build."""
    ci.document = yaml.safe_load(ci.file(FLEET, "fleet.yaml"))
    ci.document["hubs"][name]["slots"]["default"]["track"] = ci.tag()
    return ci.propose(f"newest-for-{name}", wait=wait)


def test_what_another_pull_request_changed_in_between_makes_a_review_stale(pinned: FleetInCI) -> None:
    first, second = propose_newest(pinned, "one"), propose_newest(pinned, "two")
    pinned.merge(second)
    assert exit_code(pinned.job("apply")) == ExitCode.OK
    assert pinned.tag() in pinned.values("two.yaml")
    pinned.merge(first)
    assert exit_code(pinned.job("apply")) == ExitCode.STALE
    assert "hubs.two.slots.default.track" in pinned.job("apply").log
    assert pinned.tag() not in pinned.values("one.yaml")
    assert first.comments[0].body.count("nothing was written") == 1


def applies(ci: FleetInCI) -> list[JobRun]:
    """The jobs that apply, or have."""
    jobs = [job for run in ci.repository.runs for job in run.jobs if job.job == "apply"]
    return [job for job in jobs if job.conclusion != "skipped" and (job.group or job.conclusion)]


def until(ci: FleetInCI, holds: Callable[[], bool]) -> None:
    """Wait for the runs to have come so far."""
    with ci.github.state.changed:
        assert ci.github.state.changed.wait_for(holds, LONGEST)


def writes_values(request: Request) -> bool:
    """Whether a request changes the repository that holds the hubs' values."""
    return b"createCommitOnBranch" in request.body and VALUES.encode() in request.body


@pytest.mark.parametrize("made_on_the_first", [True, False])
def test_two_merges_at_once_are_applied_one_after_the_other(pinned: FleetInCI, made_on_the_first: bool) -> None:
    first = propose_newest(pinned, "one")
    pulls = [] if made_on_the_first else [propose_newest(pinned, "two")]
    at_once: list[int] = []

    def while_the_first_is_applied() -> None:
        made = propose_newest(pinned, "two", wait=False) if made_on_the_first else pulls[0]
        until(pinned, lambda: len(made.comments) == 1 and pinned.job("plan").conclusion == "success")
        pinned.merge(made, wait=False)
        until(pinned, lambda: len(applies(pinned)) == before + 2)

    pinned.meanwhile.watch = lambda: at_once.append(sum(job.status == "in_progress" for job in applies(pinned)))
    before = len(applies(pinned))
    pinned.meanwhile.acts.append((writes_values, while_the_first_is_applied))
    pinned.merge(first)
    pinned.wait()
    assert pinned.meanwhile.acts == []
    assert max(at_once) == 1
    assert exit_code(pinned.job("apply", -2)) == ExitCode.OK, pinned.shown()
    assert exit_code(pinned.job("apply")) == (ExitCode.OK if made_on_the_first else ExitCode.STALE), pinned.shown()
    assert pinned.tag() in pinned.values("one.yaml")
    assert (pinned.tag() in pinned.values("two.yaml")) is made_on_the_first


@pytest.fixture
def three(stands: FleetInCI) -> FleetInCI:
    """Three hubs that hold to the first build, and there is a newer one."""
    stands.github.commit(VALUES, {"three.yaml": stands.values("one.yaml")})
    stands.document["hubs"]["three"] = hub("three")
    for each in stands.document["hubs"].values():
        each["slots"]["default"]["track"] = stands.tag()
    apply_now(stands)
    build(stands, "3.12")
    return stands


@pytest.mark.parametrize("queue", ["max", "single"])
def test_of_three_merges_at_once_each_is_applied_or_done_by_the_next(three: FleetInCI, queue: str) -> None:
    if queue == "single":
        text = three.file(FLEET, WORKFLOW).replace("queue: max", "queue: single")
        three.github.commit(FLEET, {WORKFLOW: text}, "As a server without queues has it [skip ci]")
    before = len(applies(three))

    def while_the_first_is_applied() -> None:
        for number, name in enumerate(["two", "three"], 2):
            made = propose_newest(three, name, wait=False)
            until(three, lambda made=made: len(made.comments) == 1 and three.job("plan").conclusion == "success")  # type: ignore[misc]
            three.merge(made, wait=False)
            until(three, lambda number=number: len(applies(three)) == before + number)  # type: ignore[misc]

    three.meanwhile.acts.append((writes_values, while_the_first_is_applied))
    three.merge(propose_newest(three, "one"))
    three.wait()
    assert three.meanwhile.acts == []
    ends = [job.conclusion for job in applies(three)[before:]]
    assert ends == ["success", "success" if queue == "max" else "cancelled", "success"], three.shown()
    assert [three.tag() in three.values(f"{name}.yaml") for name in ("one", "two", "three")] == [True] * 3


def test_of_three_merges_that_knew_nothing_of_each_other_the_later_stop_and_say_how_to_go_on(three: FleetInCI) -> None:
    pulls = [propose_newest(three, name) for name in ("one", "two", "three")]
    three.github.actions.hold()
    for pull in pulls:
        three.merge(pull, wait=False)
    three.github.actions.release()
    three.wait()
    ends = sorted(exit_code(three.job("apply", number)) for number in (-3, -2, -1))
    assert ends == [ExitCode.OK, ExitCode.STALE, ExitCode.STALE], three.shown()
    assert "start this workflow by hand" in three.shown()
    three.by_hand()
    assert [three.tag() in three.values(f"{name}.yaml") for name in ("one", "two", "three")] == [True] * 3


def commits_to(repository: str) -> Callable[[Request], bool]:
    """Whether a request is a commit to a repository."""
    return lambda request: b"createCommitOnBranch" in request.body and repository.encode() in request.body


def asks(method: str, path: str) -> Callable[[Request], bool]:
    """Whether a request is one of these."""
    return lambda request: request.method == method and re.fullmatch(path, request.path) is not None


KILLS: dict[str, tuple[str, Callable[[Request], bool], int, Literal["before", "after"]]] = {
    "as the branch of the state is begun": ("github", asks("POST", f"/repos/{FLEET}/git/refs"), 1, "after"),
    "before what is to be written is on it": ("github", commits_to(FLEET), 1, "before"),
    "after what is to be written is on it": ("github", commits_to(FLEET), 1, "after"),
    "between the halves of the secret": ("github", asks("PUT", ".*/actions/secrets/.*"), 1, "after"),
    "after the workflows": ("github", commits_to(SOURCE), 1, "after"),
    "after the values": ("github", commits_to(VALUES), 1, "after"),
    "as it tells what it has done": ("github", asks("PATCH", ".*/issues/comments/.*"), 1, "after"),
}
"""Where a runner dies: at which request of which service, before or after the service acts."""


@pytest.mark.parametrize("where", KILLS)
def test_a_runner_that_is_killed_needs_nobody_but_the_next(
    with_app: FleetInCI, where: str, record_property: Callable[[str, object], None]
) -> None:
    ci, (service, at, nth, when) = with_app, KILLS[where]
    ci.with_an_image("one")
    pull = ci.propose("the-first-image")
    loopback = ci.github.loopback if service == "github" else ci.quay.loopback
    loopback.faults = [Fault("kill", where=at, nth=nth, when=when, pid=lambda: ci.job("apply").process or 0)]
    ci.merge(pull)
    assert exit_code(ci.job("apply")) == 128 + signal.SIGKILL, ci.shown()
    loopback.faults = []
    ci.again()
    assert exit_code(ci.job("apply")) == ExitCode.OK, ci.shown()
    assert ci.tag() in ci.values()
    assert list(ci.quay.state.robots) == ["example+climate-image"]
    assert [one.full_name for one in ci.github.state.repositories.values()].count(SOURCE) == 1
    assert len(pull.comments) == 1
    assert "lease.json" not in ci.state_files()
    assert exit_code(ci.drift()) == ExitCode.OK, ci.shown()
    assert not [secret for secret in ci.secrets if secret in ci.shown()]
    record_property(CRASH_POINTS, 1)


def test_another_run_waits_for_the_lease_of_a_dead_one_and_then_completes_it(
    ci: FleetInCI, record_property: Callable[[str, object], None]
) -> None:
    ci.with_an_image("one")
    pull = ci.propose("the-first-image")
    dead = Fault("kill", where=commits_to(VALUES), when="before", pid=lambda: ci.job("apply").process or 0)
    ci.github.loopback.faults = [dead]
    ci.merge(pull)
    assert exit_code(ci.job("apply")) == 128 + signal.SIGKILL
    ci.github.state.clock.advance(310)  # until the lease of the dead is nobody's
    ci.by_hand()
    assert exit_code(ci.job("apply")) == ExitCode.OK, ci.shown()
    assert ci.tag() in ci.values()
    record_property(CRASH_POINTS, 1)
