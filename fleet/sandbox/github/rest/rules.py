"""Rulesets and branch protection.

https://docs.github.com/rest/repos/rules, https://docs.github.com/rest/branches/branch-protection
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Fields, Route, no_content
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found, unsupported
from fleet.sandbox.github.model import Ruleset
from fleet.sandbox.github.pushes import KNOWN_RULES, rules_of
from fleet.sandbox.http import Response

_RULESET: Fields = {
    "name": str,
    "target": str,
    "enforcement": str,
    "bypass_actors": list,
    "conditions": dict,
    "rules": list,
}


def _shown(call: Call, ruleset: Ruleset, *, whole: bool = True) -> dict[str, Any]:
    url = f"{views.repository_url(call.base, call.repository)}/rulesets/{ruleset.id}"
    document = {
        "id": ruleset.id,
        "name": ruleset.name,
        "target": "branch",
        "source_type": "Repository",
        "source": call.repository.full_name,
        "enforcement": ruleset.enforcement,
        "node_id": views.node_id("RRS", ruleset.id),
        "_links": {
            "self": {"href": url},
            "html": {"href": f"{call.base}/{call.repository.full_name}/rules/{ruleset.id}"},
        },
        "created_at": stamp(ruleset.created_at),
        "updated_at": stamp(ruleset.updated_at),
    }
    if whole:
        document["conditions"] = {"ref_name": {"include": list(ruleset.include), "exclude": list(ruleset.exclude)}}
        document["rules"] = [dict(rule) for rule in ruleset.rules]
        document["bypass_actors"] = []
        document["current_user_can_bypass"] = "never"
    return document


def list_rulesets(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/rulesets"""
    call.query("includes_parents")
    return call.listed(list(call.repository.rulesets.values()), lambda one: _shown(call, one, whole=False))


def _ruleset(call: Call) -> Ruleset:
    number = call.params["id"]
    found = call.repository.rulesets.get(int(number)) if number.isdecimal() else None
    if found is None:
        raise not_found()
    return found


def get_ruleset(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/rulesets/{id}"""
    call.query("includes_parents")
    return Response.of_json(_shown(call, _ruleset(call)))


def create_ruleset(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/rulesets"""
    fields, now = call.body(_RULESET, ["name", "enforcement"]), call.state.clock.now()
    names = _conditions(fields)
    ruleset = Ruleset(
        call.state.next_id(),
        fields["name"],
        fields["enforcement"],
        tuple(names.get("include", ())),
        tuple(names.get("exclude", ())),
        tuple(fields.get("rules", ())),
        now,
        now,
    )
    call.repository.rulesets[ruleset.id] = ruleset
    return Response.of_json(_shown(call, ruleset), 201)


def _conditions(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Which branches are meant; what the sandbox would not obey is refused."""
    if fields.get("bypass_actors"):
        raise unsupported("bypass_actors of a ruleset")
    if fields.get("target", "branch") != "branch":
        raise unsupported(f"the target {fields['target']!r} of a ruleset")
    if fields["enforcement"] not in ("disabled", "active", "evaluate"):
        raise ApiError(422, "Invalid request.\n\nenforcement is not one of disabled, active, evaluate.")
    for rule in fields.get("rules", ()):
        if rule.get("type") not in KNOWN_RULES:
            raise unsupported(f"the rule {rule.get('type')!r}")
    conditions = fields.get("conditions", {})
    for name in conditions:
        if name != "ref_name":
            raise unsupported(f"the condition {name!r} of a ruleset")
    names: Mapping[str, Any] = conditions.get("ref_name", {})
    return names


def delete_ruleset(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/rulesets/{id}"""
    del call.repository.rulesets[_ruleset(call).id]
    return no_content()


def get_branch_rules(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/rules/branches/{branch}: the rules that are active there."""
    call.query()
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.repository.full_name}
    found = list(rules_of(call.repository, call.params["branch"]))
    return call.listed(found, lambda one: {**one[1], **source, "ruleset_id": one[0].id})


# --- branch protection

_OFF = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)
"""Parts of a protection that are shown and never on."""


def get_protection(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/branches/{branch}/protection"""
    branch = call.params["branch"]
    protection = call.repository.protection.get(branch)
    if protection is None:
        raise ApiError(404, "Branch not protected")
    url = f"{views.repository_url(call.base, call.repository)}/branches/{branch}/protection"
    document: dict[str, Any] = {
        "url": url,
        "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": protection.enforce_admins},
        **{name: {"enabled": False} for name in _OFF},
    }
    if protection.required_checks:
        document["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "strict": False,
            "contexts": list(protection.required_checks),
            "contexts_url": f"{url}/required_status_checks/contexts",
            "checks": [{"context": context, "app_id": None} for context in protection.required_checks],
        }
    if protection.required_reviews:
        document["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False,
            "required_approving_review_count": protection.required_reviews,
        }
    return Response.of_json(document)


_ROOT = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_ROOT}/rulesets", list_rulesets, "metadata=read"),
    Route("POST", f"{_ROOT}/rulesets", create_ruleset, "administration=write"),
    Route("GET", f"{_ROOT}/rulesets/{{id}}", get_ruleset, "metadata=read"),
    Route("DELETE", f"{_ROOT}/rulesets/{{id}}", delete_ruleset, "administration=write"),
    Route("GET", f"{_ROOT}/rules/branches/{{branch+}}", get_branch_rules, "metadata=read"),
    Route("GET", f"{_ROOT}/branches/{{branch+}}/protection", get_protection, "administration=read"),
)
