"""One attempt at one run: its jobs and their steps, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fleet.sandbox.github.actions import deploying, groups, runs
from fleet.sandbox.github.actions.artifacts import Artifacts
from fleet.sandbox.github.actions.disk import Disk, File
from fleet.sandbox.github.actions.events import github_context, variables_of
from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand, holds
from fleet.sandbox.github.actions.machine import Machine, StepFailed
from fleet.sandbox.github.actions.oidc import Identity
from fleet.sandbox.github.actions.rights import IDENTITY, rights_of, token_rights
from fleet.sandbox.github.actions.steps import Runner, Scene, run_steps
from fleet.sandbox.github.actions.workflow import Job, Workflow
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.model_actions import Environment, JobRun, Run, StepRun, is_given
from fleet.sandbox.github.objects import read_commit, walk
from fleet.sandbox.github.rights import Actor, Need
from fleet.sandbox.github.state import State


class Attempt:
    """One attempt at one run. The lock is held to note what happens, never while a step works."""

    def __init__(self, runner: Runner, run: Run, workflow: Workflow) -> None:
        self._runner, self._state, self._run, self._workflow = runner, runner.state, run, workflow
        self._number = run.attempt
        secrets, variables = _given_to(run.repository)
        self._files = _files(self._state, run.trigger.sha)
        self._contexts: Mapping[str, Mapping[str, Any]] = {
            "github": github_context(self._state, run),
            "secrets": {} if run.trigger.from_fork else secrets,
            "vars": variables,
            "inputs": dict(run.trigger.inputs),
        }

    def execute(self) -> None:
        """Run all jobs, one after the other, those first that others need."""
        conclusions: dict[str, str] = {}
        try:
            for job in _in_order(self._workflow.jobs):
                noted = next(one for one in self._run.jobs if one.job == job.id)
                conclusions[job.id] = self._job(job, noted, [conclusions[one] for one in job.needs])
                if conclusions[job.id] == "waiting":
                    return
        except (ExpressionError, StepFailed) as error:
            self._finish("failure", str(error))
            return
        ended = set(conclusions.values())
        bad = next((one for one in ("failure", "cancelled") if one in ended), "")
        self._finish(bad or ("skipped" if ended == {"skipped"} else "success"))

    def _finish(self, conclusion: str, message: str = "") -> None:
        with self._state.lock:
            if not self._stopped:
                runs.finish(self._state, self._run, conclusion, message)

    @property
    def _stopped(self) -> bool:
        """Whether the run was cancelled meanwhile, or even started again."""
        over = self._run.status == "completed" or self._run.attempt != self._number
        return over or self._runner.closing.is_set()

    def _job(self, job: Job, noted: JobRun, needed: list[str]) -> str:
        ready = all(one == "success" for one in needed)
        if not holds(job.condition, Contexts(self._contexts, ready)):
            self._end(noted, "skipped")
            return "skipped"
        if not self._take_turn(job, noted):
            return "cancelled"
        with self._state.lock:
            environment = deploying.environment_of(self._state, self._run, job)
            if environment and environment.reviewers:
                noted.status = self._run.status = "waiting"
                return "waiting"
        self._start(noted)
        machine = self._machine(job, noted, environment)
        try:
            conclusion = self._steps(job, noted, machine, self._contexts_of(machine, environment))
        finally:
            self._state.tokens.pop(machine.token, None)
            if machine.identity is not None:
                self._runner.issuer.forget(machine.identity)
            machine.disk.wipe()
        if conclusion != "cancelled":
            self._end(noted, conclusion)
        return conclusion

    def _take_turn(self, job: Job, noted: JobRun) -> bool:
        """Wait until the job's group is free; False when the job is cancelled before it is."""
        stopped = partial(self._has_stopped, noted)
        with self._state.lock:
            if job.concurrency is not None:
                noted.group = expand(job.concurrency.group, Contexts(self._contexts))
                groups.join(self._state, self._run, noted, job.concurrency)
            return groups.take_turn(self._state, self._run, noted, stopped)

    def _begins(self, noted: JobRun, process: int) -> None:
        with self._state.changed:
            noted.process = process
            self._state.changed.notify_all()

    def _has_stopped(self, noted: JobRun) -> bool:
        return self._stopped or noted.status == "completed"

    def _contexts_of(self, machine: Machine, environment: Environment | None) -> Mapping[str, Mapping[str, Any]]:
        """What all jobs see, with the token of this one and what its environment holds."""
        variables = environment.variables.values() if environment else ()
        return {
            **self._contexts,
            "github": {**self._contexts["github"], "token": machine.token},
            "secrets": {**self._contexts["secrets"], **self._secrets_of(environment), "GITHUB_TOKEN": machine.token},
            "vars": {**self._contexts["vars"], **{variable.name: variable.value for variable in variables}},
            "runner": {"temp": str(machine.disk.temp), "os": "Linux", "arch": "X64"},
        }

    def _secrets_of(self, environment: Environment | None) -> Mapping[str, str]:
        if environment is None or self._run.trigger.from_fork:
            return {}
        return {secret.name: secret.value for secret in environment.secrets.values()}

    def _machine(self, job: Job, noted: JobRun, environment: Environment | None) -> Machine:
        state, trigger, repository = self._state, self._run.trigger, self._run.repository
        rights = rights_of(self._workflow, job, from_fork=trigger.from_fork)
        token = state.create_job_token(repository, token_rights(rights))
        identity: Identity | None = None
        if rights.get(IDENTITY) == "write":
            identity = self._runner.issuer.identity(self._run, job.environment, state.url)
        vouched = identity.variables if identity else {}
        secrets = [*self._contexts["secrets"].values(), *self._secrets_of(environment).values()]
        disk = Disk.new(state.store.folder, self._runner.runners.programs)
        return Machine(
            disk,
            self._files,
            repository.full_name,
            trigger.actor.login,
            trigger.ref,
            trigger.sha,
            token,
            stamp(state.clock.now()),
            self._runner.services,
            Artifacts(state, self._run),
            noted,
            partial(_may_read, state, repository),
            partial(self._has_stopped, noted),
            partial(self._begins, noted),
            identity,
            variables={**self._variables(job, disk), **vouched},
            masks={token, *map(str, secrets), *([identity.bearer] if identity else [])},
        )

    def _variables(self, job: Job, disk: Disk) -> dict[str, str]:
        """What the runner sets for every script."""
        event = disk.temp / "_github_workflow" / "event.json"
        event.parent.mkdir()
        event.write_text(json.dumps(self._contexts["github"]["event"]))
        places = {"HOME": disk.home, "RUNNER_TEMP": disk.temp, "TMPDIR": disk.temp, "GITHUB_WORKSPACE": disk.workspace}
        places["GITHUB_EVENT_PATH"] = event
        known = variables_of(self._contexts["github"])
        return {**known, "GITHUB_JOB": job.id, **{name: str(path) for name, path in places.items()}}

    def _steps(self, job: Job, noted: JobRun, machine: Machine, contexts: Mapping[str, Mapping[str, Any]]) -> str:
        env = {name: expand(text, Contexts(contexts)) for name, text in {**self._workflow.env, **job.env}.items()}
        scene = Scene(self._runner, machine, contexts, env)
        return run_steps(scene, job.steps, _Notes(noted.steps, self._start, self._end)).conclusion

    def _start(self, part: JobRun | StepRun) -> None:
        with self._state.lock:
            part.status, part.started_at = "in_progress", self._state.clock.now()

    def _end(self, part: JobRun | StepRun, conclusion: str, message: str = "") -> None:
        with self._state.lock:
            if self._stopped:
                return
            now = self._state.clock.now()
            part.status, part.conclusion, part.completed_at = "completed", conclusion, now
            part.started_at = part.started_at or now
            if isinstance(part, StepRun):
                part.message = message
            self._state.changed.notify_all()


