"""Secrets and variables of Actions, and whether Actions may run.

https://docs.github.com/rest/actions/secrets, https://docs.github.com/rest/actions/variables,
https://docs.github.com/rest/actions/permissions
"""

from __future__ import annotations

import base64
import re
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import SealedBox

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Route, no_content
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.model_actions import Secret, Variable
from fleet.sandbox.github.rest.gitdata import decoded
from fleet.sandbox.http import Response

_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
_BIGGEST = 48 * 1024
"""Bytes of a secret or a variable. https://docs.github.com/actions/reference/limits"""


def _name(text: str) -> str:
    name = text.upper()
    if not _NAME.fullmatch(name):
        rule = "can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_)"
        raise ApiError(422, f"Secret names {rule}. Spaces are not allowed. Must not start with a number or GITHUB_.")
    return name


def key_id(repository: Repository) -> str:
    """The number that GitHub gives to the repository's public key."""
    return str(3_380_204_578_043_523_366 + repository.id)


def get_public_key(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/secrets/public-key"""
    key = base64.b64encode(bytes(call.repository.key.public_key)).decode()
    return Response.of_json({"key_id": key_id(call.repository), "key": key})


def _shown(secret: Secret) -> dict[str, str]:
    return {"name": secret.name, "created_at": stamp(secret.created_at), "updated_at": stamp(secret.updated_at)}


def list_secrets(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/secrets: names and times, never a value."""
    call.query()
    return call.listed(sorted(call.repository.secrets.values(), key=lambda one: one.name), _shown, "secrets")


def get_secret(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/secrets/{name}"""
    secret = call.repository.secrets.get(call.params["name"].upper())
    if secret is None:
        raise not_found()
    return Response.of_json(_shown(secret))


def put_secret(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/actions/secrets/{name}: opened here with the repository's own key."""
    fields = call.body({"encrypted_value": str, "key_id": str}, ["encrypted_value", "key_id"])
    name, repository, now = _name(call.params["name"]), call.repository, call.state.clock.now()
    if fields["key_id"] != key_id(repository):
        raise ApiError(422, "Public key ID is invalid")
    try:
        value = SealedBox(repository.key).decrypt(decoded(fields["encrypted_value"])).decode()
    except (CryptoError, UnicodeDecodeError):
        raise ApiError(422, "Bad request - secret could not be decrypted") from None
    if len(value) > _BIGGEST:
        raise ApiError(422, "Secret value is too large")
    known = repository.secrets.get(name)
    repository.secrets[name] = Secret(name, value, known.created_at if known else now, now)
    return no_content() if known else Response.of_json({}, 201)


def delete_secret(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/actions/secrets/{name}"""
    if call.repository.secrets.pop(call.params["name"].upper(), None) is None:
        raise not_found()
    return no_content()


# --- variables


def _shown_variable(variable: Variable) -> dict[str, str]:
    times = {"created_at": stamp(variable.created_at), "updated_at": stamp(variable.updated_at)}
    return {"name": variable.name, "value": variable.value, **times}


def list_variables(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/variables"""
    call.query()
    found = sorted(call.repository.variables.values(), key=lambda one: one.name)
    return call.listed(found, _shown_variable, "variables")


def _variable(call: Call) -> Variable:
    variable = call.repository.variables.get(call.params["name"].upper())
    if variable is None:
        raise not_found()
    return variable


def get_variable(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/variables/{name}"""
    return Response.of_json(_shown_variable(_variable(call)))


def create_variable(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/actions/variables"""
    fields = call.body({"name": str, "value": str}, ["name", "value"])
    name, now = _name(fields["name"]), call.state.clock.now()
    if name in call.repository.variables:
        raise ApiError(409, "Already exists - Variable already exists")
    call.repository.variables[name] = Variable(name, fields["value"], now, now)
    return Response.of_json({}, 201)


def update_variable(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}/actions/variables/{name}"""
    fields, variable = call.body({"name": str, "value": str}), _variable(call)
    del call.repository.variables[variable.name]
    variable.name = _name(fields.get("name", variable.name))
    variable.value = fields.get("value", variable.value)
    variable.updated_at = call.state.clock.now()
    call.repository.variables[variable.name] = variable
    return no_content()


def delete_variable(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}/actions/variables/{name}"""
    del call.repository.variables[_variable(call).name]
    return no_content()


# --- may Actions run


def get_permissions(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/permissions"""
    repository = call.repository
    document: dict[str, Any] = {"enabled": repository.actions_enabled, "sha_pinning_required": False}
    if repository.actions_enabled:
        document["allowed_actions"] = repository.allowed_actions
    if repository.allowed_actions == "selected":
        url = views.repository_url(call.base, repository)
        document["selected_actions_url"] = f"{url}/actions/permissions/selected-actions"
    return Response.of_json(document)


def put_permissions(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/actions/permissions"""
    fields = call.body({"enabled": bool, "allowed_actions": str}, ["enabled"])
    allowed = fields.get("allowed_actions", call.repository.allowed_actions)
    if allowed not in ("all", "local_only", "selected"):
        raise ApiError(422, f"{allowed} is not a valid value for allowed_actions")
    call.repository.actions_enabled, call.repository.allowed_actions = fields["enabled"], allowed
    return no_content()


def get_selected_actions(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/actions/permissions/selected-actions"""
    if call.repository.allowed_actions != "selected":
        raise ApiError(409, "Conflict")
    patterns = list(call.repository.allowed_patterns)
    return Response.of_json({"github_owned_allowed": True, "verified_allowed": False, "patterns_allowed": patterns})


_ROOT = "/repos/{owner}/{repo}/actions"
ROUTES = (
    Route("GET", f"{_ROOT}/secrets/public-key", get_public_key, "secrets=read"),
    Route("GET", f"{_ROOT}/secrets", list_secrets, "secrets=read"),
    Route("GET", f"{_ROOT}/secrets/{{name}}", get_secret, "secrets=read"),
    Route("PUT", f"{_ROOT}/secrets/{{name}}", put_secret, "secrets=write"),
    Route("DELETE", f"{_ROOT}/secrets/{{name}}", delete_secret, "secrets=write"),
    Route("GET", f"{_ROOT}/variables", list_variables, "actions_variables=read"),
    Route("POST", f"{_ROOT}/variables", create_variable, "actions_variables=write"),
    Route("GET", f"{_ROOT}/variables/{{name}}", get_variable, "actions_variables=read"),
    Route("PATCH", f"{_ROOT}/variables/{{name}}", update_variable, "actions_variables=write"),
    Route("DELETE", f"{_ROOT}/variables/{{name}}", delete_variable, "actions_variables=write"),
    Route("GET", f"{_ROOT}/permissions", get_permissions, "administration=read"),
    Route("PUT", f"{_ROOT}/permissions", put_permissions, "administration=write"),
    Route("GET", f"{_ROOT}/permissions/selected-actions", get_selected_actions, "administration=read"),
)
