"""From a template to a tag in a hub's values: GitHub, Quay and Actions of the sandbox, through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from github import Auth, Github

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.github.objects import find, read_commit
from fleet.sandbox.http import Fault
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.sandbox.registry import Registry
from fleet.testing.crash import CRASH_POINTS, run_armed
from tests.github_judge import Judge
from tests.little_fleet import LittleFleet
from tests.rotations import Rotating

SOURCE = "example-org/climate-image"
TEMPLATE = "example-org/image-template"


class WholeFleet:
    """One image, built from a template, that one hub of a local checkout follows by its newest build."""

    def __init__(self, little: LittleFleet, github: Sandbox, quay: RunningQuay) -> None:
        self.little, self.github, self.quay = little, github, quay
        self.image = f"{quay.registry_host}/example/climate-image"
        little.write_files(
            {"three.yaml": f"jupyterhub:\n  singleuser:\n    image: {{name: {self.image}, tag: none}}\n"}
        )
        little.commit("A hub that waits for its image")
        token = {"token": {"env": "GITHUB_TOKEN"}}
        quay_token = {"token": {"env": "QUAY_TOKEN"}}
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "code_hosts": {"github": {"type": "github", "base_url": github.url, "auth": token}},
            "registries": {"quay": {"type": "quay", "url": quay.url, "namespace": "example", "auth": quay_token}},
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml", "README.md"]}},
            "images": {"climate": {"repository": SOURCE, "template": "user-image", "registry": "quay"}},
            "hubs": {
                "three": {
                    "url": "https://three.example.org",
                    "values": {"path": "infrastructure", "files": ["three.yaml"]},
                    "slots": {"default": {"image": "climate", "track": "newest-build"}},
                }
            },
        }
        self.save()

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        Path("fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))

    @property
    def head(self) -> str:
        """The source repository's newest commit."""
        head = self.github.state.repository(SOURCE).head
        assert head is not None
        return head

    def client(self) -> Github:
        """Somebody else who works on GitHub meanwhile."""
        return Github(
            auth=Auth.Token(os.environ["GITHUB_TOKEN"]),
            base_url=self.github.url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    @property
    def tags(self) -> set[str]:
        """The tags that the registry holds."""
        return set(self.quay.quay.tags("example/climate-image"))


@pytest.fixture
def whole(
    little: LittleFleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> Iterator[WholeFleet]:
    """The fleet with nothing made yet; every exchange with GitHub is judged by GitHub's published descriptions."""
    with serve_github(tmp_path / "github") as github, serve_quay() as quay:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
        monkeypatch.setenv("QUAY_TOKEN", quay.token)
        yield WholeFleet(little, github, quay)
    assert judge.disagreements == []
    judge.report(record_property)


def test_everything_is_made_built_and_rolled_out_and_then_there_is_nothing_to_do(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    shown = capsys.readouterr().out
    assert "(known after the build)" in shown
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    tag = whole.head[:12]
    assert tag in whole.tags
    assert f"tag: {tag}" in whole.little.at_head("three.yaml") or f"tag: '{tag}'" in whole.little.at_head("three.yaml")
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out
    assert "No changes." in capsys.readouterr().out


def test_a_change_of_the_image_is_built_and_the_hub_follows(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    whole.github.commit(SOURCE, {"environment.yml": "dependencies: [python=3.12, numpy]\n"})
    whole.github.actions.wait(20)
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    assert whole.head[:12] in capsys.readouterr().out
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert whole.head[:12] in whole.little.at_head("three.yaml")


def test_a_template_repository_gives_first_content(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    whole.github.state.create_repository(TEMPLATE, {"environment.yml": "dependencies: [r-base]\n"}, is_template=True)
    whole.document["templates"]["user-image"] = {"from": TEMPLATE}
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.head[:12] in whole.tags
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_a_repository_made_from_nothing_has_the_branch_main_whatever_its_owner_calls_new_ones(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.state.accounts["example-org"].default_branch = "trunk"
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    made = whole.github.state.repository(SOURCE)
    assert (made.default_branch, list(made.refs)) == ("main", ["refs/heads/main"])
    assert whole.head[:12] in whole.tags
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out


@pytest.mark.parametrize("stands", [True, False])
def test_builds_run_on_the_branch_that_the_repository_or_its_template_has(
    whole: WholeFleet, stands: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.state.accounts["example-org"].default_branch = "release/1.x"
    name, template = (SOURCE, "builtin:user-image") if stands else (TEMPLATE, TEMPLATE)
    made = whole.github.state.create_repository(name, {"environment.yml": "dependencies: []\n"}, is_template=True)
    made.owner.default_branch = "main"
    whole.document["templates"]["user-image"] = {"from": template}
    whole.document["images"]["climate"]["adopt"] = "always"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.github.state.repository(SOURCE).default_branch == "release/1.x"
    assert "github.ref == 'refs/heads/release/1.x'" in file_of(whole, ".github/workflows/build.yaml")
    assert whole.head[:12] in whole.tags
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out


def test_a_branch_that_no_workflow_can_name_is_refused_at_the_image(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.state.accounts["example-org"].default_branch = "it's"
    whole.github.state.create_repository(SOURCE, {"a": "a"})
    assert main(["plan"]) == ExitCode.ERROR
    said = " ".join(capsys.readouterr().err.split())
    assert 'the image climate: the default branch "it\'s" cannot be written into a workflow' in said
    assert "fleet.yaml:" in said


def test_a_started_build_on_another_branch_pushes_nothing(whole: WholeFleet) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    tags = whole.tags
    client = whole.client()
    repository = client.get_repo(SOURCE)
    repository.create_git_ref("refs/heads/topic", whole.head)
    repository.create_file("postBuild", "More", "true", branch="topic")
    assert repository.get_workflow("build.yaml").create_dispatch("topic")
    whole.github.actions.wait()
    (run,) = repository.get_workflow_runs(branch=repository.get_branch("topic"))
    assert [job.conclusion for job in run.jobs()] == ["skipped"]
    assert whole.tags == tags
    client.close()


def test_a_red_build_is_reported_with_its_step_and_its_link_and_no_hub_moves(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.state.settings.builds = "fail"
    assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
    out = capsys.readouterr().out
    assert "ended as failure at the step" in out
    assert "/actions/runs/" in out
    assert "tag: none" in whole.little.at_head("three.yaml")


def test_a_green_build_without_its_tag_moves_no_hub(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    whole.github.state.settings.builds = "green"
    assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
    assert "is green, but" in capsys.readouterr().out
    assert "tag: none" in whole.little.at_head("three.yaml")


def test_a_build_that_the_nodes_of_a_hub_cannot_run_moves_no_hub(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.document["hubs"]["three"]["platform"] = "linux/arm64"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
    assert "was built for linux/amd64, and the nodes of three need linux/arm64" in capsys.readouterr().out
    assert "tag: none" in whole.little.at_head("three.yaml")


def test_the_secret_that_github_stores_is_the_robots_and_stands_nowhere_else(whole: WholeFleet) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    robot = whole.quay.state.robots["example+climate-image"]["token"]
    stored = whole.github.state.repository(SOURCE).secrets["QUAY_PASSWORD"]
    assert robot in str(vars(stored) if hasattr(stored, "__dict__") else [getattr(stored, s) for s in stored.__slots__])
    for path in Path(".fleet").rglob("*"):
        assert path.is_dir() or robot.encode() not in path.read_bytes()


def test_a_managed_file_edited_by_hand_is_refused_with_its_author_unless_the_template_overwrites_it(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    build = ".github/workflows/build.yaml"
    ours = file_of(whole, build)
    whole.github.commit(SOURCE, {build: "# mine\n" + ours}, "by hand [skip ci]")
    edited = whole.head
    capsys.readouterr()
    assert main(["apply", "-auto-approve"]) == ExitCode.ERROR
    author = read_commit(whole.github.state.store, edited).author.name
    said = capsys.readouterr().err
    assert f"{build} was edited by {author}" in " ".join(said.split())
    assert "fleet.yaml:" in said
    assert whole.head == edited
    whole.document["templates"]["user-image"]["on_edit"] = "overwrite"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert file_of(whole, build) == ours


def test_no_repository_is_made_for_another_user_than_the_tokens(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.state.create_user("grace")
    whole.document["images"]["climate"]["repository"] = "grace/climate-image"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.ERROR
    said = " ".join("".join(capsys.readouterr()).split())
    assert "only grace's token can create there" in said
    assert whole.quay.state.repositories == {}
    assert not [held for held in whole.github.state.repositories.values() if held.name == "climate-image"]


def test_a_workflow_update_does_not_rebuild(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    whole.document["templates"]["user-image"]["on_edit"] = "overwrite"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    build = ".github/workflows/build.yaml"
    runs = len(whole.github.state.repository(SOURCE).runs)
    whole.github.commit(SOURCE, {build: "# a comment of somebody\n" + file_of(whole, build)}, "by hand [skip ci]")
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert len(whole.github.state.repository(SOURCE).runs) == runs
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def file_of(whole: WholeFleet, path: str) -> str:
    store = whole.github.state.store
    entry = find(store, read_commit(store, whole.head).tree, path)
    assert entry is not None
    blob = store.read(entry.oid)
    assert blob is not None
    return blob.data.decode()


WAITING_APPLY = "input(); from fleet.cli import main; raise SystemExit(main(['apply', '-auto-approve']))"


KILLS = [("github", nth) for nth in range(1, 9)] + [("quay", nth) for nth in range(1, 6)]
"""Writes by fleet itself: those to Quay that follow are a build's, and cutting them makes the build red."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("service", "nth"), KILLS)
def test_killed_at_a_write_and_run_again_the_end_is_the_same(
    whole: WholeFleet, service: str, nth: int, when: Any, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    loopback = whole.github.loopback if service == "github" else whole.quay.loopback
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING_APPLY],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    writes = r"(?!/graphql).*" if service == "github" else ".*"
    loopback.faults[:] = [Fault("kill", "write", writes, nth=nth, when=when, pid=lambda: process.pid)]
    process.communicate(b"\n")
    loopback.faults.clear()
    assert process.returncode in (-signal.SIGKILL, 0)
    whole.github.actions.wait(20)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out
    assert list(whole.quay.state.robots) == ["example+climate-image"]
    state = json.loads(Path(".fleet/state.json").read_text())
    assert state["begun"] == {}
    tag = whole.little.at_head("three.yaml").partition("tag: ")[2].strip(" '}\n")
    assert tag in whole.tags
    record_property(CRASH_POINTS, int(process.returncode == -signal.SIGKILL))


def test_robots_take_turns_while_a_build_pushes(whole: WholeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def secret(name: str) -> str:
        return whole.github.state.repository(SOURCE).secrets[name].value

    robots = whole.quay.state.robots
    rotating = Rotating(
        whole.github,
        whole.quay.loopback,
        shows=lambda: secret("QUAY_PASSWORD"),
        live=lambda: set(robots),
        stored=lambda: secret("QUAY_USERNAME"),
    )
    rotating.goes_well_during_a_build(monkeypatch)
    assert list(robots) == ["example+climate-image-a"]


def as_reviewed(whole: WholeFleet) -> list[str]:
    """Plan as a pull request does; the options that apply just that."""
    assert main(["plan", "-out=p.fleet"]) == ExitCode.OK
    return [f"-expect-plan={json.loads(Path('p.fleet').read_text())['hash']}", "-resolutions=p.fleet"]


def push(whole: WholeFleet, version: str) -> str:
    """Change the image, and wait for its build; the tag that it gave."""
    whole.github.commit(SOURCE, {"environment.yml": f"dependencies: [python={version}]\n"})
    whole.github.actions.wait(20)
    return whole.head[:12]


def test_a_newer_build_does_not_make_a_review_stale_and_the_reviewed_one_is_applied(whole: WholeFleet) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    reviewed = push(whole, "3.11")
    options = as_reviewed(whole)
    newer = push(whole, "3.12")
    assert main(["apply", *options]) == ExitCode.OK
    assert reviewed in whole.little.at_head("three.yaml")
    assert newer not in whole.little.at_head("three.yaml")
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES  # the newer one is the next review's


def test_a_reviewed_build_whose_tag_was_pushed_again_is_stale(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    reviewed = push(whole, "3.11")
    options = as_reviewed(whole)
    assert isinstance(whole.quay.quay.registry, Registry)
    tags = whole.quay.quay.registry.repositories["example/climate-image"]["tags"]
    tags[reviewed] = next(digest for digest in tags.values() if digest != tags[reviewed])
    before = whole.little.at_head("three.yaml")
    assert main(["apply", *options]) == ExitCode.STALE
    assert "was pushed again" in capsys.readouterr().err
    assert whole.little.at_head("three.yaml") == before


def test_a_reviewed_build_that_left_its_branch_is_stale(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    old = whole.head
    reviewed = push(whole, "3.11")
    options = as_reviewed(whole)
    whole.github.state.repository(SOURCE).refs["refs/heads/main"] = old
    assert main(["apply", *options]) == ExitCode.STALE
    error = capsys.readouterr().err
    assert f"the build of {SOURCE} at {reviewed} was reviewed, and is not among the" in error


def test_what_makes_everything_is_reviewed_and_goes_on_after_it_was_stopped(whole: WholeFleet) -> None:
    options = as_reviewed(whole)
    assert main(["apply", *options, "-max-requests=25"]) == ExitCode.BUDGET
    assert main(["apply", *options]) == ExitCode.OK
    assert whole.head[:12] in whole.little.at_head("three.yaml")
    assert main(["apply", *options]) == ExitCode.OK
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_what_the_review_had_no_login_for_is_applied_with_it_and_said(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = os.environ["QUAY_TOKEN"]
    monkeypatch.delenv("QUAY_TOKEN")
    assert main(["plan", "-without=quay", "-out=p.fleet"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "Not read (without its login): quay:repository:example/climate-image" in shown
    assert "+ robot" not in shown
    monkeypatch.setenv("QUAY_TOKEN", token)
    hash_ = json.loads(Path("p.fleet").read_text())["hash"]
    assert main(["apply", f"-expect-plan={hash_}", "-resolutions=p.fleet"]) == ExitCode.OK
    assert "2 changes of what the review could not read" in capsys.readouterr().err
    assert whole.head[:12] in whole.tags


def test_a_managed_file_edited_by_hand_is_drift_with_its_author(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert main(["drift"]) == ExitCode.OK, capsys.readouterr()
    whole.github.commit(SOURCE, {".github/workflows/test.yaml": "on: push\n"})
    capsys.readouterr()
    assert main(["drift"]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "The world changed" in out
    assert ".github/workflows/test.yaml was last changed by " in out


def test_a_secret_moves_into_an_environment_and_goes_with_its_image(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    before = whole.head
    whole.document["images"]["climate"]["secrets"] = {"environment": "registry"}
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    source = whole.github.state.repository(SOURCE)
    held = source.environments["registry"]
    assert (list(source.secrets), list(held.secrets)) == ([], ["QUAY_USERNAME", "QUAY_PASSWORD"])
    assert whole.head != before
    assert whole.head[:12] in whole.tags
    assert whole.head[:12] in whole.little.at_head("three.yaml")
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out
    del whole.document["images"]["climate"], whole.document["hubs"]["three"], whole.document["templates"]
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert (source.topics, held.secrets) == ((), {})
    assert list(held.branches.values()) == [("branch", "main")]


def leave(whole: WholeFleet, then: str) -> None:
    """Take the image and its hub out of the file, with a word on what becomes of its source repository."""
    whole.document |= {"images": {}, "hubs": {}, "removed": [{"address": f"github:repository:{SOURCE}", "then": then}]}
    whole.save()


@pytest.mark.parametrize("then", ["archive", "destroy"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_left_the_file_is_archived_or_destroyed_wherever_a_run_is_killed(
    whole: WholeFleet, then: str, when: Literal["before", "after"], record_property: Callable[[str, object], None]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    repository = whole.github.state.repository(SOURCE)
    leave(whole, then)
    kills = 0
    for method in ("DELETE", "PATCH"):
        fault = Fault("kill", method, "/repos/.*", when=when)

        def arm(pid: int, fault: Fault = fault) -> None:
            fault.pid = lambda: pid
            whole.github.loopback.faults.append(fault)

        kills += run_armed(lambda: main(["apply", "-auto-approve"]), arm).killed
        whole.github.loopback.faults.clear()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
    record_property(CRASH_POINTS, kills)
    assert kills
    assert (repository.secrets, whole.quay.state.robots) == ({}, {})
    assert repository.archived if then == "archive" else whole.github.state.find_repository(SOURCE) is None
    assert whole.tags, "a registry repository stays with all its images"


def test_protect_and_limits_cover_what_is_destroyed(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    leave(whole, "destroy")
    for rule in ({"protect": ["github:repository:*"]}, {"limits": {"remove": 0}}):
        whole.document |= rule
        whole.save()
        assert main(["apply", "-auto-approve"]) == ExitCode.REFUSED
        whole.document = {key: value for key, value in whole.document.items() if key not in rule}
    shown = capsys.readouterr()
    assert f"- repository {SOURCE}" in shown.out
    assert "forbids to delete github:repository" in shown.err
    assert whole.github.state.find_repository(SOURCE)
