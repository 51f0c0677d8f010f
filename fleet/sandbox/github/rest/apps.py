"""GitHub Apps: where they are installed, and tokens for their installations.

https://docs.github.com/rest/apps/apps
"""

from __future__ import annotations

import json
from typing import Any

from fleet.sandbox.github import views
from fleet.sandbox.github.apps import Installation
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.http import Response


def _shown(call: Call, one: Installation) -> dict[str, Any]:
    url = f"{call.base}/app/installations/{one.id}"
    return {
        "id": one.id,
        "account": views.account(call.base, one.account),
        "app_id": one.app.id,
        "app_slug": one.app.slug,
        "client_id": one.app.client_id,
        "target_id": one.account.id,
        "target_type": one.account.kind,
        "repository_selection": "all" if one.repositories is None else "selected",
        "permissions": dict(one.rights),
        "events": [],
        "single_file_name": None,
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{call.base}/installation/repositories",
        "html_url": f"{call.base}/settings/installations/{one.id}",
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "suspended_by": None,
        "suspended_at": None,
    }


def _mine(call: Call) -> list[Installation]:
    app = call.actor.require_app()
    return [one for one in call.state.installations.values() if one.app is app]


def list_installations(call: Call) -> Response:
    """GET /app/installations"""
    return call.listed(_mine(call), lambda one: _shown(call, one))


def get_installation_at(call: Call) -> Response:
    """GET /orgs/{org}/installation"""
    for one in _mine(call):
        if one.account.login.lower() == call.params["org"].lower():
            return Response.of_json(_shown(call, one))
    raise not_found()


def create_token(call: Call) -> Response:
    """POST /app/installations/{id}/access_tokens: a token for all that the installation was granted."""
    call.body({})
    for one in _mine(call):
        if str(one.id) == call.params["id"]:
            token = call.state.create_installation_token(one)
            assert token.expires_at is not None
            selection = "all" if one.repositories is None else "selected"
            document = {"permissions": dict(one.rights), "repository_selection": selection}
            issued = {"token": token.value, "expires_at": stamp(token.expires_at), **document}
            return Response.of_json(issued, 201)
    raise ApiError(404, "Integration not found")


def list_repositories(call: Call) -> Response:
    """GET /installation/repositories: those that an installation's token reaches."""
    token = call.actor.token
    if token is None or token.installed_at is None:
        raise ApiError(403, "You must authenticate with an installation access token in order to list repositories.")
    call.query()
    reached = [one for one in call.state.owned_by(token.installed_at) if call.actor.sees(one)]
    if token.repositories is not None:
        reached = [one for one in reached if one.full_name.lower() in token.repositories]
    shown = call.listed(reached, lambda one: views.repository(call.base, one, call.actor), "repositories")
    selection = "all" if token.repositories is None else "selected"
    return Response.of_json({**json.loads(shown.body), "repository_selection": selection}, headers=shown.headers)


ROUTES = (
    Route("GET", "/installation/repositories", list_repositories),
    Route("GET", "/app/installations", list_installations),
    Route("GET", "/orgs/{org}/installation", get_installation_at),
    Route("POST", "/app/installations/{id}/access_tokens", create_token),
)
