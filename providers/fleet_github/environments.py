"""Environments, which keep a secret for the jobs of chosen branches, and variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.provider import TryAgain
from fleet_github.client import Client
from fleet_github.specs import Environment, Place

_CHOSEN = {"protected_branches": False, "custom_branch_policies": True}


def make_environment(client: Client, repository: str, name: str, wanted: Environment) -> None:
    """An environment that lets in these branches and no other; its reviewers and its waiting time stay as they are."""
    path = f"/repos/{repository}/environments/{name}"
    found = client.rest("GET", path, None, 404)
    if found.status == 404 or found.document.get("deployment_branch_policy") != _CHOSEN:
        kept = _kept(found.document) if found.status == 200 else {}
        client.rest("PUT", path, {**kept, "deployment_branch_policy": _CHOSEN})
    policies = f"{path}/deployment-branch-policies"
    listed = client.object(f"{policies}?per_page=100").get("branch_policies")
    if not isinstance(listed, list):
        raise TryAgain(f"{client.host} sent something that is no list of what may deploy to {name} of {repository}")
    standing = {branch_pattern(one): one["id"] for one in listed}
    for branch in wanted.branches:
        if branch not in standing:
            client.rest("POST", policies, {"name": branch, "type": "branch"})
    for pattern, number in standing.items():
        if pattern not in wanted.branches:
            client.rest("DELETE", f"{policies}/{number}", None, 404)


def branch_pattern(policy: Mapping[str, Any]) -> str:
    """A pattern as fleet compares it: that of a branch as it is, that of a tag after `tag:`, which no branch holds."""
    return str(policy["name"]) if policy.get("type", "branch") == "branch" else f"tag:{policy['name']}"


def _kept(standing: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that a PUT would take away if they were left out.

    https://docs.github.com/en/rest/deployments/environments#create-or-update-an-environment
    """
    kept: dict[str, Any] = {}
    for rule in standing.get("protection_rules") or ():
        if rule["type"] == "wait_timer":
            kept["wait_timer"] = rule.get("wait_timer", 0)
        elif rule["type"] == "required_reviewers":
            kept["prevent_self_review"] = bool(rule.get("prevent_self_review"))
            people = rule.get("reviewers") or ()
            kept["reviewers"] = [{"type": one["type"], "id": one["reviewer"]["id"]} for one in people]
    return kept


def set_variable(client: Client, place: Place, value: str) -> None:
    """Give a variable its value, whether it is there or not."""
    path, body = f"{place.vault}/variables", {"name": place.name, "value": value}
    if client.rest("PATCH", f"{path}/{place.name}", body, 404).status == 404:
        client.rest("POST", path, body)


def waiting_in(client: Client, repository: str, name: str) -> list[str]:
    """What builds in an environment wait for; nothing where there is no such environment, or it is not shown."""
    found = client.rest("GET", f"/repos/{repository}/environments/{name}", None, 403, 404)
    rules = found.document.get("protection_rules") or () if found.status == 200 else ()
    said = [f"{rule['wait_timer']} minutes" for rule in rules if rule.get("wait_timer")]
    people = [one["reviewer"] for rule in rules for one in rule.get("reviewers") or ()]
    names = [str(one.get("login") or one.get("slug")) for one in people]
    return [*said, *([f"the approval of {' or '.join(names)}"] if names else [])]
