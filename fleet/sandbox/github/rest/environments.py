"""Environments of repositories: who may deploy there, and the secrets and variables of those who may.

https://docs.github.com/rest/deployments/environments, https://docs.github.com/rest/deployments/branch-policies
"""

from __future__ import annotations

from typing import Any, Literal

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Fields, Route, no_content
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model_actions import Environment, OwnVault
from fleet.sandbox.github.rest.secrets import Secrets, Variables
from fleet.sandbox.http import Response

_ROOT = "/repos/{owner}/{repo}/environments/{environment}"
_POLICIES = f"{_ROOT}/deployment-branch-policies"


def _environment(call: Call) -> Environment:
    found = call.repository.environments.get(call.params["environment"].lower())
    if found is None:
        raise not_found()
    return found


def _vault(call: Call) -> OwnVault:
    return _environment(call)


def _shown(call: Call, shown: Environment) -> dict[str, Any]:
    url = f"{views.repository_url(call.base, call.repository)}/environments/{shown.name}"
    page = f"{call.base}/{call.repository.full_name}/deployments/activity_log?environments_filter={shown.name}"
    policies = {"protected_branches": shown.policy == "protected", "custom_branch_policies": shown.policy == "custom"}
    return {
        "id": shown.id,
        "node_id": views.node_id("EN", shown.id),
        "name": shown.name,
        "url": url,
        "html_url": page,
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "protection_rules": _rules(call, shown),
        "deployment_branch_policy": None if shown.policy == "any" else policies,
    }


def _rules(call: Call, shown: Environment) -> list[dict[str, Any]]:
    """Those that there are; their numbers follow the environment's own."""
    rules: list[dict[str, Any]] = []
    if shown.wait_timer:
        rules.append({"type": "wait_timer", "wait_timer": shown.wait_timer})
    if shown.reviewers:
        people = [{"type": "User", "reviewer": views.account(call.base, one)} for one in shown.reviewers]
        rules.append(
            {"type": "required_reviewers", "prevent_self_review": shown.prevent_self_review, "reviewers": people}
        )
    if shown.policy != "any":
        rules.append({"type": "branch_policy"})
    numbers = enumerate(rules, start=shown.id * 10)
    return [{"id": number, "node_id": views.node_id("GA", number), **rule} for number, rule in numbers]


def get(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/environments/{environment_name}"""
    return Response.of_json(_shown(call, _environment(call)))


def put(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/environments/{environment_name}: rules that are left out are taken away."""
    known: Fields = {"wait_timer": int, "prevent_self_review": bool, "reviewers": (list, type(None))}
    fields = call.body({**known, "deployment_branch_policy": (dict, type(None))})
    name, now = call.params["environment"], call.state.clock.now()
    found = call.repository.environments.get(name.lower()) or Environment(call.state.next_id(), name, now, now)
    policy = _policy(fields.get("deployment_branch_policy"))
    people = {account.id: account for account in call.state.accounts.values()}
    reviewers = fields.get("reviewers") or []
    if any(one.get("type") != "User" or one.get("id") not in people for one in reviewers):
        raise ApiError(422, "Failed to update the environment protection rule: reviewers must be users")
    found.policy, found.updated_at = policy, now
    found.branches = found.branches if policy == "custom" else {}
    found.wait_timer = fields.get("wait_timer", 0)
    found.prevent_self_review = fields.get("prevent_self_review", False)
    found.reviewers = [people[one["id"]] for one in reviewers]
    call.repository.environments[name.lower()] = found
    return Response.of_json(_shown(call, found))


def _policy(given: dict[str, Any] | None) -> Literal["any", "protected", "custom"]:
    if given is None:
        return "any"
    protected, custom = given.get("protected_branches"), given.get("custom_branch_policies")
    if not isinstance(protected, bool) or not isinstance(custom, bool) or protected == custom:
        raise ApiError(422, "protected_branches and custom_branch_policies cannot have the same value")
    return "protected" if protected else "custom"


def delete(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/environments/{environment_name}"""
    del call.repository.environments[_environment(call).name.lower()]
    return no_content()


def _shown_policy(policy: tuple[int, tuple[str, str]]) -> dict[str, Any]:
    number, (kind, name) = policy
    return {"id": number, "node_id": views.node_id("GBP", number), "name": name, "type": kind}


def list_policies(call: Call) -> Response:
    """GET …/deployment-branch-policies"""
    call.query()
    return call.listed(sorted(_environment(call).branches.items()), _shown_policy, "branch_policies")


def create_policy(call: Call) -> Response:
    """POST …/deployment-branch-policies"""
    fields, found = call.body({"name": str, "type": str}, ["name"]), _environment(call)
    if found.policy != "custom":
        raise not_found()
    policy = (fields.get("type", "branch"), fields["name"])
    if policy in found.branches.values():
        return Response(303)
    number = call.state.next_id()
    found.branches[number] = policy
    return Response.of_json(_shown_policy((number, policy)))


def delete_policy(call: Call) -> Response:
    """DELETE …/deployment-branch-policies/{branch_policy_id}"""
    number, found = call.params["number"], _environment(call)
    if not number.isdecimal() or found.branches.pop(int(number), None) is None:
        raise not_found()
    return no_content()


ROUTES = (
    Route("GET", _ROOT, get, "actions=read"),
    Route("PUT", _ROOT, put, "administration=write"),
    Route("DELETE", _ROOT, delete, "administration=write"),
    Route("GET", _POLICIES, list_policies, "actions=read"),
    Route("POST", _POLICIES, create_policy, "administration=write"),
    Route("DELETE", f"{_POLICIES}/{{number}}", delete_policy, "administration=write"),
    *Secrets(_vault).routes(_ROOT, "environments"),
    *Variables(_vault).routes(_ROOT, "environments"),
)
