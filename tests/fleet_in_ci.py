"""A fleet repository on the sandbox's GitHub, whose workflow really runs: from a pull request to what it changes."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from github import Auth, Github, InputGitTreeElement

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Limits, Runners, Sandbox, serve_github
from fleet.sandbox.github.model import EVERYTHING
from fleet.sandbox.github.model_actions import Environment, JobRun, Run, Secret, Variable
from fleet.sandbox.github.model_pulls import Pull
from fleet.sandbox.github.objects import find, read_commit
from fleet.sandbox.http import Request, Response, Service
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.workflow_file import WORKFLOW
from tests.github_judge import Judge

ROOT = Path(__file__).parents[1]
ACTION = "example-org/tools@0123456789abcdef0123456789abcdef01234567"
FLEET = "example-org/fleet"
VALUES = "example-org/infrastructure"
SOURCE = "example-org/climate-image"

PROGRAM = f"""\
#!/bin/sh
export PYTHONPATH="{":".join(filter(None, sys.path))}"
exec "{sys.executable}" -P -c 'import sys; from fleet.cli import main; sys.exit(main(sys.argv[1:]))' "$@"
"""
"""What the action would have installed: the fleet that is under test."""

LONGEST = 90
"""Seconds that all runs may take together."""


class Meanwhile:
    """Lets something happen in the world just before a request is answered; each thing once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.acts: list[tuple[Callable[[Request], bool], Callable[[], object]]] = []
        self.watch: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Let happen what was waiting for this request, then answer."""
        self.watch()
        with self._lock:
            due = [one for one in self.acts if one[0](request)]
            self.acts = [one for one in self.acts if one not in due]
        for _, act in due:
            act()
        return self.service.handle(request)


@dataclass(frozen=True)
class Place:
    """Where the image is to lie: the registry of fleet.yaml by its key, the image's name there, and the secrets and
    variables that let jobs of an environment in. `has_let_in` says whether anybody who may do something ever was."""

    key: str
    entry: Mapping[str, Any]
    image: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    has_let_in: Callable[[], bool] = lambda: False


class FleetInCI:
    """The repositories, the registry, and somebody who works on them."""

    quay: RunningQuay
    """The registry, where it is one."""

    def __init__(self, github: Sandbox, place: Place, folder: Path) -> None:
        self.github, self.place = github, place
        self.meanwhile = Meanwhile(github.loopback.service)
        github.loopback.service = self.meanwhile
        state = github.state
        self.image = place.image
        self.token = state.create_token("ada")
        values = {name: hub_values(self.image) for name in ("one.yaml", "two.yaml")}
        state.create_repository(VALUES, values)
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "state": "git",
            "code_hosts": {"github": host(github.url)},
            "registries": {place.key: dict(place.entry)},
        }
        (folder / "fleet.yaml").write_text(self.text())
        assert main(["ci", "init", "github", f"-action={ACTION}"]) == ExitCode.OK
        files = {"fleet.yaml": self.text(), WORKFLOW: (folder / WORKFLOW).read_text()}
        self.repository = state.create_repository(FLEET, files)
        self.repository.visibility = "private"
        reading = state.create_token("ada", dict.fromkeys(EVERYTHING, "read"))
        self.secrets = (self.token, reading, *place.secrets.values())
        self._environment("fleet-plan", {"FLEET_GITHUB_TOKEN": reading, **place.secrets})
        apply = self._environment("fleet-apply", {"FLEET_GITHUB_TOKEN": self.token, **place.secrets})
        apply.policy, apply.branches = "custom", {1: ("branch", "main")}

    def _environment(self, name: str, secrets: Mapping[str, str]) -> Environment:
        state, now = self.github.state, self.github.state.clock.now()
        held = {key: Secret(key, value, now, now) for key, value in secrets.items()}
        known = self.place.variables.get(name, {})
        variables = {key: Variable(key, value, now, now) for key, value in known.items()}
        made = Environment(state.next_id(), name, now, now, secrets=held, variables=variables)
        self.repository.environments[name] = made
        return made

    def text(self) -> str:
        """fleet.yaml."""
        return yaml.safe_dump(self.document, sort_keys=False)

    def with_an_image(self, *hubs: str) -> None:
        """Want an image of one's own, and hubs that follow its builds."""
        self.document |= {
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml", "README.md"]}},
            "images": {"climate": {"repository": SOURCE, "template": "user-image", "registry": self.place.key}},
            "hubs": {name: hub(name) for name in hubs},
        }

    @contextmanager
    def ada(self) -> Iterator[Github]:
        """Somebody who may do everything."""
        with Github(
            auth=Auth.Token(self.token),
            base_url=self.github.url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ) as client:
            yield client

    def propose(self, branch: str, files: Mapping[str, str] | None = None, *, wait: bool = True) -> Pull:
        """Open a pull request from a branch with these files (fleet.yaml as it is wanted now); its run has ended.

        A text that begins with `-> ` is a symbolic link.
        """
        with self.ada() as client:
            repository = client.get_repo(FLEET)
            head = repository.get_git_commit(repository.get_branch("main").commit.sha)
            given = files or {"fleet.yaml": self.text()}
            tree = repository.create_git_tree([_element(path, text) for path, text in given.items()], head.tree)
            commit = repository.create_git_commit(f"The change {branch}", tree, [head])
            repository.create_git_ref(f"refs/heads/{branch}", commit.sha)
            number = repository.create_pull("main", branch, title=f"The change {branch}", body="").number
        if wait:
            self.wait()
        return self.repository.pulls[number]

    def merge(self, pull: Pull, *, wait: bool = True) -> None:
        """Merge; the run of it has ended."""
        with self.ada() as client:
            assert client.get_repo(FLEET).get_pull(pull.number).merge().merged
        if wait:
            self.wait()

    def by_hand(self) -> None:
        """Start the workflow by hand; its run has ended."""
        with self.ada() as client:
            assert client.get_repo(FLEET).get_workflow("fleet.yaml").create_dispatch("main")
        self.wait()

    def again(self) -> None:
        """Start the last run again; it has ended."""
        with self.ada() as client:
            assert client.get_repo(FLEET).get_workflow_run(self.repository.runs[-1].id).rerun()
        self.wait()

    def wait(self) -> None:
        """All runs have ended."""
        self.github.actions.wait(LONGEST)

    def drift(self) -> JobRun:
        """The nightly job, once it has ended."""
        self.github.on_schedule(FLEET)
        self.wait()
        return self.job("drift")

    def job(self, name: str, number: int = -1) -> JobRun:
        """A job that was not skipped: the last one of that name, or the one of that number."""
        jobs = [job for run in self.repository.runs for job in run.jobs if job.job == name]
        return [job for job in jobs if job.conclusion != "skipped"][number]

    def values(self, name: str = "one.yaml") -> str:
        """A values file as it stands."""
        return self.file(VALUES, name)

    def file(self, repository: str, path: str) -> str:
        """A file at the head of a repository's default branch."""
        store, head = self.github.state.store, self.github.state.repository(repository).head
        assert head is not None
        entry = find(store, read_commit(store, head).tree, path)
        found = store.read(entry.oid) if entry else None
        assert found is not None
        return found.data.decode()

    def tag(self) -> str:
        """The tag of the source's newest commit."""
        return (self.github.state.repository(SOURCE).head or "")[:12]

    def shown(self) -> str:
        """All that people can see of the fleet repository's runs, what plans carry included."""
        return (
            "\n".join(_shown(self.repository.runs))
            + "\n".join(comment.body for pull in self.repository.pulls.values() for comment in pull.comments)
            + "\n".join(check.title + check.summary for check in self.repository.checks)
        )


