"""Builds that go wrong, through the command line: never begun, hanging, cancelled, overtaken, red, green for nought."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.model_actions import Run
from tests.test_whole_way import SOURCE, WholeFleet, whole

__all__ = ["whole"]

FIX = {"environment.yml": "dependencies: [python=3.12, numpy]\n"}


class Meanwhile:
    """Time for fleet: a wait is over at once, and what others do meanwhile happens in it, once there is a build."""

    def __init__(self, whole: WholeFleet) -> None:
        self.whole = whole
        self.waited = 0.0
        self.events: list[Callable[[], object]] = []

    def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self.whole.github.actions.wait()
        if self.events and self.runs:
            self.events.pop(0)()
            self.whole.github.actions.wait()

    @property
    def runs(self) -> list[Run]:
        """All builds, oldest first."""
        found = self.whole.github.state.find_repository(SOURCE)
        return found.runs if found else []

    def builds(self, behaviour: str) -> None:
        """What becomes of builds from now on."""
        self.whole.github.state.settings.builds = behaviour  # type: ignore[assignment]

    def push(self, behaviour: str = "run", message: str = "A fix") -> None:
        """Somebody pushes to the source's branch, and this becomes of the build."""
        self.builds(behaviour)
        self.whole.github.commit(SOURCE, FIX, message)
        self.whole.github.actions.wait()

    def cancel(self) -> None:
        """Somebody cancels the last build."""
        with self.whole.github.state.lock:
            runs.cancel(self.whole.github.state, self.runs[-1])

    def restart(self, behaviour: str) -> None:
        """Somebody cancels the last build and runs it again, before fleet looks."""
        self.cancel()
        self.rerun(behaviour)

    def rerun(self, behaviour: str) -> None:
        """Somebody runs the last build again."""
        self.builds(behaviour)
        with self.whole.github.state.lock:
            runs.rerun(self.whole.github.state, self.runs[-1])
            self.whole.github.actions.wake()