@dataclass(frozen=True, slots=True)
class _Notes:
    """Notes how the steps of a job go."""

    steps: list[StepRun]
    start: Callable[[StepRun], None]
    end: Callable[[StepRun, str, str], None]

    def began(self, number: int) -> None:
        self.start(self.steps[number])

    def ended(self, number: int, conclusion: str, message: str) -> None:
        self.end(self.steps[number], conclusion, message)


def _given_to(repository: Repository) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets and variables of a repository, before those of its organisation that it is given."""
    owner = repository.owner
    secrets = {one.name: one.value for one in owner.secrets.values() if is_given(one, repository)}
    variables = {one.name: one.value for one in owner.variables.values() if is_given(one, repository)}
    secrets |= {one.name: one.value for one in repository.secrets.values()}
    return secrets, variables | {one.name: one.value for one in repository.variables.values()}


def _files(state: State, commit: str) -> Mapping[str, File]:
    files = {}
    for path, entry in walk(state.store, read_commit(state.store, commit).tree):
        found = state.store.read(entry.oid) if entry.kind == "blob" else None
        if found is not None:
            files[path] = File(entry.mode, found.data)
    return files


def _may_read(state: State, repository: Repository, token: str) -> bool:
    """Whether a token may read what a repository holds."""
    shown = state.tokens.get(token)
    try:
        Actor(state.account(shown.owner) if shown else None, shown).require(Need("contents", "read"), repository)
    except ApiError:
        return False
    return True


def _in_order(jobs: tuple[Job, ...]) -> list[Job]:
    """Jobs so that what is needed comes first; raises StepFailed for a need that cannot be met."""
    ordered: list[Job] = []
    waiting = list(jobs)
    while waiting:
        done = {job.id for job in ordered}
        ready = [job for job in waiting if done.issuperset(job.needs)]
        if not ready:
            raise StepFailed(f"the job {waiting[0].id!r} needs a job that never runs")
        ordered += ready
        waiting = [job for job in waiting if job not in ready]
    return ordered
