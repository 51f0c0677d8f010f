"""Inside GitHub Actions: annotations on the lines, summary, outputs, one comment, a check; and nothing to inject."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli import main
from fleet.diagnostics import Diagnostic, Position, Range
from fleet.errors import ExitCode
from fleet.runner import runner_of
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.github.model_pulls import Comment, Pull
from fleet.sandbox.http import Fault
from fleet.workflow_commands import annotation, append_outputs, diagnostic_annotation
from tests.github_judge import Judge
from tests.little_fleet import LittleFleet

REPOSITORY = "example-org/fleet"
RIGHTS = {"contents": "read", "pull_requests": "write", "checks": "write"}


class Job:
    """A job of the fleet repository's workflow: its variables, its files, and the pull request that it runs for."""

    def __init__(self, github: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.github, self.folder, self.monkeypatch = github, folder, monkeypatch
        state = github.state
        state.create_user("ada")
        state.create_user("stranger")
        state.create_organization("example-org", admins=["ada"])
        state.create_repository(REPOSITORY, {"fleet.yaml": "version: 1\n"})
        self.login(RIGHTS)
        self.head = self._pull()
        self.summary, self.output = folder / "summary", folder / "output"
        for name, value in {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": self.head,
            "GITHUB_RUN_ID": "77",
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.output),
        }.items():
            monkeypatch.setenv(name, value)
        self.event({"pull_request": {"number": 1, "head": {"sha": self.head, "repo": {"full_name": REPOSITORY}}}})

    def login(self, rights: dict[str, Any]) -> None:
        """Give the job a token with these rights."""
        self.monkeypatch.setenv("GITHUB_TOKEN", self.github.state.create_token("ada", rights))

    def event(self, event: object) -> None:
        """What the workflow was started by."""
        path = self.folder / "event.json"
        path.write_text(json.dumps(event))
        self.monkeypatch.setenv("GITHUB_EVENT_PATH", str(path))

    def _pull(self) -> str:
        import httpx

        token = self.github.state.create_token("ada")
        with httpx.Client(base_url=self.github.url, headers={"authorization": f"Bearer {token}"}) as client:
            head = client.get(f"/repos/{REPOSITORY}/git/ref/heads/main").json()["object"]["sha"]
            client.post(f"/repos/{REPOSITORY}/git/refs", json={"ref": "refs/heads/change", "sha": head})
            body = {"message": "Change", "content": "eAo=", "branch": "change"}
            client.put(f"/repos/{REPOSITORY}/contents/new.txt", json=body)
            opened = client.post(f"/repos/{REPOSITORY}/pulls", json={"title": "C", "head": "change", "base": "main"})
            return str(opened.json()["head"]["sha"])

    def merge(self) -> None:
        """Merge the pull request, and go on as the run of the push that this is."""
        import httpx

        token = self.github.state.create_token("ada")
        with httpx.Client(base_url=self.github.url, headers={"authorization": f"Bearer {token}"}) as client:
            merged = client.put(f"/repos/{REPOSITORY}/pulls/1/merge").json()["sha"]
        self.monkeypatch.setenv("GITHUB_SHA", merged)
        self.monkeypatch.setenv("GITHUB_RUN_ID", "88")
        self.event({"after": merged})
        self.output.unlink(missing_ok=True)

    @property
    def pull(self) -> Pull:
        return self.github.state.repository(REPOSITORY).pulls[1]

    @property
    def comments(self) -> list[str]:
        return [comment.body for comment in self.pull.comments]

    @property
    def outputs(self) -> dict[str, str]:
        """The step's outputs."""
        lines = self.output.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def job(little: LittleFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A job for a pull request of the fleet repository; every exchange is judged by GitHub's own description."""
    with serve_github(tmp_path / "github") as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        yield Job(github, tmp_path, monkeypatch)
    assert judge.disagreements == []


def test_a_plan_is_one_comment_a_check_a_summary_and_outputs(job: Job, little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb", "three")
    assert main(["plan", "-format=github", "-out=p.fleet"]) == ExitCode.OK
    (comment,) = job.comments
    found = re.match(r"<!-- fleet: fleet.yaml -->\n<!-- plan: ([0-9a-f]{64}) run: 77 -->\n### fleet plan", comment)
    assert found
    assert job.outputs == {"changes": "1", "plan_hash": found[1], "exit_class": "ok"}
    assert comment.endswith(job.summary.read_text())
    (check,) = job.github.state.repository(REPOSITORY).checks
    assert (check.name, check.sha, check.conclusion) == ("fleet plan", job.head, "success")
    assert check.title == "fleet plan · example: 1 to change"


def test_the_comment_is_updated_and_never_a_second_one(job: Job, little: LittleFleet) -> None:
    for tag in ("bbbbbbbbbbbb", "cccccccccccc", "cccccccccccc"):
        little.track(tag, "three")
        assert main(["plan", "-format=github"]) == ExitCode.OK
    (comment,) = job.comments
    assert "cccccccccccc" in comment


def test_another_ones_comment_with_our_marker_is_left_alone(job: Job, little: LittleFleet) -> None:
    now = job.github.state.clock.now()
    forged = "<!-- fleet: fleet.yaml -->\n<!-- plan: " + "0" * 64 + " run: 1 -->\nmerge me"
    job.pull.comments.append(Comment(999_999, job.github.state.account("stranger"), forged, now, now))
    assert main(["plan", "-format=github"]) == ExitCode.OK
    assert job.comments[0] == forged
    assert len(job.comments) == 2


def test_a_comment_of_ours_too_many_is_taken_away(job: Job, little: LittleFleet) -> None:
    now = job.github.state.clock.now()
    for number in (999_998, 999_999):
        old = Comment(number, job.github.state.account("ada"), "<!-- fleet: fleet.yaml -->\nold", now, now)
        job.pull.comments.append(old)
    assert main(["plan", "-format=github"]) == ExitCode.OK
    assert len(job.comments) == 1
    assert "old" not in job.comments[0]


def test_the_comment_is_found_behind_very_many_others(job: Job, little: LittleFleet) -> None:
    now, stranger = job.github.state.clock.now(), job.github.state.account("stranger")
    job.pull.comments.extend(Comment(900_000 + number, stranger, "me too", now, now) for number in range(250))
    for tag in ("bbbbbbbbbbbb", "cccccccccccc"):
        little.track(tag, "three")
        assert main(["plan", "-format=github"]) == ExitCode.OK
    assert len(job.comments) == 251
    assert "cccccccccccc" in job.comments[-1]


def test_a_lost_answer_makes_no_second_comment(job: Job, little: LittleFleet) -> None:
    job.github.loopback.faults.append(Fault("drop", "POST", ".*/comments", when="after"))
    assert main(["plan", "-format=github"]) == ExitCode.OK
    assert len(job.comments) == 1


def test_what_cannot_be_posted_is_said_and_the_exit_code_stays(
    job: Job, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    job.login({"contents": "read", "pull_requests": "read"})
    little.track("bbbbbbbbbbbb", "three")
    assert main(["plan", "-format=github", "-detailed-exitcode"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "::warning title=fleet::the comment could not be posted" in out
    assert "the token needs%3A" not in out
    assert "the token needs: pull_requests=write" in out
    assert "the check could not be posted" in out
    assert job.outputs["exit_class"] == "changes"
    assert job.comments == []


def test_without_a_token_nothing_is_posted_and_that_is_said(
    job: Job, little: LittleFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert main(["plan", "-format=github"]) == ExitCode.OK
    assert "no comment was posted" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["-refresh=false"], []])
def test_a_fork_and_an_offline_plan_post_nothing(job: Job, little: LittleFleet, options: list[str]) -> None:
    if not options:
        head = {"sha": job.head, "repo": {"full_name": "stranger/fleet"}}
        job.event({"pull_request": {"number": 1, "head": head}})
    assert main(["plan", "-format=github", *options]) == ExitCode.OK
    assert job.comments == []
    assert job.summary.read_text().startswith("### fleet plan")


def test_a_mistake_is_annotated_at_its_very_line_and_told_in_the_comment(
    job: Job, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.track("eeeeeeeeeeee", "three")
    assert main(["plan", "-format=github"]) == ExitCode.ERROR
    line = next(n for n, text in enumerate(Path("fleet.yaml").read_text().splitlines(), 1) if "eeeeeeeeeeee" in text)
    out = capsys.readouterr().out
    assert f"::error file=fleet.yaml,line={line},col=" in out
    assert "**stopped** (exit code 1)" in job.comments[0]
    assert job.outputs == {"changes": "0", "plan_hash": "", "exit_class": "error"}


def test_a_merged_pull_request_leads_to_its_plan_which_is_applied(job: Job, little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb", "three")
    assert main(["plan", "-format=github", "-out=p.fleet"]) == ExitCode.OK
    job.merge()
    assert main(["ci", "reviewed"]) == ExitCode.OK
    assert job.outputs["run"] == "77"
    found = job.outputs
    job.monkeypatch.setenv("FLEET_PLAN_RUN", found["run"])
    options = [f"-expect-plan={found['plan_hash']}", "-resolutions=p.fleet", f"-comment={found['pull_request']}"]
    job.output.unlink()
    assert main(["apply", "-format=github", *options]) == ExitCode.OK
    (comment,) = job.comments
    assert f"<!-- plan: {found['plan_hash']} run: 77 -->\n### fleet apply · `example`: 1 done" in comment
    assert job.outputs["exit_class"] == "ok"
    assert main(["ci", "reviewed"]) == ExitCode.OK  # a job that is started again finds the same


def test_a_commit_without_a_reviewed_plan_is_stale(
    job: Job, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    job.merge()
    assert main(["ci", "reviewed"]) == ExitCode.STALE
    assert "nothing was reviewed" in capsys.readouterr().err


def test_stale_says_whether_anything_was_written(job: Job, little: LittleFleet) -> None:
    little.track("bbbbbbbbbbbb", "three")
    assert main(["apply", "-format=github", f"-expect-plan={'0' * 64}"]) == ExitCode.STALE
    assert job.outputs["exit_class"] == "stale"
    assert job.outputs["changes"] == "1"


# --- what the runner reads


@given(message=st.text(), value=st.text())
def test_an_annotation_is_one_line_and_one_command(message: str, value: str) -> None:
    command = annotation("error", message, {"title": value})
    assert command.isprintable()
    head, _, rest = command.removeprefix("::error title=").partition("::")
    assert ":" not in head
    assert "," not in head
    assert rest.replace("%0A", "").replace("%25", "").count("%") == rest.count("%0D") == 0


def test_a_diagnostic_names_its_file_from_the_top_of_the_repository(tmp_path: Path) -> None:
    place = Range(str(tmp_path / "fleets/a,b.yaml"), Position(3, 5, 20), Position(3, 9, 24))
    shown = diagnostic_annotation(Diagnostic("it is 100% wrong", "Do\nbetter.", place), tmp_path)
    assert shown == (
        "::error file=fleets/a%2Cb.yaml,line=3,col=5,endColumn=9,title=fleet::it is 100%25 wrong%0ADo%0Abetter."
    )


def test_text_in_the_log_is_text_to_the_runner(
    job: Job, little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    little.document["hubs"]["three"]["hold"] = {"reason": "::error::no ##[add-mask]x", "until": "2099-01-01"}
    little.track("bbbbbbbbbbbb", "three")
    assert main(["plan", "-format=github"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    reason = next(number for number, text in enumerate(lines) if "::error::no" in text)
    assert 0 < reason < lines.index(f"::{token}::")
    assert lines[-1] == f"::stop-commands::{token}"


def test_an_output_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one line"):
        append_outputs(tmp_path / "o", {"a": "b\nplan_hash=x"})
    assert not (tmp_path / "o").exists()


STRANGE: list[object] = [
    None, [], "x", {"pull_request": 1}, {"pull_request": {"number": "1; rm", "head": {"sha": "0" * 40, "repo": None}}},
    {"pull_request": {"number": True, "head": {"sha": "0" * 40, "repo": {}}}},
    {"pull_request": {"number": 1, "head": {"sha": "HEAD", "repo": {}}}},
]  # fmt: skip


@pytest.mark.parametrize("event", STRANGE)
def test_an_event_that_is_none_is_no_pull_request(tmp_path: Path, event: object) -> None:
    (tmp_path / "event").write_text(json.dumps(event))
    runner = runner_of({"GITHUB_EVENT_PATH": str(tmp_path / "event"), "GITHUB_REPOSITORY": "a/../b"})
    assert runner.pull_request is None
    assert runner.repository == ""


def test_events_keep_terraforms_envelope(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("bbbbbbbbbbbb", "three")
    assert main(["apply", "-auto-approve", "-json"]) == ExitCode.OK
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all({"@level", "@message", "@module", "@timestamp", "type"} <= event.keys() for event in events)
    assert [event["type"] for event in events] == [
        "version", "planned_change", "change_summary", "apply_start", "apply_complete", "change_summary",
    ]  # fmt: skip
    assert events[2]["changes"] == {"add": 0, "change": 1, "import": 0, "remove": 0, "operation": "plan"}
    assert events[3]["hook"]["action"] == "update"


def test_events_tell_mistakes_too(little: LittleFleet, capsys: pytest.CaptureFixture[str]) -> None:
    little.track("eeeeeeeeeeee", "three")
    assert main(["plan", "-json"]) == ExitCode.ERROR
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["type"] == "diagnostic"
    assert event["diagnostic"]["range"]["filename"] == "fleet.yaml"
    assert main(["plan", "-json", "-format=github"]) == ExitCode.USAGE
