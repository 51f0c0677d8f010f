"""Which runs there are: started by pushes and dispatches, run again, cancelled. Nothing is executed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from fleet.sandbox.github.actions.workflow import SKIP, Workflow, parse
from fleet.sandbox.github.actions.workflow_yaml import WorkflowError
from fleet.sandbox.github.clock import Veil
from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.gitstore import ZERO
from fleet.sandbox.github.model import Push, Repository
from fleet.sandbox.github.model_actions import JobRun, Run, StepRun, Trigger, WorkflowRecord
from fleet.sandbox.github.model_pulls import PullEvent
from fleet.sandbox.github.objects import changed_paths, find, read_commit, read_tree
from fleet.sandbox.github.pulls import try_merge
from fleet.sandbox.github.pushes import WORKFLOWS
from fleet.sandbox.github.state import ACTIONS_BOT, State


def files_at(state: State, repository: Repository, commit: str) -> Mapping[str, bytes]:
    """The workflow files of a commit; each is known as a workflow of the repository from then on."""
    folder = find(state.store, read_commit(state.store, commit).tree, WORKFLOWS)
    if folder is None or folder.kind != "tree":
        return {}
    files = {}
    for name, entry in read_tree(state.store, folder.oid).items():
        found = state.store.read(entry.oid)
        if name.endswith((".yml", ".yaml")) and found is not None and found.kind == "blob":
            path = f"{WORKFLOWS}/{name}"
            files[path] = found.data
            if path not in repository.workflows:
                repository.workflows[path] = WorkflowRecord(state.next_id(), path, state.clock.now())
    return files


def enabled(repository: Repository) -> bool:
    """Whether Actions run here at all."""
    return repository.actions_enabled and repository.owner.enabled_repositories == "all" and not repository.archived


def on_push(state: State, push: Push) -> None:
    """Start what a push starts, and what waits for the pull requests of its branch."""
    if push.new == ZERO:
        return
    old = None if push.old == ZERO else read_commit(state.store, push.old).tree
    trigger = Trigger("push", push.ref, push.new, push.new, push.actor, before=push.old)
    changed = None if old is None else _changed(state, old, push.new)
    _start_all(state, push.repository, trigger, lambda workflow: workflow.takes_push(push.ref, changed))
    for pull in push.repository.pulls.values():
        if pull.state == "open" and not pull.from_fork and push.ref == f"refs/heads/{pull.head}":
            pull.head_sha = push.new
            on_pull(state, PullEvent(push.repository, pull, "synchronize", push.actor))


def on_pull(state: State, event: PullEvent) -> None:
    """Start what a pull request starts, on what merging it would make; nothing while it conflicts."""
    pull, repository = event.pull, event.repository
    merge = try_merge(state, repository, pull)
    if merge is None:
        return
    ref = f"refs/pull/{pull.number}/merge"
    trigger = Trigger(
        "pull_request",
        ref,
        pull.head_sha,
        merge,
        event.actor,
        head_branch=pull.head,
        base_branch=pull.base,
        from_fork=pull.from_fork,
        action=event.action,
        pull=pull,
    )
    base = read_commit(state.store, repository.refs[f"refs/heads/{pull.base}"]).tree
    changed = _changed(state, base, merge)
    _start_all(state, repository, trigger, lambda one: one.takes_pull(pull.base, event.action, changed))


def on_schedule(state: State, repository: Repository) -> None:
    """Start what is on schedule, as if its time had come: on the default branch, in its owner's name."""
    ref, head = f"refs/heads/{repository.default_branch}", repository.head
    if head is None or not enabled(repository):
        return
    for path, data in files_at(state, repository, head).items():
        workflow = parse(path, data)
        for cron in workflow.crons:
            queue(state, repository, workflow, Trigger("schedule", ref, head, head, repository.owner, cron=cron))


def _changed(state: State, old_tree: str, new: str) -> list[str]:
    return list(changed_paths(state.store, old_tree, read_commit(state.store, new).tree))


def _start_all(state: State, repository: Repository, trigger: Trigger, takes: Callable[[Workflow], bool]) -> None:
    """Queue each workflow of the commit that takes the trigger; a file that cannot be read is a red run."""
    if not enabled(repository) or trigger.actor.login == ACTIONS_BOT:
        return
    files = files_at(state, repository, trigger.sha)
    if any(mark in read_commit(state.store, trigger.head_sha).message for mark in SKIP):
        return
    for path, data in files.items():
        try:
            workflow = parse(path, data)
        except WorkflowError as error:
            finish(state, _start(state, repository, path, path, trigger), "failure", str(error))
            continue
        if takes(workflow):
            queue(state, repository, workflow, trigger)