@pytest.fixture
def meanwhile(whole: WholeFleet, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """The time of all runs in this process."""
    time = Meanwhile(whole)
    monkeypatch.setattr("fleet.pace.RealClock.sleep", lambda clock, seconds, interrupt: time.sleep(seconds))
    return time


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What fleet said since the last time, as one line."""
    return lambda: " ".join("".join(capsys.readouterr()).split())


def apply() -> ExitCode:
    return ExitCode(main(["apply", "-auto-approve"]))


def follows(whole: WholeFleet) -> str:
    """The tag that the hub has."""
    return whole.little.at_head("three.yaml").partition("tag: ")[2].strip(" '}\n")


def assert_done(whole: WholeFleet) -> None:
    """The hub has the newest build, and nothing is left to do or half done."""
    assert follows(whole) == whole.head[:12]
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    assert json.loads(Path(".fleet/state.json").read_text())["begun"] == {}


def test_a_build_that_never_begins_ends_with_a_sentence_and_is_waited_for_again(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    organization = whole.github.state.accounts["example-org"]
    assert main(["plan", "-out=plan"]) == ExitCode.OK
    organization.enabled_repositories = "none"  # after the plan, which would not have been made otherwise
    assert main(["apply", "plan"]) == ExitCode.PARTIAL
    assert f"no build of {SOURCE} at {whole.head[:12]} has begun; are its Actions enabled?" in said()
    assert 120 < meanwhile.waited < 180
    assert follows(whole) == "none"
    organization.enabled_repositories = "all"
    whole.github.state.repository(SOURCE).actions_enabled = True
    meanwhile.push()
    assert apply() == ExitCode.OK, said()
    assert_done(whole)


@pytest.mark.parametrize("behaviour", ["queue", "hang"])
def test_a_build_that_does_not_end_is_exit_7_and_the_next_run_goes_on(
    behaviour: str, whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds(behaviour)
    assert apply() == ExitCode.BUDGET
    assert f"the build of {SOURCE} at {whole.head[:12]} goes on: " in said()
    assert 3600 < meanwhile.waited < 3700
    assert follows(whole) == "none"
    commit = whole.head
    meanwhile.restart("run")
    assert apply() == ExitCode.OK, said()
    assert (whole.head, len(meanwhile.runs)) == (commit, 1)
    assert_done(whole)


def test_a_build_that_ends_after_a_while_is_waited_for(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("hang")
    meanwhile.events = [lambda: None, lambda: None, lambda: meanwhile.restart("run")]
    assert apply() == ExitCode.OK, said()
    assert [run.attempt for run in meanwhile.runs] == [2]
    assert_done(whole)


def test_a_newer_push_that_cancels_the_build_brings_the_image_itself(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("hang")
    meanwhile.events = [meanwhile.push]
    assert apply() == ExitCode.OK, said()
    assert [run.conclusion for run in meanwhile.runs] == ["cancelled", "success"]
    assert_done(whole)


def test_a_newer_build_that_shows_late_is_waited_for(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("hang")
    meanwhile.events = [lambda: meanwhile.push("queue", "A fix [skip ci]"), meanwhile.cancel]
    meanwhile.events += [lambda: None, meanwhile.push]
    assert apply() == ExitCode.OK, said()
    assert [run.conclusion for run in meanwhile.runs] == ["cancelled", "success"]
    assert_done(whole)


def test_a_newer_build_that_is_red_is_the_one_that_is_named(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("hang")
    meanwhile.events = [lambda: meanwhile.push("fail")]
    assert apply() == ExitCode.PARTIAL
    assert f"the build of {SOURCE} at {whole.head[:12]} ended as failure at the step 'Build and push': " in said()
    assert follows(whole) == "none"


def test_a_build_that_somebody_cancels_is_named_and_may_be_run_again(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("hang")
    meanwhile.events = [meanwhile.cancel]
    assert apply() == ExitCode.PARTIAL
    told = said()
    assert f"the build of {SOURCE} at {whole.head[:12]} was cancelled, and no newer one is green" in told
    assert f"/{SOURCE}/actions/runs/{meanwhile.runs[0].id}" in told
    assert meanwhile.waited < 10
    assert follows(whole) == "none"
    meanwhile.rerun("run")
    assert apply() == ExitCode.OK, said()
    assert_done(whole)


def test_after_a_red_build_a_fix_of_somebody_is_followed(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("fail")
    assert apply() == ExitCode.PARTIAL
    meanwhile.push()
    assert apply() == ExitCode.OK, said()
    assert [run.conclusion for run in meanwhile.runs] == ["failure", "success"]
    assert_done(whole)


def test_the_latest_attempt_counts(whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]) -> None:
    meanwhile.builds("fail")
    assert apply() == ExitCode.PARTIAL
    meanwhile.rerun("run")
    meanwhile.whole.github.actions.wait()
    assert apply() == ExitCode.OK, said()
    assert [(run.attempt, run.conclusion) for run in meanwhile.runs] == [(2, "success")]
    assert_done(whole)


def test_a_green_build_without_its_tag_moves_no_hub_until_it_is_built_again(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("green")
    assert apply() == ExitCode.PARTIAL
    told = said()
    assert f"the build of {SOURCE} is green, but {whole.image}:{whole.head[:12]} is not there" in told
    assert f"/{SOURCE}/actions/runs/{meanwhile.runs[0].id}" in told
    assert follows(whole) == "none"
    meanwhile.rerun("run")
    meanwhile.whole.github.actions.wait()
    assert apply() == ExitCode.OK, said()
    assert_done(whole)


def dispatch(whole: WholeFleet, branch: str) -> None:
    """Somebody starts the build by hand on a branch, which begins at the default branch's head if it is new."""
    client = whole.client()
    repository = client.get_repo(SOURCE)
    if branch != "main":
        repository.create_git_ref(f"refs/heads/{branch}", whole.head)
    assert repository.get_workflow("build.yaml").create_dispatch(branch)
    whole.github.actions.wait()
    client.close()


def test_a_run_on_another_branch_says_nothing_of_a_commits_build(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    meanwhile.builds("fail")
    assert apply() == ExitCode.PARTIAL
    meanwhile.builds("run")
    dispatch(whole, "topic")
    said()
    assert apply() == ExitCode.ERROR
    assert f"the build of {SOURCE} at {whole.head[:12]} ended as failure" in said()
    assert [run.conclusion for run in meanwhile.runs] == ["failure", "skipped"]


def test_a_green_build_stays_one_when_somebody_builds_the_same_commit_in_vain(
    whole: WholeFleet, meanwhile: Meanwhile, said: Callable[[], str]
) -> None:
    assert apply() == ExitCode.OK, said()
    meanwhile.builds("fail")
    dispatch(whole, "main")
    assert [run.conclusion for run in meanwhile.runs] == ["success", "failure"]
    assert_done(whole)
