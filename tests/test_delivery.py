"""Delivery by pull request, through the command line: proposed, waiting, merged, closed, renewed, killed anywhere."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.gitblob import blob_id
from fleet.sandbox.github import serve_github
from fleet.sandbox.github.model import Protection
from fleet.sandbox.github.model_pulls import Pull
from fleet.sandbox.github.objects import find, read_commit
from fleet.sandbox.http import Fault, Loopback
from fleet.testing.crash import CRASH_POINTS, run_armed
from tests.github_judge import Judge
from tests.providers.test_github import REPOSITORY, GitHubFleet

BRANCH = "fleet/example/values/main"
RIGHTS: dict[str, Literal["read", "write"]] = {"contents": "write", "pull_requests": "write"}


class Proposing(GitHubFleet):
    """The fleet of three hubs, whose values arrive by pull request."""

    @property
    def pulls(self) -> list[Pull]:
        """Every pull request, oldest first."""
        return list(self.github.state.repository(REPOSITORY).pulls.values())

    @property
    def open(self) -> Pull:
        """The one that is open."""
        (found,) = [pull for pull in self.pulls if pull.state == "open"]
        return found

    def proposed(self, name: str = "common.yaml") -> str:
        """A file as the open pull request has it."""
        store = self.github.state.store
        entry = find(store, read_commit(store, self.open.head_sha).tree, name)
        assert entry is not None
        blob = store.read(entry.oid)
        assert blob is not None
        return blob.data.decode()

    def ask(self, verb: str, path: str, **body: object) -> None:
        """Somebody does something on GitHub."""
        headers = {"authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"}
        url = f"{self.github.url}/repos/{REPOSITORY}{path}"
        httpx.request(verb, url, json=body, headers=headers).raise_for_status()

    def merge(self, method: str = "merge") -> None:
        """Somebody merges the open pull request."""
        self.ask("PUT", f"/pulls/{self.open.number}/merge", merge_method=method)

    def close(self) -> None:
        """Somebody closes it unmerged."""
        self.ask("PATCH", f"/pulls/{self.open.number}", state="closed")


@pytest.fixture
def fleet(
    tmp_path: Path, registry: Loopback, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[Proposing]:
    """The fleet, watched by the judge: every exchange must be as GitHub's published descriptions say."""
    monkeypatch.chdir(tmp_path)
    with serve_github(tmp_path / "github") as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada", RIGHTS))
        fleet = Proposing(github, registry.host)
        fleet.document["code_hosts"]["github"]["delivery"] = "pull-request"
        fleet.save()
        yield fleet
    assert judge.disagreements == []
    judge.report(record_property)


