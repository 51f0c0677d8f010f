"""Workflows, runs and jobs as GitHub's REST API shows them."""

from __future__ import annotations

from typing import Any

from fleet.sandbox.github import views
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.model_actions import JobRun, Run, StepRun, WorkflowRecord
from fleet.sandbox.github.objects import Person, read_commit
from fleet.sandbox.github.state import State


def workflow(base: str, repository: Repository, shown: WorkflowRecord, name: str, *, exists: bool) -> dict[str, Any]:
    """A workflow file."""
    url = f"{views.repository_url(base, repository)}/actions/workflows/{shown.id}"
    page = f"{base}/{repository.full_name}"
    return {
        "id": shown.id,
        "node_id": views.node_id("W", shown.id),
        "name": name,
        "path": shown.path,
        "state": "active" if exists else "deleted",
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.created_at),
        "url": url,
        "html_url": f"{page}/blob/{repository.default_branch}/{shown.path}",
        "badge_url": f"{page}/workflows/{shown.id}/badge.svg",
    }


def run_page(base: str, shown: Run) -> str:
    """Where people look at a run."""
    return f"{base}/{shown.repository.full_name}/actions/runs/{shown.id}"


def run(base: str, state: State, shown: Run) -> dict[str, Any]:
    """A run of a workflow."""
    repository = views.minimal_repository(base, shown.repository)
    root = views.repository_url(base, shown.repository)
    url, previous = f"{root}/actions/runs/{shown.id}", shown.attempt - 1
    commit = read_commit(state.store, shown.trigger.head_sha)
    return {
        "id": shown.id,
        "name": shown.name,
        "node_id": views.node_id("WFR", shown.id),
        "head_branch": shown.trigger.branch,
        "head_sha": shown.trigger.head_sha,
        "path": shown.workflow.path,
        "display_title": commit.message.partition("\n")[0],
        "run_number": shown.number,
        "event": shown.trigger.event,
        "status": shown.status,
        "conclusion": shown.conclusion,
        "workflow_id": shown.workflow.id,
        "check_suite_id": shown.check_suite,
        "check_suite_node_id": views.node_id("CS", shown.check_suite),
        "url": url,
        "html_url": run_page(base, shown),
        "pull_requests": [],
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "actor": views.account(base, shown.trigger.actor),
        "triggering_actor": views.account(base, shown.trigger.actor),
        "run_attempt": shown.attempt,
        "referenced_workflows": [],
        "run_started_at": stamp(shown.started_at),
        "previous_attempt_url": f"{url}/attempts/{previous}" if previous else None,
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{root}/check-suites/{shown.check_suite}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "workflow_url": f"{root}/actions/workflows/{shown.workflow.id}",
        "head_commit": {
            "id": shown.trigger.head_sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": stamp(commit.committer.date),
            "author": _person(commit.author),
            "committer": _person(commit.committer),
        },
        "repository": repository,
        "head_repository": repository,
    }


def _person(shown: Person) -> dict[str, str]:
    return {"name": shown.name, "email": shown.email}


def job(base: str, of: Run, shown: JobRun) -> dict[str, Any]:
    """A job of a run with its steps."""
    root = views.repository_url(base, of.repository)
    return {
        "id": shown.id,
        "run_id": of.id,
        "run_url": f"{root}/actions/runs/{of.id}",
        "run_attempt": of.attempt,
        "node_id": views.node_id("CR", shown.id),
        "head_sha": of.trigger.head_sha,
        "url": f"{root}/actions/jobs/{shown.id}",
        "html_url": f"{run_page(base, of)}/job/{shown.id}",
        "status": shown.status,
        "conclusion": shown.conclusion,
        "created_at": stamp(shown.created_at),
        "started_at": stamp(shown.started_at or shown.created_at),
        "completed_at": stamp(shown.completed_at) if shown.completed_at else None,
        "name": shown.name,
        "steps": [_step(step) for step in shown.steps],
        "check_run_url": f"{root}/check-runs/{shown.id}",
        "labels": list(shown.labels),
        "runner_id": 1 if shown.started_at else None,
        "runner_name": "sandbox" if shown.started_at else None,
        "runner_group_id": 1 if shown.started_at else None,
        "runner_group_name": "Default" if shown.started_at else None,
        "workflow_name": of.name,
        "head_branch": of.trigger.branch,
    }


def _step(shown: StepRun) -> dict[str, Any]:
    return {
        "name": shown.name,
        "status": shown.status,
        "conclusion": shown.conclusion,
        "number": shown.number,
        "started_at": stamp(shown.started_at) if shown.started_at else None,
        "completed_at": stamp(shown.completed_at) if shown.completed_at else None,
    }
