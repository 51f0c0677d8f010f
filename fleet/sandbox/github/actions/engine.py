"""Executes queued runs, each in a thread, and lets tests hold them back."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand, holds
from fleet.sandbox.github.actions.run2docker import ACTIONS, Machine, StepFailed
from fleet.sandbox.github.actions.workflow import Job, Step, Workflow, parse
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model import Push
from fleet.sandbox.github.model_actions import JobRun, Run, StepRun
from fleet.sandbox.github.objects import read_commit, walk
from fleet.sandbox.github.state import State
from fleet.sandbox.push import Registries

_AT_ONCE = 2


class Actions:
    """The runners: `hold` keeps runs queued, `release` lets them go, `wait` returns when none is left."""

    def __init__(self, state: State, registries: Registries) -> None:
        self._state = state
        self._registries = registries
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="actions")
        self._running: set[Future[None]] = set()
        self._held = False

    def hold(self) -> None:
        """Keep runs queued from now on."""
        self._held = True

    def release(self) -> None:
        """Start what was held back, and hold no more."""
        self._held = False
        with self._state.lock:
            self.wake()

    def wait(self, timeout: float = 30) -> None:
        """Return when every run that was started has ended; raises TimeoutError, and what went wrong inside."""
        with self._state.lock:
            running = tuple(self._running)
        done, pending = wait(running, timeout)
        for future in done:
            future.result()
        if pending:
            raise TimeoutError(f"{len(pending)} runs have not ended within {timeout} seconds")

    def close(self) -> None:
        """Start no more, and wait for those that run; raises what went wrong inside."""
        self._pool.shutdown(cancel_futures=True)
        for future in self._running:
            if not future.cancelled():
                future.result()

    def wake(self) -> None:
        """Take up what has been pushed and queued; the caller holds the state's lock."""
        while self._state.events:
            event = self._state.events.pop(0)
            if isinstance(event, Push):
                runs.on_push(self._state, event)
            else:
                runs.on_pull(self._state, event)
        while self._state.queued and not self._held:
            self._begin(self._state.queued.pop(0))

    def _begin(self, run: Run) -> None:
        behaviour = run.repository.builds or self._state.settings.builds
        if behaviour == "queue" or run.status == "completed":
            return
        try:
            self._make_way(run)
        except ExpressionError as error:
            runs.finish(self._state, run, "failure", str(error))
            return
        self._running = {future for future in self._running if not future.done() or future.exception()}
        self._running.add(self._pool.submit(self._execute, run, behaviour))

    def _make_way(self, run: Run) -> None:
        """Cancel what still runs of the same group."""
        template = self._workflow(run).group
        run.group = expand(template, Contexts({"github": github_context(run)})) if template else ""
        for other in run.repository.runs:
            if run.group and other is not run and other.group == run.group and other.status != "completed":
                runs.cancel(self._state, other)

    def _execute(self, run: Run, behaviour: str) -> None:
        with self._state.lock:
            if run.status == "completed":
                return
            run.status, run.updated_at = "in_progress", self._state.clock.now()
            workflow = self._workflow(run)
            if behaviour == "run":
                attempt = _Attempt(self._state, run, workflow, self._machine(run))
            else:
                self._pretend(run, behaviour)
                return
        attempt.execute()

    def _workflow(self, run: Run) -> Workflow:
        files = runs.files_at(self._state, run.repository, run.trigger.sha)
        return parse(run.workflow.path, files[run.workflow.path])

    def _pretend(self, run: Run, behaviour: str) -> None:
        """Start, and end as told: on the last step, where the image would be made."""
        now = self._state.clock.now()
        for job in run.jobs:
            job.status, job.started_at = "in_progress", now
            for step in job.steps[:-1]:
                step.status, step.conclusion, step.started_at, step.completed_at = "completed", "success", now, now
            job.steps[-1].status, job.steps[-1].started_at = "in_progress", now
        conclusions = {"fail": "failure", "cancel": "cancelled", "green": "success"}
        if behaviour in conclusions:
            runs.finish(self._state, run, conclusions[behaviour])

    def _machine(self, run: Run) -> Machine:
        store, files = self._state.store, {}
        for path, entry in walk(store, read_commit(store, run.trigger.sha).tree):
            found = store.read(entry.oid) if entry.kind == "blob" else None
            if found is not None:
                files[path] = found.data
        repository = run.repository.full_name
        token = self._state.create_token(run.trigger.actor.login, {"contents": "read"}, repositories=[repository])
        return Machine(
            files,
            repository,
            run.trigger.actor.login,
            run.trigger.ref,
            run.trigger.sha,
            token,
            stamp(self._state.clock.now()),
            self._registries,
        )


class _Attempt:
    """One attempt at one run. The lock is held to note what happens, never while a step works."""

    def __init__(self, state: State, run: Run, workflow: Workflow, machine: Machine) -> None:
        self._state, self._run, self._workflow, self._machine = state, run, workflow, machine
        self._number = run.attempt
        repository = run.repository
        self._contexts: Mapping[str, Mapping[str, Any]] = {
            "github": {**github_context(run), "token": machine.token},
            "secrets": {secret.name: secret.value for secret in repository.secrets.values()}
            | {"GITHUB_TOKEN": machine.token},
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
        except (ExpressionError, StepFailed) as error:
            self._finish("failure", str(error))
            return
        finally:
            self._state.tokens.pop(self._machine.token, None)
        self._finish("failure" if "failure" in conclusions.values() else "success")

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
        self._start(noted)
        env = self._expanded({**self._workflow.env, **job.env}, {})
        outputs: dict[str, Mapping[str, Any]] = {}
        conclusion = "success"
        for step, step_run in zip(job.steps, noted.steps, strict=True):
            with self._state.lock:
                if self._stopped:
                    return "cancelled"
            contexts = Contexts({**self._contexts, "env": env, "steps": outputs}, conclusion == "success")
            if self._step(step, step_run, contexts, outputs) == "failure" and not step.continue_on_error:
                conclusion = "failure"
        self._end(noted, conclusion)
        return conclusion

    def _expanded(self, texts: Mapping[str, str], more: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        contexts = Contexts({**self._contexts, **more})
        return {name: expand(text, contexts) for name, text in texts.items()}

    def _step(self, step: Step, noted: StepRun, contexts: Contexts, outputs: dict[str, Mapping[str, Any]]) -> str:
        message, conclusion = "", "success"
        try:
            if not holds(step.condition, contexts):
                self._end(noted, "skipped")
                return "skipped"
            self._start(noted)
            produced = self._act(step, contexts)
            if step.id:
                outputs[step.id] = {"outputs": produced}
        except (StepFailed, ExpressionError) as error:
            message, conclusion = str(error), "failure"
        self._end(noted, conclusion, message)
        return conclusion

    def _act(self, step: Step, contexts: Contexts) -> Mapping[str, str]:
        env = {**contexts.values["env"], **{name: expand(text, contexts) for name, text in step.env.items()}}
        inner = Contexts({**contexts.values, "env": env}, contexts.succeeded)
        inputs = {name: expand(text, inner) for name, text in step.inputs.items()}
        action = ACTIONS.get(step.uses.partition("@")[0])
        if action is None or "@" not in step.uses:
            raise StepFailed(f"the sandbox does not know how to run {step.uses or 'a shell'} (step {step.name!r})")
        return action(self._machine, inputs)

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


def github_context(run: Run) -> Mapping[str, Any]:
    """What the context `github` holds of a run, without its token."""
    trigger, repository = run.trigger, run.repository
    _, kind, name = trigger.ref.split("/", 2)
    return {
        "actor": trigger.actor.login,
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
