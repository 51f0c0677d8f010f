"""Where queries begin: repositories, organisations, the viewer and the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo

from fleet.sandbox.github import views
from fleet.sandbox.github.clock import from_seconds, stamp
from fleet.sandbox.github.graphql.values import Context, page, refused
from fleet.sandbox.github.model import VISIBILITIES, Account, Repository

Info = GraphQLResolveInfo[Context]


def _repository(_: Any, info: Info, owner: str, name: str, *, followRenames: bool = True) -> Repository:  # noqa: N803
    context = info.context
    settings, full_name = context.state.settings, f"{owner}/{name}"
    context.looked_up += 1
    if settings.graphql_most_repositories is not None and context.looked_up > settings.graphql_most_repositories:
        raise refused("RESOURCE_LIMITS_EXCEEDED", "Resource limits for this query exceeded.")
    if full_name.lower() in settings.graphql_broken:
        raise refused("INTERNAL", "Something went wrong while executing your query.")
    found = context.state.find_repository(full_name)
    hidden = found is None or not context.actor.sees(found) or (found.veil is not None and not found.veil.look())
    if found is None or hidden or (not followRenames and found.full_name.lower() != full_name.lower()):
        raise refused("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
    context.state.settle(found, looked=True)
    return found


def _organization(_: Any, info: Info, login: str) -> Account:
    found: Account | None = info.context.state.accounts.get(login.lower())
    if found is None or found.kind != "Organization":
        raise refused("NOT_FOUND", f"Could not resolve to an Organization with the login of '{login}'.")
    return found


def _rate_limit(_: Any, info: Info) -> dict[str, Any]:
    context = info.context
    standing = context.meter.standing(context.actor.client, "graphql")
    return {
        "cost": context.price.points,
        "nodeCount": context.price.nodes,
        "limit": standing.limit,
        "used": standing.used,
        "remaining": standing.remaining,
        "resetAt": stamp(from_seconds(standing.reset)),
    }


def _repositories(owner: Account, info: Info, first: int | None = None, after: str | None = None) -> dict[str, Any]:
    context = info.context
    found = [one for one in context.state.owned_by(owner) if context.actor.sees(one)]
    shown = [one for one in found if one.veil is None or one.veil.lifted]
    return page("repositories", lambda: shown, first, after)


def _role(organization: Account, info: Info) -> str | None:
    account = info.context.actor.account
    return organization.members.get(account.login) if account else None


def may_create(role: str | None, organization: Account) -> bool:
    """Whether somebody with this role may create repositories of some visibility."""
    return role == "admin" or (role == "member" and any(organization.members_can_create(one) for one in VISIBILITIES))


_ACCOUNT: dict[str, Callable[..., Any]] = {
    "id": lambda one, _: views.account_node(one),
    "databaseId": lambda one, _: one.id,
    "login": lambda one, _: one.login,
    "name": lambda one, _: one.name or None,
    "url": lambda one, info: f"{info.context.base}/{one.login}",
}

RESOLVERS: dict[str, dict[str, Callable[..., Any]]] = {
    "Query": {
        "repository": _repository,
        "organization": _organization,
        "viewer": lambda _, info: info.context.actor.require_account(),
        "rateLimit": _rate_limit,
    },
    "User": _ACCOUNT,
    "Organization": {
        **_ACCOUNT,
        "viewerCanAdminister": lambda one, info: _role(one, info) == "admin",
        "viewerCanCreateRepositories": lambda one, info: may_create(_role(one, info), one),
        "repositories": _repositories,
    },
}