def planned(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What `plan` ends with and says."""
    capsys.readouterr()
    code = main(["plan", "-detailed-exitcode"])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def apply(*options: str) -> None:
    assert main(["apply", *(options or ["-auto-approve"])]) == ExitCode.OK


def test_a_tag_is_proposed_waits_and_is_done_when_it_is_merged(
    fleet: Proposing, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fleet.text()
    fleet.track("bbbbbbbbbbbb")
    assert "is proposed, not written" in planned(capsys)[1]
    apply()
    said = capsys.readouterr().out
    url = f"/{REPOSITORY}/pull/{fleet.open.number}"
    assert re.search(rf"proposed in \S+{url} ", said)
    assert "Applied: 1 proposed.\n" in said
    assert "references written" not in said
    assert fleet.text() == before
    assert fleet.proposed() == before.replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    assert (fleet.open.head, fleet.open.title) == (BRANCH, "Set climate:bbbbbbbbbbbb on 2 hubs")
    code, text = planned(capsys)
    assert code == ExitCode.OK
    assert re.search(rf"  · .*aaaaaaaaaaaa → bbbbbbbbbbbb\n.*proposed in \S+{url}\n", text)
    apply()
    fleet.merge()
    assert "bbbbbbbbbbbb" in fleet.text()
    code, text = planned(capsys)
    assert (code, "No changes. What fleet.yaml wants is what stands there." in text) == (ExitCode.OK, True)
    assert len(fleet.pulls) == 1


def test_what_a_proposal_costs_is_said_before(fleet: Proposing, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.track("bbbbbbbbbbbb")
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    said = re.search(r"Applying it takes about (\d+) requests", capsys.readouterr().out)
    assert said
    before = fleet.github.loopback.count()
    apply("p.fleet", "-auto-approve")
    assert abs(fleet.github.loopback.count() - before - int(said[1])) <= 3


def test_its_body_can_be_reviewed(fleet: Proposing) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    body = fleet.open.body or ""
    image = f"{fleet.registry}/example/climate"
    assert f"`{image}:aaaaaaaaaaaa` → `{image}:bbbbbbbbbbbb`, which 2 hubs will read: `one, two`" in body
    assert "common.yaml" in body
    assert body.splitlines()[-1] == "Fleet: example"


def test_a_newer_candidate_updates_the_same_pull_request(fleet: Proposing, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.github.commit(REPOSITORY, {"common.yaml": f"# by hand\n{fleet.text()}"})
    assert planned(capsys)[0] == ExitCode.OK
    fleet.track("cccccccccccc")
    assert planned(capsys)[0] == ExitCode.CHANGES
    apply()
    assert fleet.proposed().startswith("# by hand\n")
    assert "cccccccccccc" in fleet.proposed()
    assert fleet.open.title == "Set climate:cccccccccccc on 2 hubs"
    assert "cccccccccccc" in (fleet.open.body or "")
    assert "bbbbbbbbbbbb" not in (fleet.open.body or "")
    assert len(fleet.pulls) == 1
    assert planned(capsys)[0] == ExitCode.OK


def test_closed_unmerged_it_is_held_until_something_else_is_wanted(
    fleet: Proposing, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.close()
    fleet.ask("DELETE", f"/git/refs/heads/{BRANCH}")
    code, text = planned(capsys)
    assert (code, "was closed unmerged" in text) == (ExitCode.OK, True)
    apply()
    assert len(fleet.pulls) == 1
    fleet.track("cccccccccccc")
    apply()
    assert [pull.state for pull in fleet.pulls] == ["closed", "open"]
    assert planned(capsys)[0] == ExitCode.OK


def test_what_is_not_wanted_any_more_and_is_still_proposed_is_said(
    fleet: Proposing, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.track("aaaaaaaaaaaa")
    code, text = planned(capsys)
    assert (code, "proposes what fleet.yaml does not want any more" in text) == (ExitCode.OK, True)


def test_a_part_waits_in_the_pull_request_of_the_whole_and_what_is_taken_back_leaves_it(
    fleet: Proposing, capsys: pytest.CaptureFixture[str]
) -> None:
    one = fleet.document["hubs"]["one"]
    values = {"repository": REPOSITORY, "files": ["three.yaml"]}
    fleet.document["hubs"]["three"] = {**one, "values": values, "slots": {"default": {**one["slots"]["default"]}}}
    fleet.track("bbbbbbbbbbbb")
    apply()
    assert "bbbbbbbbbbbb" in fleet.proposed("three.yaml")
    assert main(["plan", "-target=hub:three", "-detailed-exitcode"]) == ExitCode.OK
    fleet.document["hubs"]["three"]["slots"]["default"]["track"] = "aaaaaaaaaaaa"
    fleet.save()
    assert planned(capsys)[0] == ExitCode.CHANGES
    apply()
    assert "aaaaaaaaaaaa" in fleet.proposed("three.yaml")
    assert "bbbbbbbbbbbb" in fleet.proposed()
    assert (planned(capsys)[0], len(fleet.pulls)) == (ExitCode.OK, 1)


def test_a_reviewers_own_commit_stays_and_an_edit_of_the_tag_does_not(
    fleet: Proposing, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.ask("PUT", "/contents/NOTES", message="A note", content="", branch=BRANCH)
    assert planned(capsys)[0] == ExitCode.OK
    text = fleet.proposed().encode()
    content = base64.b64encode(text.replace(b"bbbbbbbbbbbb", b"dddddddddddd")).decode()
    file = {"message": "Another tag", "content": content, "sha": blob_id(text), "branch": BRANCH}
    fleet.ask("PUT", "/contents/common.yaml", **file)
    assert planned(capsys)[0] == ExitCode.CHANGES
    apply()
    assert "bbbbbbbbbbbb" in fleet.proposed()


def test_one_that_conflicts_with_its_branch_is_made_anew(fleet: Proposing, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.github.commit(REPOSITORY, {"common.yaml": fleet.text().replace("aaaaaaaaaaaa", "dddddddddddd")})
    assert planned(capsys)[0] == ExitCode.CHANGES
    apply()
    assert planned(capsys)[0] == ExitCode.OK
    fleet.merge()
    assert "bbbbbbbbbbbb" in fleet.text()
    assert len(fleet.pulls) == 1


@pytest.mark.parametrize("renewed", [False, True])
def test_a_last_answer_that_is_lost_leaves_one_pull_request(fleet: Proposing, renewed: bool) -> None:
    if renewed:
        fleet.track("dddddddddddd")
        apply()
    fleet.track("bbbbbbbbbbbb")
    fleet.github.loopback.faults[:] = [Fault("drop", "write", r"(?!/graphql).*", nth=4, when="after")]
    apply()
    assert "bbbbbbbbbbbb" in fleet.proposed()
    assert len(fleet.pulls) == 1


def test_a_pull_request_of_a_fork_is_not_taken_for_ours(fleet: Proposing, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.track("bbbbbbbbbbbb")
    fleet.github.state.create_user("mallory")
    text = fleet.text().replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    fleet.github.propose_from_fork(REPOSITORY, {"common.yaml": text}, "mallory").head = BRANCH
    assert planned(capsys)[0] == ExitCode.CHANGES
    apply()
    assert len(fleet.pulls) == 2


def test_rules_of_the_branch_do_not_refuse_what_is_only_proposed(fleet: Proposing) -> None:
    fleet.github.state.repository(REPOSITORY).protection["main"] = Protection(required_reviews=1)
    fleet.track("bbbbbbbbbbbb")
    apply()
    assert "bbbbbbbbbbbb" in fleet.proposed()


def test_a_reviewed_plan_can_be_started_again_after_it_was_proposed(fleet: Proposing) -> None:
    fleet.track("bbbbbbbbbbbb")
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    reviewed = [f"-expect-plan={json.loads(Path('p.fleet').read_text())['hash']}", "-resolutions=p.fleet"]
    apply(*reviewed)
    apply(*reviewed)
    assert len(fleet.pulls) == 1


def test_what_was_merged_is_what_fleet_last_applied(fleet: Proposing, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.track("bbbbbbbbbbbb")
    apply()
    fleet.merge("squash")
    apply()
    fleet.github.commit(REPOSITORY, {"common.yaml": fleet.text().replace("bbbbbbbbbbbb", "dddddddddddd")})
    capsys.readouterr()
    assert main(["drift"]) == ExitCode.CHANGES
    assert "The world changed" in capsys.readouterr().out


def killed(loopback: Loopback, nth: int, when: Literal["before", "after"]) -> bool:
    """Apply, killed at a write to GitHub, if there are so many."""

    def arm(pid: int) -> None:
        loopback.faults[:] = [Fault("kill", "write", r"(?!/graphql).*", nth=nth, when=when, pid=lambda: pid)]

    end = run_armed(lambda: main(["apply", "-auto-approve"]), arm)
    loopback.faults.clear()
    return end.killed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("renewed", [False, True])
def test_killed_at_any_write_the_next_run_converges_on_one_pull_request(
    fleet: Proposing,
    renewed: bool,
    when: Literal["before", "after"],
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    tags, points = ["bbbbbbbbbbbb", "cccccccccccc"], 0
    if renewed:
        fleet.track("dddddddddddd")
        apply()
    for nth in range(1, 5):
        fleet.track(tags[nth % 2])
        points += killed(fleet.github.loopback, nth, when)
        apply()
        assert tags[nth % 2] in fleet.proposed()
        assert fleet.open.title == f"Set climate:{tags[nth % 2]} on 2 hubs"
        assert tags[nth % 2] in (fleet.open.body or "")
        assert planned(capsys)[0] == ExitCode.OK
        assert json.loads(Path(".fleet/state.json").read_text())["begun"] == {}
        assert len(fleet.pulls) == (1 if renewed else nth)
        if not renewed:
            fleet.close()
    assert points == 4
    record_property(CRASH_POINTS, points)
