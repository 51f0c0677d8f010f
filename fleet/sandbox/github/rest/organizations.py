"""Secrets and variables of Actions that an organisation keeps for its repositories, and which of these it gives
them to.

https://docs.github.com/rest/actions/secrets, https://docs.github.com/rest/actions/variables
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Route, no_content
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model import Account, Repository
from fleet.sandbox.github.model_actions import Audience, OrganizationSecret, OrganizationVariable
from fleet.sandbox.github.rest import secrets
from fleet.sandbox.github.rest.accounts import account_named
from fleet.sandbox.github.rights import Need
from fleet.sandbox.http import WRITES, Response

Kept = OrganizationSecret | OrganizationVariable


@dataclass(frozen=True, slots=True)
class _Organization:
    """The organisation that a path names, for those who have a right there."""

    permission: str

    def __call__(self, call: Call) -> Account:
        organization = account_named(call, call.params["org"], "Organization")
        level = "write" if call.request.method in WRITES else "read"
        call.actor.require_in(organization, Need.parse(f"{self.permission}={level}"))
        return organization


_of_secrets = _Organization("organization_secrets")
_of_variables = _Organization("organization_actions_variables")


def _secret(call: Call) -> OrganizationSecret:
    found = _of_secrets(call).secrets.get(call.params["name"].upper())
    if found is None:
        raise not_found()
    return found


def _variable(call: Call) -> OrganizationVariable:
    found = _of_variables(call).variables.get(call.params["name"].upper())
    if found is None:
        raise not_found()
    return found


def _audience(call: Call, kept: Kept, what: str) -> dict[str, Any]:
    """Whom something is given to, as GitHub shows it."""
    shown: dict[str, Any] = {"visibility": kept.visibility}
    if kept.visibility == "selected":
        path = f"/orgs/{call.params['org']}/actions/{what}/{kept.name}/repositories"
        shown["selected_repositories_url"] = f"{call.base}{path}"
    return shown


def _shown_secret(call: Call, secret: OrganizationSecret) -> dict[str, Any]:
    return {**secrets.shown(secret), **_audience(call, secret, "secrets")}


def _shown_variable(call: Call, variable: OrganizationVariable) -> dict[str, Any]:
    return {**secrets.shown_variable(variable), **_audience(call, variable, "variables")}


def get_public_key(call: Call) -> Response:
    """GET /orgs/{org}/actions/secrets/public-key"""
    return Response.of_json(secrets.public_key(_of_secrets(call)))


def list_secrets(call: Call) -> Response:
    """GET /orgs/{org}/actions/secrets"""
    call.query()
    found = sorted(_of_secrets(call).secrets.values(), key=lambda one: one.name)
    return call.listed(found, lambda one: _shown_secret(call, one), "secrets")


def get_secret(call: Call) -> Response:
    """GET /orgs/{org}/actions/secrets/{secret_name}"""
    return Response.of_json(_shown_secret(call, _secret(call)))


def put_secret(call: Call) -> Response:
    """PUT /orgs/{org}/actions/secrets/{secret_name}: the list of repositories, where one is given, replaces theirs."""
    known = {"encrypted_value": str, "key_id": str, "visibility": str, "selected_repository_ids": list}
    fields, organization = call.body(known, ["visibility"]), _of_secrets(call)
    name, now = secrets.checked_name(call.params["name"]), call.state.clock.now()
    value = secrets.opened(organization, fields.get("encrypted_value", ""), fields.get("key_id", ""))
    standing = organization.secrets.get(name)
    visibility, chosen = _given(call, organization, fields, standing)
    created = standing.created_at if standing else now
    organization.secrets[name] = OrganizationSecret(name, value, created, now, visibility, chosen)
    return no_content() if standing else Response.of_json({}, 201)


def _given(
    call: Call, organization: Account, fields: dict[str, Any], standing: Kept | None
) -> tuple[Audience, set[int]]:
    """Whom a body has something given to."""
    visibility = fields.get("visibility", standing.visibility if standing else "private")
    if visibility not in get_args(Audience):
        raise ApiError(422, f"Invalid request.\n\n{visibility} is not a member of {list(get_args(Audience))}.")
    ids = fields.get("selected_repository_ids")
    if ids is None:
        return visibility, standing.selected if standing and visibility == "selected" else set()
    if visibility != "selected":
        raise ApiError(422, "Repository ids can only be given when the visibility is selected")
    return visibility, {_owned(call, organization, number).id for number in ids}


def _owned(call: Call, organization: Account, number: object) -> Repository:
    """A repository of the organisation by its number."""
    found = call.state.repositories.get(number) if isinstance(number, int) else None
    if found is None or found.owner is not organization:
        raise ApiError(422, f"The repository {number} does not belong to {organization.login}")
    return found


def list_variables(call: Call) -> Response:
    """GET /orgs/{org}/actions/variables"""
    call.query()
    found = sorted(_of_variables(call).variables.values(), key=lambda one: one.name)
    return call.listed(found, lambda one: _shown_variable(call, one), "variables")


def get_variable(call: Call) -> Response:
    """GET /orgs/{org}/actions/variables/{name}"""
    return Response.of_json(_shown_variable(call, _variable(call)))


_VARIABLE = {"name": str, "value": str, "visibility": str, "selected_repository_ids": list}


def create_variable(call: Call) -> Response:
    """POST /orgs/{org}/actions/variables"""
    fields, organization = call.body(_VARIABLE, ["name", "value", "visibility"]), _of_variables(call)
    name, now = secrets.checked_name(fields["name"]), call.state.clock.now()
    if name in organization.variables:
        raise ApiError(409, "Already exists - Variable already exists")
    given = _given(call, organization, fields, None)
    organization.variables[name] = OrganizationVariable(name, fields["value"], now, now, *given)
    return Response.of_json({}, 201)


def update_variable(call: Call) -> Response:
    """PATCH /orgs/{org}/actions/variables/{name}"""
    fields, variable, organization = call.body(_VARIABLE), _variable(call), _of_variables(call)
    variable.visibility, variable.selected = _given(call, organization, fields, variable)
    del organization.variables[variable.name]
    variable.name = secrets.checked_name(fields.get("name", variable.name))
    variable.value, variable.updated_at = fields.get("value", variable.value), call.state.clock.now()
    organization.variables[variable.name] = variable
    return no_content()


def delete_secret(call: Call) -> Response:
    """DELETE /orgs/{org}/actions/secrets/{secret_name}"""
    del _of_secrets(call).secrets[_secret(call).name]
    return no_content()


def delete_variable(call: Call) -> Response:
    """DELETE /orgs/{org}/actions/variables/{name}"""
    del _of_variables(call).variables[_variable(call).name]
    return no_content()


# --- which repositories


_CONFLICT = Response(409)
"""It is not given to selected repositories; the description has no body for it."""


@dataclass(frozen=True, slots=True)
class Places:
    """The repositories that something of an organisation is given to."""

    kept: Callable[[Call], Kept]

    def list(self, call: Call) -> Response:
        """GET …/repositories; a variable that is given to more than selected ones has no list."""
        call.query()
        kept = self.kept(call)
        if kept.visibility != "selected" and isinstance(kept, OrganizationVariable):
            return _CONFLICT
        known = call.state.repositories
        found = [known[number] for number in sorted(kept.selected) if number in known]
        return call.listed(found, lambda one: views.minimal_repository(call.base, one), "repositories")

    def add(self, call: Call) -> Response:
        """PUT …/repositories/{repository_id}"""
        kept, number = self.kept(call), call.params["number"]
        if kept.visibility != "selected":
            return _CONFLICT
        found = call.state.repositories.get(int(number)) if number.isdecimal() else None
        if found is None or found.owner.login.lower() != call.params["org"].lower():
            raise not_found()
        kept.selected.add(found.id)
        return no_content()

    def remove(self, call: Call) -> Response:
        """DELETE …/repositories/{repository_id}"""
        kept, number = self.kept(call), call.params["number"]
        if kept.visibility != "selected":
            return _CONFLICT
        kept.selected.discard(int(number) if number.isdecimal() else 0)
        return no_content()


_ROOT = "/orgs/{org}/actions"


def _places(what: str, kept: Callable[[Call], Kept]) -> tuple[Route, ...]:
    places, path = Places(kept), f"{_ROOT}/{what}/{{name}}/repositories"
    return (
        Route("GET", path, places.list),
        Route("PUT", f"{path}/{{number}}", places.add),
        Route("DELETE", f"{path}/{{number}}", places.remove),
    )


ROUTES = (
    Route("GET", f"{_ROOT}/secrets/public-key", get_public_key),
    Route("GET", f"{_ROOT}/secrets", list_secrets),
    Route("GET", f"{_ROOT}/secrets/{{name}}", get_secret),
    Route("PUT", f"{_ROOT}/secrets/{{name}}", put_secret),
    Route("DELETE", f"{_ROOT}/secrets/{{name}}", delete_secret),
    Route("GET", f"{_ROOT}/variables", list_variables),
    Route("POST", f"{_ROOT}/variables", create_variable),
    Route("GET", f"{_ROOT}/variables/{{name}}", get_variable),
    Route("PATCH", f"{_ROOT}/variables/{{name}}", update_variable),
    Route("DELETE", f"{_ROOT}/variables/{{name}}", delete_variable),
    *_places("secrets", _secret),
    *_places("variables", _variable),
)
