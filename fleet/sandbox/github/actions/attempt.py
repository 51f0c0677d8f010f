"""One attempt at one run: its jobs and their steps, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fleet.sandbox.github.actions import deploying, runs
from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand, holds
from fleet.sandbox.github.actions.machine import Action, Machine, Services, StepFailed
from fleet.sandbox.github.actions.oidc import Issuer
from fleet.sandbox.github.actions.rights import IDENTITY, rights_of, token_rights
from fleet.sandbox.github.actions.workflow import Job, Step, Workflow
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model_actions import Environment, JobRun, Run, StepRun
from fleet.sandbox.github.objects import read_commit, walk
from fleet.sandbox.github.state import State


@dataclass(frozen=True, slots=True)
class Runner:
    """What all runs share: the state, who vouches for them, the services outside, and the actions by name."""

    state: State
    issuer: Issuer
    services: Services
    actions: Mapping[str, Action]


class Attempt:
    """One attempt at one run. The lock is held to note what happens, never while a step works."""

    def __init__(self, runner: Runner, run: Run, workflow: Workflow) -> None:
        self._runner, self._state, self._run, self._workflow = runner, runner.state, run, workflow
        self._number = run.attempt
        repository = run.repository
        secrets = {} if run.trigger.from_fork else {one.name: one.value for one in repository.secrets.values()}
        self._files = _files(self._state, run.trigger.sha)
        self._contexts: Mapping[str, Mapping[str, Any]] = {
            "github": github_context(run),
            "secrets": secrets,
            "vars": {variable.name: variable.value for variable in repository.variables.values()},
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
        self._finish("failure" if "failure" in ended else "skipped" if ended == {"skipped"} else "success")

    def _finish(self, conclusion: str, message: str = "") -> None:
        with self._state.lock:
            if not self._stopped:
                runs.finish(self._state, self._run, conclusion, message)

    @property
    def _stopped(self) -> bool:
        """Whether the run was cancelled meanwhile, or even started again."""
        return self._run.status == "completed" or self._run.attempt != self._number

    def _job(self, job: Job, noted: JobRun, needed: list[str]) -> str:
        ready = all(one == "success" for one in needed)
        if not holds(job.condition, Contexts(self._contexts, ready)):
            self._end(noted, "skipped")
            return "skipped"
        with self._state.lock:
            environment = deploying.environment_of(self._state, self._run, job)
            if environment and environment.reviewers:
                noted.status = self._run.status = "waiting"
                return "waiting"
        self._start(noted)
        machine = self._machine(job, environment)
        try:
            conclusion = self._steps(_Going(job, noted, machine, self._contexts_of(machine, environment)))
        finally:
            self._state.tokens.pop(machine.token, None)
        if conclusion != "cancelled":
            self._end(noted, conclusion)
        return conclusion

    def _contexts_of(self, machine: Machine, environment: Environment | None) -> Mapping[str, Mapping[str, Any]]:
        """What all jobs see, with the token of this one and what its environment holds."""
        variables = environment.variables.values() if environment else ()
        return {
            **self._contexts,
            "github": {**self._contexts["github"], "token": machine.token},
            "secrets": {**self._contexts["secrets"], **self._secrets_of(environment), "GITHUB_TOKEN": machine.token},
            "vars": {**self._contexts["vars"], **{variable.name: variable.value for variable in variables}},
        }

    def _secrets_of(self, environment: Environment | None) -> Mapping[str, str]:
        if environment is None or self._run.trigger.from_fork:
            return {}
        return {secret.name: secret.value for secret in environment.secrets.values()}

    def _machine(self, job: Job, environment: Environment | None) -> Machine:
        state, trigger, repository = self._state, self._run.trigger, self._run.repository.full_name
        rights = rights_of(self._workflow, job, from_fork=trigger.from_fork)
        token = state.create_token(trigger.actor.login, token_rights(rights), repositories=[repository])
        identity: Callable[[str], str] | None = None
        if rights.get(IDENTITY) == "write":
            identity = partial(self._runner.issuer.token, self._run, environment=job.environment)
        return Machine(
            self._files,
            repository,
            trigger.actor.login,
            trigger.ref,
            trigger.sha,
            token,
            stamp(state.clock.now()),
            self._runner.services,
            identity,
            masks={token, *map(str, self._contexts["secrets"].values()), *self._secrets_of(environment).values()},
        )

    def _steps(self, going: _Going) -> str:
        env = {**self._workflow.env, **going.job.env}
        env = {name: expand(text, Contexts(going.contexts)) for name, text in env.items()}
        outputs: dict[str, Mapping[str, Any]] = {}
        conclusion = "success"
        for step, step_run in zip(going.job.steps, going.noted.steps, strict=True):
            with self._state.lock:
                if self._stopped:
                    return "cancelled"
            seen = {**going.contexts, "env": {**env, **going.machine.env}, "steps": outputs}
            contexts = Contexts(seen, conclusion == "success")
            ended = self._step(step, step_run, contexts, going.machine, outputs)
            if ended == "failure" and not step.continue_on_error:
                conclusion = "failure"
        return conclusion

    def _step(
        self,
        step: Step,
        noted: StepRun,
        contexts: Contexts,
        machine: Machine,
        outputs: dict[str, Mapping[str, Any]],
    ) -> str:
        message, conclusion = "", "success"
        try:
            if not holds(step.condition, contexts):
                self._end(noted, "skipped")
                return "skipped"
            self._start(noted)
            produced = self._act(step, contexts, machine)
            if step.id:
                outputs[step.id] = {"outputs": produced}
        except (StepFailed, ExpressionError) as error:
            message, conclusion = str(error), "failure"
        self._end(noted, conclusion, _masked(message, machine.masks))
        return conclusion

    def _act(self, step: Step, contexts: Contexts, machine: Machine) -> Mapping[str, str]:
        env = {**contexts.values["env"], **{name: expand(text, contexts) for name, text in step.env.items()}}
        inner = Contexts({**contexts.values, "env": env}, contexts.succeeded)
        inputs = {name: expand(text, inner) for name, text in step.inputs.items()}
        action = self._runner.actions.get(step.uses.partition("@")[0])
        if action is None or "@" not in step.uses:
            raise StepFailed(f"the sandbox does not know how to run {step.uses or 'a shell'} (step {step.name!r})")
        return action(machine, inputs)

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


@dataclass(frozen=True, slots=True)
class _Going:
    """A job that runs: what is noted of it, what it runs on, and what its expressions see."""

    job: Job
    noted: JobRun
    machine: Machine
    contexts: Mapping[str, Mapping[str, Any]]


def _files(state: State, commit: str) -> Mapping[str, bytes]:
    files = {}
    for path, entry in walk(state.store, read_commit(state.store, commit).tree):
        found = state.store.read(entry.oid) if entry.kind == "blob" else None
        if found is not None:
            files[path] = found.data
    return files


def _masked(message: str, secrets: set[str]) -> str:
    """A message as GitHub shows it; the longest first, so that no secret's beginning hides the rest of another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def github_context(run: Run) -> Mapping[str, Any]:
    """What the context `github` holds of a run, without its token."""
    trigger, repository = run.trigger, run.repository
    _, kind, name = trigger.ref.split("/", 2)
    return {
        "actor": trigger.actor.login,
        "base_ref": trigger.base_branch,
        "event_name": trigger.event,
        "head_ref": trigger.head_branch,
        "ref": trigger.ref,
        "ref_name": name,
        "ref_type": "tag" if kind == "tags" else "branch",
        "repository": repository.full_name,
        "repository_owner": repository.owner.login,
        "run_attempt": str(run.attempt),
        "run_id": str(run.id),
        "run_number": str(run.number),
        "sha": trigger.sha,
        "workflow": run.name,
    }


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
