"""Workflows and their runs.

https://docs.github.com/rest/actions/workflows, https://docs.github.com/rest/actions/workflow-runs
"""

from __future__ import annotations

from fleet.sandbox.github import views, views_actions
from fleet.sandbox.github.actions import runs
from fleet.sandbox.github.actions.workflow import parse
from fleet.sandbox.github.actions.workflow_yaml import WorkflowError, text
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model_actions import Run, Trigger, WorkflowRecord
from fleet.sandbox.http import Response

_MOST = 1000
"""Runs that a filtered list shows at most."""


def _workflow_files(call: Call) -> dict[str, bytes]:
    head = call.repository.head
    return dict(runs.files_at(call.state, call.repository, head)) if head else {}


def _shown_workflow(call: Call, record: WorkflowRecord) -> dict[str, object]:
    data = _workflow_files(call).get(record.path)
    try:
        name = record.path if data is None else parse(record.path, data).name
    except WorkflowError:
        name = record.path
    return views_actions.workflow(call.base, call.repository, record, name, exists=data is not None)


def list_workflows(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/workflows"""
    call.query()
    _workflow_files(call)
    records = list(call.repository.workflows.values())
    return call.listed(records, lambda one: _shown_workflow(call, one), "workflows")


def _record(call: Call) -> WorkflowRecord:
    """The workflow that the path names, by number or by its file's name."""
    _workflow_files(call)
    wanted = call.params["workflow"]
    for record in call.repository.workflows.values():
        if wanted in (str(record.id), record.path.rpartition("/")[2]):
            return record
    raise not_found()


def get_workflow(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/workflows/{workflow}"""
    return Response.of_json(_shown_workflow(call, _record(call)))


def list_workflow_runs(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/workflows/{workflow}/runs"""
    record = _record(call)
    return _listed(call, [run for run in call.repository.runs if run.workflow is record])


def list_runs(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/runs, newest first."""
    return _listed(call, call.repository.runs)


def _listed(call: Call, found: list[Run]) -> Response:
    query = call.query("head_sha", "branch", "status", "event", "exclude_pull_requests")
    shown = [
        run
        for run in reversed(found)
        if run.veil.look()
        and query.get("head_sha") in (None, run.trigger.head_sha)
        and query.get("branch") in (None, run.trigger.branch)
        and query.get("event") in (None, run.trigger.event)
        and query.get("status") in (None, run.status, run.conclusion)
    ]
    limit = _MOST if query else len(shown)
    return call.listed(shown[:limit], lambda run: views_actions.run(call.base, call.state, run), "workflow_runs")


def _run(call: Call) -> Run:
    for run in call.repository.runs:
        if str(run.id) == call.params["run"] and run.veil.lifted:
            return run
    raise not_found()


def get_run(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/runs/{run}"""
    call.query("exclude_pull_requests")
    return Response.of_json(views_actions.run(call.base, call.state, _run(call)))


def list_jobs(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/runs/{run}/jobs: those of the latest attempt."""
    if call.query("filter").get("filter", "latest") != "latest":
        raise ApiError(501, "the sandbox does not know the jobs of earlier attempts")
    run = _run(call)
    return call.listed(run.jobs, lambda job: views_actions.job(call.base, run, job), "jobs")


def rerun(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/actions/runs/{run}/rerun"""
    call.body({})
    runs.rerun(call.state, _run(call))
    return Response.of_json({}, 201)


def cancel(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/actions/runs/{run}/cancel"""
    call.body({})
    runs.cancel(call.state, _run(call))
    return Response.of_json({}, 202)


def dispatch(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches"""
    fields = call.body({"ref": str, "inputs": dict, "return_run_details": bool}, ["ref"])
    record, ref = _record(call), fields["ref"]
    name = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    sha = call.repository.refs.get(name)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    if not runs.enabled(call.repository):
        raise ApiError(422, "Actions has been disabled for this repository")
    inputs = {key: text(value) for key, value in fields.get("inputs", {}).items()}
    trigger = Trigger("workflow_dispatch", name, sha, sha, call.actor.require_account(), inputs)
    run = runs.dispatch(call.state, call.repository, record, trigger)
    if not fields.get("return_run_details"):
        return Response(204)
    url = f"{views.repository_url(call.base, call.repository)}/actions/runs/{run.id}"
    page = views_actions.run_page(call.base, run)
    return Response.of_json({"workflow_run_id": run.id, "run_url": url, "html_url": page})


_ROOT = "/repos/{owner}/{repo}/actions"
ROUTES = (
    Route("GET", f"{_ROOT}/workflows", list_workflows, "actions=read"),
    Route("GET", f"{_ROOT}/workflows/{{workflow}}", get_workflow, "actions=read"),
    Route("GET", f"{_ROOT}/workflows/{{workflow}}/runs", list_workflow_runs, "actions=read"),
    Route("POST", f"{_ROOT}/workflows/{{workflow}}/dispatches", dispatch, "actions=write"),
    Route("GET", f"{_ROOT}/runs", list_runs, "actions=read"),
    Route("GET", f"{_ROOT}/runs/{{run}}", get_run, "actions=read"),
    Route("GET", f"{_ROOT}/runs/{{run}}/jobs", list_jobs, "actions=read"),
    Route("POST", f"{_ROOT}/runs/{{run}}/rerun", rerun, "actions=write"),
    Route("POST", f"{_ROOT}/runs/{{run}}/cancel", cancel, "actions=write"),
)
