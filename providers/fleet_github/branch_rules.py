"""Which rules of a branch let no commit onto it, for whoever has the token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.provider import Objection
from fleet_github.client import Client

FORBIDDING = frozenset({"PULL_REQUEST", "UPDATE", "REQUIRED_STATUS_CHECKS", "REQUIRED_DEPLOYMENTS", "MERGE_QUEUE"})
"""Rules that let no commit onto a branch directly, but for those who may bypass them.
https://docs.github.com/en/graphql/reference/enums#repositoryruletype"""

FIELDS = """
name
branchProtectionRule {
  pattern isAdminEnforced requiresApprovingReviews requiresStatusChecks lockBranch
  bypassPullRequestAllowances(first: 1) { totalCount }
}
rules(first: 100) { nodes { type repositoryRuleset { databaseId name } } }
"""
"""What to ask of a branch in GraphQL."""

_BRANCH = f"""
query($owner: String!, $name: String!, $ref: String!) {{
  repository(owner: $owner, name: $name, followRenames: false) {{
    viewerPermission ref(qualifiedName: $ref) {{ {FIELDS} }}
  }}
}}
"""

_REMEDY = "Let the token's owner bypass these rules, or commit the files of the plan by a pull request of your own."


def rules_against(client: Client, repository: str, standing: Mapping[str, Any], *, is_app: bool) -> Iterator[Objection]:
    """What forbids a commit to the default branch; one request for each ruleset that would."""
    branch = standing.get("defaultBranchRef")
    named = _named(client, repository, standing, branch, is_app=is_app) if branch else []
    if branch and named:
        reason = f"cannot be committed: rules of the branch {branch['name']} forbid it: {', '.join(named)}"
        yield Objection(reason, _REMEDY)


def against_commit(client: Client, repository: str, branch: str) -> str:
    """Why no commit to a branch will be taken; empty where nothing forbids it."""
    owner, _, name = repository.partition("/")
    variables = {"owner": owner, "name": name, "ref": f"refs/heads/{branch}"}
    standing = (client.graphql(_BRANCH, variables).document.get("data") or {}).get("repository") or {}
    found, is_app = standing.get("ref"), client.login.permissions is not None
    named = _named(client, repository, standing, found, is_app=is_app) if found else []
    return f"rules of {branch} of {repository} forbid fleet's commit: {', '.join(named)}" if named else ""


def _named(
    client: Client, repository: str, standing: Mapping[str, Any], branch: Mapping[str, Any], *, is_app: bool
) -> list[str]:
    return [*_protection(standing, branch, is_app=is_app), *_rulesets(client, repository, branch)]


def _protection(standing: Mapping[str, Any], branch: Mapping[str, Any], *, is_app: bool) -> Iterator[str]:
    protection = branch.get("branchProtectionRule") or {}
    is_admin = standing.get("viewerPermission") == "ADMIN" and not is_app
    if not protection or (is_admin and not protection.get("isAdminEnforced")):
        return
    where = f"(protection of {protection.get('pattern')})"
    if protection.get("lockBranch"):
        yield f"it is locked {where}"
    excepted = (protection.get("bypassPullRequestAllowances") or {}).get("totalCount")
    if protection.get("requiresApprovingReviews") and not excepted:
        yield f"required reviews {where}"
    if protection.get("requiresStatusChecks"):
        yield f"required status checks {where}"


def _rulesets(client: Client, repository: str, branch: Mapping[str, Any]) -> Iterator[str]:
    rules = (branch.get("rules") or {}).get("nodes") or ()
    by_ruleset: dict[int, tuple[str, list[str]]] = {}
    for rule in rules:
        ruleset = rule.get("repositoryRuleset") or {}
        if rule.get("type") in FORBIDDING and ruleset.get("databaseId"):
            by_ruleset.setdefault(ruleset["databaseId"], (ruleset["name"], []))[1].append(rule["type"].lower())
    for number, (name, types) in by_ruleset.items():
        reply = client.rest("GET", f"/repos/{repository}/rulesets/{number}?includes_parents=true", None, 403, 404)
        found = reply.document if isinstance(reply.document, dict) else {}
        if found.get("current_user_can_bypass") in ("never", "pull_requests_only"):
            yield from (f"{kind} (ruleset {name})" for kind in types)
