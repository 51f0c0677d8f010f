"""Executes queued runs, each in a thread, and lets tests hold them back."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from fleet.sandbox.github.actions import groups, runs
from fleet.sandbox.github.actions.attempt import Attempt
from fleet.sandbox.github.actions.events import github_context
from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand
from fleet.sandbox.github.actions.steps import Runner
from fleet.sandbox.github.actions.workflow import Workflow, parse
from fleet.sandbox.github.model import Push
from fleet.sandbox.github.model_actions import Run

_AT_ONCE = 8
"""Runs at once. A run may wait for others, so there are more than a small machine would choose."""


class Actions:
    """The runners: `hold` keeps runs queued, `release` lets them go, `wait` returns when none is left."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._state = runner.state
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
        """Start no more, and wait for those that run; what waits for its turn is cancelled. Raises what went wrong."""
        with self._state.lock:
            self._runner.closing.set()
            self._state.changed.notify_all()
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
            self._join(run)
        except ExpressionError as error:
            runs.finish(self._state, run, "failure", str(error))
            return
        self._running = {future for future in self._running if not future.done() or future.exception()}
        self._running.add(self._pool.submit(self._execute, run, behaviour))

    def _join(self, run: Run) -> None:
        """Join the group that the workflow is in, if any."""
        concurrency = self._workflow(run).concurrency
        if concurrency is not None:
            context = Contexts({"github": github_context(self._state, run)})
            run.group = expand(concurrency.group, context)
            groups.join(self._state, run, run, concurrency)

    def _execute(self, run: Run, behaviour: str) -> None:
        with self._state.lock:
            ended = partial(self._has_ended, run)
            if ended() or not groups.take_turn(self._state, run, run, ended):
                return
            run.updated_at = self._state.clock.now()
            workflow = self._workflow(run)
            if behaviour == "run":
                attempt = Attempt(self._runner, run, workflow)
            else:
                self._pretend(run, behaviour)
                return
        attempt.execute()

    def _has_ended(self, run: Run) -> bool:
        return run.status == "completed" or self._runner.closing.is_set()

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
