"""Fields of repositories, their branches and the rules on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLResolveInfo

from fleet.sandbox.github import views
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.graphql.values import Context, GitObject, Ref, page
from fleet.sandbox.github.model import Protection, Repository, Ruleset
from fleet.sandbox.github.objects import find, read_commit
from fleet.sandbox.github.pushes import rules_of
from fleet.sandbox.github.rights import Actor

Info = GraphQLResolveInfo[Context]


def _topics(one: Repository, _: Info, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    topics = [
        {
            "id": views.node_id("RT", f"{one.id}:{name}"),
            "topic": {"id": views.node_id("T", name), "name": name},
        }
        for name in one.topics
    ]
    return page("repositoryTopics", lambda: topics, first, after)


def _default_branch(one: Repository, _: Info) -> Ref | None:
    return Ref(one, f"refs/heads/{one.default_branch}") if one.head else None


def _ref(one: Repository, _: Info, qualifiedName: str) -> Ref | None:  # noqa: N803
    names = (qualifiedName, f"refs/heads/{qualifiedName}", f"refs/tags/{qualifiedName}")
    return next((Ref(one, name) for name in names if name in one.refs), None)


def _object(one: Repository, info: Info, expression: str | None = None, oid: str | None = None) -> GitObject | None:
    """What `HEAD:path`, a branch or an id names; None when there is no such thing."""
    context = info.context
    context.require("contents=read", one)
    revision, colon, path = (expression or oid or "").partition(":")
    oid = one.head if revision == "HEAD" else _resolved(one, revision)
    found = context.state.store.read(oid) if oid else None
    if oid is None or found is None:
        return None
    if not colon:
        return GitObject(one, oid, found.kind)
    if found.kind not in ("commit", "tree"):
        return None
    tree = oid if found.kind == "tree" else read_commit(context.state.store, oid).tree
    entry = find(context.state.store, tree, path)
    return None if entry is None else GitObject(one, entry.oid, entry.kind)


def _resolved(one: Repository, revision: str) -> str:
    names = (revision, f"refs/{revision}", f"refs/tags/{revision}", f"refs/heads/{revision}")
    return next((one.refs[name] for name in names if name in one.refs), revision)


def _permission(actor: Actor, one: Repository) -> str | None:
    role = actor.role_on(one)
    return role.upper() if role else None


_REPOSITORY: dict[str, Callable[..., Any]] = {
    "id": lambda one, _: views.node_id("R", one.id),
    "databaseId": lambda one, _: one.id,
    "name": lambda one, _: one.name,
    "nameWithOwner": lambda one, _: one.full_name,
    "owner": lambda one, _: one.owner,
    "description": lambda one, _: one.description,
    "homepageUrl": lambda one, _: one.homepage,
    "url": lambda one, info: f"{info.context.base}/{one.full_name}",
    "visibility": lambda one, _: one.visibility.upper(),
    "isArchived": lambda one, _: one.archived,
    "isDisabled": lambda _one, _: False,
    "isEmpty": lambda one, _: not one.refs,
    "isPrivate": lambda one, _: one.private,
    "isTemplate": lambda one, _: one.is_template,
    "createdAt": lambda one, _: stamp(one.created_at),
    "updatedAt": lambda one, _: stamp(one.updated_at),
    "pushedAt": lambda one, _: stamp(one.pushed_at),
    "viewerPermission": lambda one, info: _permission(info.context.actor, one),
    "viewerCanAdminister": lambda one, info: info.context.actor.role_on(one) == "admin",
    "templateRepository": lambda one, _: one.template,
    "repositoryTopics": _topics,
    "defaultBranchRef": _default_branch,
    "ref": _ref,
    "object": _object,
}


# --- branches and rules


def _target(ref: Ref, info: Info) -> GitObject:
    info.context.require("contents=read", ref.repository)
    oid = ref.repository.refs[ref.name]
    found = info.context.state.store.read(oid)
    assert found is not None
    return GitObject(ref.repository, oid, found.kind)


def _branch(ref: Ref) -> str:
    return ref.name.removeprefix("refs/heads/")


def _rules(ref: Ref, _: Info, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    found = [
        _rule(ruleset, number, rule) for number, (ruleset, rule) in enumerate(rules_of(ref.repository, _branch(ref)))
    ]
    return page("rules", lambda: found, first, after)


def _rule(ruleset: Ruleset, number: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": views.node_id("RRU", f"{ruleset.id}:{number}"),
        "type": rule["type"].upper(),
        "repositoryRuleset": {
            "id": views.node_id("RRS", ruleset.id),
            "databaseId": ruleset.id,
            "name": ruleset.name,
            "enforcement": ruleset.enforcement.upper(),
            "createdAt": stamp(ruleset.created_at),
            "updatedAt": stamp(ruleset.updated_at),
        },
    }


def _protection(ref: Ref, _: Info) -> dict[str, Any] | None:
    found: Protection | None = ref.repository.protection.get(_branch(ref))
    if found is None:
        return None
    return {
        "id": views.node_id("BPR", f"{ref.repository.id}:{ref.name}"),
        "pattern": _branch(ref),
        "isAdminEnforced": found.enforce_admins,
        "requiresApprovingReviews": found.required_reviews > 0,
        "requiredApprovingReviewCount": found.required_reviews or None,
        "requiresStatusChecks": bool(found.required_checks),
        "requiredStatusCheckContexts": list(found.required_checks),
        "lockBranch": False,
        "bypassPullRequestAllowances": lambda _info, first=None, after=None: page(
            "bypassPullRequestAllowances", lambda: (), first, after
        ),
    }


_REF: dict[str, Callable[..., Any]] = {
    "id": lambda ref, _: ref.id,
    "name": lambda ref, _: ref.name.split("/", 2)[2],
    "prefix": lambda ref, _: "/".join(ref.name.split("/", 2)[:2]) + "/",
    "repository": lambda ref, _: ref.repository,
    "target": _target,
    "rules": _rules,
    "branchProtectionRule": _protection,
}

RESOLVERS = {"Repository": _REPOSITORY, "Ref": _REF}
