"""Check runs of Actions' jobs, and commit statuses.

https://docs.github.com/rest/checks/runs, https://docs.github.com/rest/commits/statuses
"""

from __future__ import annotations

from types import NoneType

from fleet.sandbox.github import views, views_pulls
from fleet.sandbox.github.call import Call, Fields, Route
from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.model_pulls import Status
from fleet.sandbox.github.rest.contents import resolve
from fleet.sandbox.http import Response

_STATES = ("error", "failure", "pending", "success")
_STATUS: Fields = {"state": str, "context": str, "description": (str, NoneType), "target_url": (str, NoneType)}


def list_check_runs(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits/{ref}/check-runs"""
    query, sha = call.query("check_name", "status"), resolve(call, call.params["ref"])
    found = [
        (run, job)
        for run in call.repository.runs
        if run.trigger.head_sha == sha and run.veil.look()
        for job in run.jobs
        if query.get("check_name") in (None, job.name) and query.get("status") in (None, job.status)
    ]
    owner = call.repository.owner
    shown = [views_pulls.check_run(call.base, run, job, owner) for run, job in found]
    own = [views_pulls.own_check(call.base, call.repository, one) for one in call.repository.checks if one.sha == sha]
    wanted = [one for one in own if query.get("check_name") in (None, one["name"])]
    finished = wanted if query.get("status") in (None, "completed") else []
    return call.listed([*shown, *finished], lambda one: one, "check_runs")


def create_status(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/statuses/{sha}"""
    fields = call.body(_STATUS, ["state"])
    found = call.state.store.read(call.params["sha"])
    if found is None or found.kind != "commit":
        raise ApiError(422, f"No commit found for SHA: {call.params['sha']}")
    if fields["state"] not in _STATES:
        raise ApiError(422, "Validation Failed", [f"State is not included in the list: {', '.join(_STATES)}"])
    status = Status(
        call.state.next_id(),
        call.params["sha"],
        fields["state"],
        fields.get("context", "default"),
        fields.get("description"),
        fields.get("target_url"),
        call.actor.require_account(),
        call.state.clock.now(),
    )
    call.repository.statuses.append(status)
    document = views_pulls.status(call.base, call.repository, status)
    return Response.of_json(document, 201, {"location": document["url"]})


def _of(call: Call, sha: str) -> list[Status]:
    return [status for status in reversed(call.repository.statuses) if status.sha == sha]


def list_statuses(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits/{ref}/statuses, newest first."""
    call.query()
    found = _of(call, resolve(call, call.params["ref"]))
    return call.listed(found, lambda one: views_pulls.status(call.base, call.repository, one))


def get_combined_status(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits/{ref}/status: the newest of each context, and what they come to."""
    call.query()
    sha = resolve(call, call.params["ref"])
    newest = list({status.context: status for status in reversed(_of(call, sha))}.values())
    states = {status.state for status in newest}
    bad = bool(states & {"error", "failure"})
    state = "failure" if bad else "success" if states == {"success"} else "pending"
    url = f"{views.repository_url(call.base, call.repository)}/commits/{sha}"
    return Response.of_json(
        {
            "state": state,
            "statuses": [views_pulls.status(call.base, call.repository, one, creator=False) for one in newest],
            "sha": sha,
            "total_count": len(newest),
            "repository": views.minimal_repository(call.base, call.repository),
            "commit_url": url,
            "url": f"{url}/status",
        }
    )


_COMMIT = "/repos/{owner}/{repo}/commits/{ref+}"
ROUTES = (
    Route("GET", f"{_COMMIT}/check-runs", list_check_runs, "checks=read"),
    Route("GET", f"{_COMMIT}/statuses", list_statuses, "statuses=read"),
    Route("GET", f"{_COMMIT}/status", get_combined_status, "statuses=read"),
    Route("POST", "/repos/{owner}/{repo}/statuses/{sha}", create_status, "statuses=write"),
)