def _element(path: str, text: str) -> InputGitTreeElement:
    is_link = text.startswith("-> ")
    return InputGitTreeElement(path, "120000" if is_link else "100644", "blob", text.removeprefix("-> "))


def exit_code(job: JobRun) -> int:
    """What fleet ended with in a job, 0 where all steps went well."""
    said = "".join(step.message for step in job.steps)
    return int(said.rpartition("exit code ")[2].rstrip(".")) if said else 0


def _shown(runs: list[Run]) -> Iterator[str]:
    for run in runs:
        yield run.message
        for job in run.jobs:
            yield from (job.log, job.summary, *(step.message for step in job.steps))
            yield from (f"{one.properties} {one.message}" for one in job.annotations)
        for kept in (data for artifact in run.artifacts.values() for data in artifact.files.values()):
            yield kept.decode()
            yield from (base64.b64decode(blob).decode() for blob in json.loads(kept)["plan"]["blobs"].values())


def hub_values(image: str, tag: str = "none") -> str:
    """The values of one hub."""
    return f"jupyterhub:\n  singleuser:\n    image: {{name: {image}, tag: {tag}}}\n"


def hub(name: str, track: str = "newest-build") -> dict[str, Any]:
    """A hub whose values file is called after it."""
    return {
        "url": f"https://{name}.example.org",
        "values": {"repository": VALUES, "files": [f"{name}.yaml"]},
        "slots": {"default": {"image": "climate", "track": track}},
    }


def env(name: str) -> dict[str, Any]:
    """A token from a variable."""
    return {"token": {"env": name}}


def host(url: str) -> dict[str, Any]:
    """The code host."""
    return {"type": "github", "base_url": url, "auth": env("GITHUB_TOKEN")}


@contextmanager
def fleet_in_ci(
    folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[FleetInCI]:
    """The fleet repository with its workflow, its registry a Quay, and nothing made yet."""
    (folder / "start").mkdir()
    monkeypatch.chdir(folder / "start")
    with serve_quay() as quay, judged_github(folder, record_property) as github:
        entry = {"type": "quay", "url": quay.url, "namespace": "example", "auth": env("QUAY_TOKEN")}
        image = f"{quay.registry_host}/example/climate-image"
        made = FleetInCI(github, Place("quay", entry, image, {"QUAY_TOKEN": quay.token}), folder / "start")
        made.quay = quay
        yield made


@contextmanager
def judged_github(
    folder: Path,
    record_property: Callable[[str, object], None],
    services: Mapping[str, str] | None = None,
    registries: Mapping[str, str] | None = None,
    program: str = PROGRAM,
) -> Iterator[Sandbox]:
    """A GitHub whose runners have fleet, and an organisation; GitHub's own descriptions judge every exchange."""
    limits = replace(Limits(), content_per_minute=None, content_per_hour=None)
    runners = Runners({ACTION: ROOT}, {"fleet/bin/fleet": program})
    with serve_github(
        folder / "github", limits=limits, runners=runners, services=services, registries=registries
    ) as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        for login in ("ada", "mallory"):
            github.state.create_user(login)
        github.state.create_organization("example-org", admins=["ada"])
        yield github
    assert judge.disagreements == []
    judge.report(record_property)
