"""Users, organisations and the rate limit.

https://docs.github.com/rest/users/users, https://docs.github.com/rest/orgs/orgs
"""

from __future__ import annotations

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model import Account
from fleet.sandbox.github.rights import Need
from fleet.sandbox.http import Response


def account_named(call: Call, login: str, kind: str) -> Account:
    """The account of this kind; raises 404."""
    found = call.state.accounts.get(login.lower())
    if found is None or found.kind != kind:
        raise not_found()
    return found


def _public(call: Call, account: Account) -> int:
    return sum(not repository.private for repository in call.state.owned_by(account))


def get_me(call: Call) -> Response:
    """GET /user"""
    me = call.actor.require_account()
    private = sum(repository.private for repository in call.state.owned_by(me))
    return Response.of_json(
        {
            **views.user(call.base, me, _public(call, me)),
            "user_view_type": "private",
            "email": me.email,
            "updated_at": stamp(me.created_at),
            "private_gists": 0,
            "total_private_repos": private,
            "owned_private_repos": private,
            "disk_usage": 0,
            "collaborators": 0,
            "two_factor_authentication": True,
        }
    )


def get_user(call: Call) -> Response:
    """GET /users/{login}; an organisation is shown there too, as on GitHub."""
    found = call.state.accounts.get(call.params["login"].lower())
    if found is None:
        raise not_found()
    return Response.of_json(views.user(call.base, found, _public(call, found)))


def list_my_organizations(call: Call) -> Response:
    """GET /user/orgs"""
    me = call.actor.require_account()
    mine = [account for account in call.state.accounts.values() if me.login in account.members]
    return call.listed(mine, lambda account: views.organization(call.base, account))


def get_organization(call: Call) -> Response:
    """GET /orgs/{org}"""
    organization = account_named(call, call.params["org"], "Organization")
    me = call.actor.account
    is_member = me is not None and me.login in organization.members
    public = _public(call, organization)
    is_owner = call.actor.administers(organization)
    held = sum(one.private for one in call.state.owned_by(organization)) if is_owner else None
    document = views.full_organization(call.base, organization, public, is_member=is_member, private_repositories=held)
    return Response.of_json(document)


def _administered(call: Call) -> Account:
    """The organisation that the path names, for its owners only."""
    organization = account_named(call, call.params["org"], "Organization")
    call.actor.require_in(organization, Need("organization_administration", "read"))
    return organization


def get_organization_actions(call: Call) -> Response:
    """GET /orgs/{org}/actions/permissions"""
    organization = _administered(call)
    return Response.of_json(
        {
            "enabled_repositories": organization.enabled_repositories,
            "allowed_actions": organization.allowed_actions,
            "sha_pinning_required": False,
        }
    )


def get_organization_selected_actions(call: Call) -> Response:
    """GET /orgs/{org}/actions/permissions/selected-actions"""
    organization = _administered(call)
    if organization.allowed_actions != "selected":
        raise ApiError(409, "Conflict")
    patterns = list(organization.allowed_patterns)
    return Response.of_json({"github_owned_allowed": True, "verified_allowed": False, "patterns_allowed": patterns})


ROUTES = (
    Route("GET", "/user", get_me),
    Route("GET", "/user/orgs", list_my_organizations),
    Route("GET", "/users/{login}", get_user),
    Route("GET", "/orgs/{org}", get_organization),
    Route("GET", "/orgs/{org}/actions/permissions", get_organization_actions),
    Route("GET", "/orgs/{org}/actions/permissions/selected-actions", get_organization_selected_actions),
)