def queue(state: State, repository: Repository, workflow: Workflow, trigger: Trigger) -> Run:
    """Queue a run of a workflow."""
    run = _start(state, repository, workflow.path, workflow.name, trigger)
    forbidden = list(_forbidden(repository, workflow))
    if forbidden:
        text = f"{', '.join(forbidden)} is not allowed to be used in {repository.full_name}"
        finish(state, run, "startup_failure", text)
    else:
        run.jobs = _jobs(state, workflow)
        state.queued.append(run)
    return run


def _start(state: State, repository: Repository, path: str, name: str, trigger: Trigger) -> Run:
    now, record = state.clock.now(), repository.workflows[path]
    number = 1 + sum(run.workflow is record for run in repository.runs)
    run = Run(
        id=state.next_id(),
        repository=repository,
        workflow=record,
        name=name,
        number=number,
        check_suite=state.next_id(),
        trigger=trigger,
        veil=Veil(state.settings.run_lag, state.clock),
        created_at=now,
        updated_at=now,
        started_at=now,
    )
    repository.runs.append(run)
    return run


def _jobs(state: State, workflow: Workflow) -> list[JobRun]:
    now = state.clock.now()
    return [
        JobRun(
            state.next_id(),
            job.id,
            job.name,
            job.runs_on,
            now,
            [StepRun(number, step.name) for number, step in enumerate(job.steps, start=1)],
        )
        for job in workflow.jobs
    ]


def _forbidden(repository: Repository, workflow: Workflow) -> Iterator[str]:
    """Actions that the repository's settings keep from running."""
    for step in (step for job in workflow.jobs for step in job.steps if step.uses):
        name = step.uses.partition("@")[0]
        is_local, is_githubs = name.startswith("./"), name.startswith(("actions/", "github/"))
        listed = any(fnmatchcase(step.uses, pattern) or name == pattern for pattern in repository.allowed_patterns)
        allowed = {"all": True, "local_only": is_local, "selected": is_local or is_githubs or listed}
        if not allowed[repository.allowed_actions]:
            yield step.uses


def finish(state: State, run: Run, conclusion: str, message: str = "") -> None:
    """End a run, with whatever of it has not ended yet."""
    run.status, run.conclusion, run.message, run.updated_at = "completed", conclusion, message, state.clock.now()
    for job in run.jobs:
        _finish_job(state, job, conclusion)
    state.changed.notify_all()


def _finish_job(state: State, job: JobRun, conclusion: str) -> None:
    now = state.clock.now()
    for step in job.steps:
        _end(step, conclusion if step.status == "in_progress" else "skipped", now)
    _end(job, conclusion, now)


def _end(part: JobRun | StepRun, conclusion: str, now: datetime) -> None:
    if part.status != "completed":
        part.status, part.conclusion, part.completed_at = "completed", conclusion, now
        part.started_at = part.started_at or now


def rerun(state: State, run: Run) -> None:
    """Run again what has ended; raises 403 while it still runs."""
    if run.status != "completed":
        raise ApiError(403, "This workflow is already running")
    data = files_at(state, run.repository, run.trigger.sha)[run.workflow.path]
    try:
        run.jobs = _jobs(state, parse(run.workflow.path, data))
    except WorkflowError as error:
        raise ApiError(403, f"This workflow run cannot be retried: {error}") from None
    run.attempt += 1
    run.status, run.conclusion, run.message = "queued", None, ""
    run.started_at = run.updated_at = state.clock.now()
    state.queued.append(run)


def cancel(state: State, run: Run) -> None:
    """Cancel what has not ended; raises 409 when it has."""
    if run.status == "completed":
        raise ApiError(409, "Cannot cancel a workflow run that is completed.")
    finish(state, run, "cancelled")


def cancel_part(state: State, run: Run, part: Run | JobRun) -> None:
    """Cancel a run, or one job of it, that has not ended."""
    if isinstance(part, Run):
        cancel(state, part)
    else:
        _finish_job(state, part, "cancelled")
        state.changed.notify_all()


def dispatch(state: State, repository: Repository, record: WorkflowRecord, trigger: Trigger) -> Run:
    """Start a workflow by hand; raises 422 when it does not take that."""
    data = files_at(state, repository, trigger.sha).get(record.path)
    if data is None:
        raise ApiError(422, "Workflow does not exist on this ref")
    try:
        workflow = parse(record.path, data)
    except WorkflowError as error:
        raise ApiError(422, f"failed to parse workflow: {error}") from None
    if "workflow_dispatch" not in workflow.on:
        raise ApiError(422, "Workflow does not have 'workflow_dispatch' trigger")
    unexpected = sorted(trigger.inputs.keys() - workflow.inputs.keys())
    if unexpected:
        raise ApiError(422, f"Unexpected inputs provided: {unexpected}")
    return queue(state, repository, workflow, replace(trigger, inputs={**workflow.inputs, **trigger.inputs}))
