"""Values repositories on GitHub: read, committed to, and everything that GitHub says no to, against the sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Limits, Sandbox, serve_github
from fleet.sandbox.github.model import Protection, Ruleset
from fleet.sandbox.http import Fault, Loopback, Response
from fleet.testing.crash import CRASH_POINTS
from tests.github_judge import Judge
from tests.little_fleet import COMMON, OWN

REPOSITORY = "example-org/infrastructure"
BINARY = bytes(range(256))


class GitHubFleet:
    """Three hubs whose values lie in a repository on GitHub, in the current folder; two share a line."""

    def __init__(self, github: Sandbox, registry: str) -> None:
        self.github = github
        files: dict[str, str | bytes] = {
            "common.yaml": COMMON,
            "one.yaml": "{}\n",
            "two.yaml": "{}\n",
            "three.yaml": OWN,
            "logo.png": BINARY,
        }
        self.registry = registry
        github.state.create_repository(REPOSITORY, {name: self._placed(data) for name, data in files.items()})
        entry = {"type": "github", "base_url": github.url, "auth": {"token": {"env": "GITHUB_TOKEN"}}}
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "code_hosts": {"github": entry},
            "images": {"climate": {"upstream": f"{registry}/example/climate"}},
            "hubs": {
                name: {
                    "url": f"https://{name}.example.org",
                    "values": {"repository": REPOSITORY, "files": files},
                    "slots": {"default": {"image": "climate", "track": "aaaaaaaaaaaa"}},
                }
                for name, files in {"one": ["common.yaml", "one.yaml"], "two": ["common.yaml", "two.yaml"]}.items()
            },
        }
        self.save()

    def _placed(self, data: str | bytes) -> str | bytes:
        return data.replace("HOST", self.registry) if isinstance(data, str) else data

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        Path("fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))

    def track(self, tag: str) -> None:
        """Have both hubs follow a tag."""
        for hub in self.document["hubs"].values():
            hub["slots"]["default"]["track"] = tag
        self.save()

    def text(self, name: str = "common.yaml") -> str:
        """A file at the head of the default branch."""
        from fleet.sandbox.github.objects import find, read_commit

        store, repository = self.github.state.store, self.github.state.repository(REPOSITORY)
        assert repository.head is not None
        entry = find(store, read_commit(store, repository.head).tree, name)
        assert entry is not None
        blob = store.read(entry.oid)
        assert blob is not None
        return blob.data.decode()

    def commits(self) -> list[str]:
        """The messages of the default branch, newest first."""
        from fleet.sandbox.github.objects import history

        head = self.github.state.repository(REPOSITORY).head
        assert head is not None
        return [commit.message for _, commit in history(self.github.state.store, head)]


@pytest.fixture
def fleet(
    tmp_path: Path, registry: Loopback, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[GitHubFleet]:
    """The fleet, watched by the judge: every exchange must be as GitHub's published descriptions say."""
    monkeypatch.chdir(tmp_path)
    with serve_github(tmp_path / "github") as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada", {"contents": "write"}))
        yield GitHubFleet(github, registry.host)
    assert judge.disagreements == []
    judge.report(record_property)


def test_one_commit_of_one_line_and_then_there_is_nothing_to_do(fleet: GitHubFleet) -> None:
    before = fleet.text()
    fleet.track("bbbbbbbbbbbb")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert fleet.text() == before.replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    assert len(fleet.commits()) == 2
    message = fleet.commits()[0]
    assert message.startswith("Set climate:bbbbbbbbbbbb on 2 hubs\n\n")
    assert message.rstrip().endswith("Fleet: example")
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_a_plan_takes_two_requests_for_a_repository(fleet: GitHubFleet) -> None:
    assert main(["plan"]) == ExitCode.OK
    assert fleet.github.loopback.count() == 2


