"""What a run says of a commit: check runs of its own making, and the pull requests that a commit came from.

https://docs.github.com/rest/checks/runs#create-a-check-run,
https://docs.github.com/rest/commits/commits#list-pull-requests-associated-with-a-commit
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import NoneType
from typing import Any

from fleet.sandbox.github import views_pulls
from fleet.sandbox.github.call import Call, Fields, Route
from fleet.sandbox.github.errors import ApiError, not_found, unsupported
from fleet.sandbox.github.model_pulls import Check
from fleet.sandbox.github.rest.contents import resolve
from fleet.sandbox.http import Response

LARGEST_SUMMARY = 65_535
"""Characters of an output's summary."""

_CREATE: Fields = {
    "name": str,
    "head_sha": str,
    "status": str,
    "conclusion": str,
    "details_url": (str, NoneType),
    "external_id": str,
    "output": dict,
}
_UPDATE: Fields = {name: _CREATE[name] for name in ("conclusion", "details_url", "output")}
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out")


def create_check_run(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/check-runs: a finished one, by the token of an App."""
    fields, repository = call.body(_CREATE, ["name", "head_sha"]), call.repository
    found = call.state.store.read(fields["head_sha"])
    if found is None or found.kind != "commit":
        raise ApiError(422, f"No commit found for SHA: {fields['head_sha']}")
    if fields.get("status") != "completed":
        raise unsupported("check runs that are not completed")
    output = _said(fields)
    check = Check(
        call.state.next_id(),
        fields["head_sha"],
        fields["name"],
        fields["conclusion"],
        output["title"],
        output["summary"],
        fields.get("details_url"),
        call.state.clock.now(),
        fields.get("external_id", ""),
    )
    repository.checks.append(check)
    document = views_pulls.own_check(call.base, repository, check)
    return Response.of_json(document, 201, {"location": document["url"]})


def update_check_run(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}: what a finished one says."""
    fields, checks = call.body(_UPDATE, ["conclusion", "output"]), call.repository.checks
    number = next((at for at, one in enumerate(checks) if str(one.id) == call.params["id"]), None)
    if number is None:
        raise not_found()
    output = _said(fields)
    checks[number] = replace(
        checks[number],
        conclusion=fields["conclusion"],
        title=output["title"],
        summary=output["summary"],
        details_url=fields.get("details_url", checks[number].details_url),
        completed_at=call.state.clock.now(),
    )
    return Response.of_json(views_pulls.own_check(call.base, call.repository, checks[number]))


def _said(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The output of a check; raises 422 for one that GitHub would not take."""
    if fields.get("conclusion") not in _CONCLUSIONS:
        raise ApiError(422, "Invalid request.\n\nFor 'conclusion', the value is not one of the known ones.")
    output: Mapping[str, Any] = fields.get("output", {})
    if not output.get("title") or len(output.get("summary", "")) > LARGEST_SUMMARY:
        raise ApiError(422, "Invalid request.\n\nFor 'output', title and summary are needed, and have a limit.")
    return output


def list_pulls_of_commit(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/commits/{sha}/pulls: those that it was merged by, or is the head of."""
    call.query()
    sha = resolve(call, call.params["ref"])
    found = [pull for pull in call.repository.pulls.values() if sha in (pull.merge_sha, pull.head_sha)]
    return call.listed(found, lambda pull: views_pulls.pull(call.base, call.repository, pull, call.actor))


ROUTES = (
    Route("POST", "/repos/{owner}/{repo}/check-runs", create_check_run, "checks=write"),
    Route("PATCH", "/repos/{owner}/{repo}/check-runs/{id}", update_check_run, "checks=write"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref+}/pulls", list_pulls_of_commit, "pull_requests=read"),
)