def test_an_offline_plan_asks_nobody(fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-refresh=false"]) == ExitCode.OK
    assert f"Not read (offline): values:repository:{REPOSITORY}" in capsys.readouterr().out
    assert fleet.github.loopback.count() == 0


def test_another_branch_is_read_and_written_where_fleet_yaml_says_so(
    fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    for hub in fleet.document["hubs"].values():
        hub["values"]["branch"] = "nowhere"
    fleet.save()
    assert main(["plan"]) == ExitCode.ERROR
    assert f"{REPOSITORY} has no branch nowhere" in capsys.readouterr().err


def test_a_file_that_is_gone_names_the_hub(fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.github.commit(REPOSITORY, {"one.yaml": None})
    assert main(["plan"]) == ExitCode.ERROR
    assert "the hub one names the values file one.yaml" in capsys.readouterr().err


def test_a_commit_in_between_is_kept_and_the_line_is_written_on_top_of_it(
    fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.track("bbbbbbbbbbbb")
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    fleet.github.commit(REPOSITORY, {"common.yaml": f"# by hand\n{fleet.text()}"})
    assert main(["apply", "p.fleet"]) == ExitCode.OK
    assert fleet.text().startswith("# by hand\n")
    assert "bbbbbbbbbbbb" in fleet.text()


def test_a_branch_that_moves_between_read_and_commit_is_read_again(fleet: GitHubFleet) -> None:
    fleet.track("bbbbbbbbbbbb")
    service = fleet.github.loopback.service

    class Interloper:
        """Commits just before the first commit arrives."""

        done = False

        def handle(self, request: Any) -> Response:
            if b"createCommitOnBranch" in request.body and not self.done:
                self.done = True
                fleet.github.commit(REPOSITORY, {"two.yaml": "# by hand\n{}\n"})
            return service.handle(request)

    fleet.github.loopback.service = Interloper()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert fleet.text("two.yaml") == "# by hand\n{}\n"
    assert "bbbbbbbbbbbb" in fleet.text()
    assert len(fleet.commits()) == 3


REFUSALS = {
    "a wrong token": "refuses the token of `auth`",
    "an expired token": "refuses the token of `auth`",
    "a token without rights": "does not take a commit",
    "a token for other repositories": "shows no repository example-org/infrastructure to this token",
    "a protected branch": "forbid fleet's commit: required reviews (protection of main)",
    "a ruleset": "forbid fleet's commit: pull_request (ruleset reviews)",
    "a user without rights": "the token's owner may not push to example-org/infrastructure",
    "an archived repository": "example-org/infrastructure is archived",
    "a deleted repository": "shows no repository example-org/infrastructure to this token",
}


def refuse(fleet: GitHubFleet, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make GitHub say no."""
    state = fleet.github.state
    repository = state.repository(REPOSITORY)
    match how:
        case "a wrong token":
            monkeypatch.setenv("GITHUB_TOKEN", "github_pat_wrong")
        case "an expired token":
            past = datetime.now(UTC) - timedelta(days=1)
            monkeypatch.setenv("GITHUB_TOKEN", state.create_token("ada", {"contents": "write"}, expires_at=past))
        case "a token without rights":
            monkeypatch.setenv("GITHUB_TOKEN", state.create_token("ada", {"contents": "read"}))
        case "a token for other repositories":
            other = state.create_repository("example-org/other", {"a": "b"})
            repository.visibility = "private"
            monkeypatch.setenv("GITHUB_TOKEN", state.create_token("ada", repositories=[other.full_name]))
        case "a user without rights":
            state.create_user("eve")
            monkeypatch.setenv("GITHUB_TOKEN", state.create_token("eve", {"contents": "write"}))
        case "a protected branch":
            repository.protection["main"] = Protection(required_reviews=1)
        case "a ruleset":
            now, rules = state.clock.now(), ({"type": "pull_request"},)
            repository.rulesets[1] = Ruleset(1, "reviews", "active", ("~DEFAULT_BRANCH",), (), rules, now, now)
        case "an archived repository":
            repository.archived = True
        case _:
            state.repositories.clear()


@pytest.mark.parametrize("how", REFUSALS)
def test_what_github_refuses_is_one_sentence_and_nothing_is_written(
    fleet: GitHubFleet, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.track("bbbbbbbbbbbb")
    refuse(fleet, how, monkeypatch)
    assert main(["apply", "-auto-approve"]) == ExitCode.ERROR
    captured = capsys.readouterr()
    assert REFUSALS[how] in captured.out + captured.err


def test_rules_that_may_be_bypassed_are_a_notice_in_the_plan(
    fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    protection = Protection(required_reviews=1, enforce_admins=False)
    fleet.github.state.repository(REPOSITORY).protection["main"] = protection
    assert main(["plan"]) == ExitCode.OK
    assert "Notice" not in capsys.readouterr().out
    fleet.track("bbbbbbbbbbbb")
    assert main(["plan"]) == ExitCode.OK
    assert "Notice: main of example-org/infrastructure has rules that may refuse" in capsys.readouterr().out


LIMITS = {
    "Retry-After": Response.of_json(
        {"message": "You have exceeded a secondary rate limit."}, 403, {"retry-after": "1"}
    ),
    "too many": Response.of_json({"message": "slow down"}, 429, {"retry-after": "1"}),
    "broken": Response(502, b"<html>Bad Gateway</html>"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_passing_trouble_passes(fleet: GitHubFleet, limit: str) -> None:
    fleet.track("bbbbbbbbbbbb")
    fleet.github.loopback.faults.append(Fault("status", response=LIMITS[limit]))
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert len(fleet.commits()) == 2


@pytest.mark.parametrize("kind", ["drop", "truncate", "garbage"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_a_lost_answer_leads_to_one_commit_and_never_to_two(fleet: GitHubFleet, kind: Any, when: Any, nth: int) -> None:
    fleet.track("bbbbbbbbbbbb")
    fleet.github.loopback.faults.append(Fault(kind, nth=nth, when=when))
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert len(fleet.commits()) == 2
    assert "bbbbbbbbbbbb" in fleet.text()


def test_a_limit_that_lasts_longer_than_a_run_waits_ends_it_with_7(
    fleet: GitHubFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.github.service.meter.limits = replace(Limits(), graphql_per_hour=1)
    assert main(["plan"]) == ExitCode.BUDGET
    assert "rate limit" in capsys.readouterr().err


def test_killed_at_every_request_of_an_apply_the_next_one_ends_the_same(
    fleet: GitHubFleet, record_property: Any
) -> None:
    points = 0
    tags = cycle("bcda")  # never the one that stands there
    for when in ("before", "after"):
        nth = 0
        while True:
            nth += 1
            tag = next(tags) * 12
            fleet.track(tag)
            commits = len(fleet.commits())
            killed = apply_killed_at(fleet, nth, when)
            assert main(["apply", "-auto-approve"]) == ExitCode.OK
            assert fleet.text().count(tag) == 1
            assert len(fleet.commits()) == commits + 1, f"killed {when} request {nth}"
            assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
            if not killed:
                break
            points += 1
    assert points >= 10
    record_property(CRASH_POINTS, points)


WAITING_APPLY = "input(); from fleet.cli import main; raise SystemExit(main(['apply', '-auto-approve']))"
"""Begins when it is told to, so that the fault that is to kill it can know its process."""


def apply_killed_at(fleet: GitHubFleet, nth: int, when: Any) -> bool:
    """Apply in a process of its own that is killed when GitHub sees its nth request; False when it makes fewer."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING_APPLY],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    fleet.github.loopback.faults[:] = [Fault("kill", nth=nth, when=when, pid=lambda: process.pid)]
    process.communicate(b"\n")
    fleet.github.loopback.faults.clear()
    return process.returncode == -signal.SIGKILL
