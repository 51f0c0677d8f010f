"""Secrets and variables of Actions, of repositories and of environments, and whether Actions may run.

https://docs.github.com/rest/actions/secrets, https://docs.github.com/rest/actions/variables,
https://docs.github.com/rest/actions/permissions
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import SealedBox

from fleet.sandbox.github import views
from fleet.sandbox.github.call import Call, Route, no_content
from fleet.sandbox.github.clock import stamp
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model_actions import OwnVault, Secret, Variable, Vault
from fleet.sandbox.github.rest.gitdata import decoded
from fleet.sandbox.http import Response

_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
_BIGGEST = 48 * 1024
"""Bytes of a secret or a variable. https://docs.github.com/actions/reference/limits"""


def checked_name(text: str) -> str:
    """A name as GitHub keeps it; raises 422 for one that it won't take."""
    name = text.upper()
    if not _NAME.fullmatch(name):
        rule = "can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_)"
        raise ApiError(422, f"Secret names {rule}. Spaces are not allowed. Must not start with a number or GITHUB_.")
    return name


def key_id(vault: Vault) -> str:
    """The number that GitHub gives to a public key."""
    return str(3_380_204_578_043_523_366 + vault.id)


def public_key(vault: Vault) -> dict[str, str]:
    """What secrets are sealed with."""
    return {"key_id": key_id(vault), "key": base64.b64encode(bytes(vault.key.public_key)).decode()}


def shown(secret: Secret) -> dict[str, str]:
    """Name and times of a secret."""
    return {"name": secret.name, "created_at": stamp(secret.created_at), "updated_at": stamp(secret.updated_at)}


def shown_variable(variable: Variable) -> dict[str, str]:
    """A variable with its times."""
    times = {"created_at": stamp(variable.created_at), "updated_at": stamp(variable.updated_at)}
    return {"name": variable.name, "value": variable.value, **times}


def opened(vault: Vault, sealed: str, key: str) -> str:
    """A sealed value, opened with the vault's own key; raises 422."""
    if key != key_id(vault):
        raise ApiError(422, "Public key ID is invalid")
    try:
        value = SealedBox(vault.key).decrypt(decoded(sealed)).decode()
    except (CryptoError, UnicodeDecodeError):
        raise ApiError(422, "Bad request - secret could not be decrypted") from None
    if len(value) > _BIGGEST:
        raise ApiError(422, "Secret value is too large")
    return value


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of the vault that a path names."""

    vault: Callable[[Call], OwnVault]

    def get_public_key(self, call: Call) -> Response:
        """GET …/secrets/public-key"""
        return Response.of_json(public_key(self.vault(call)))

    def list(self, call: Call) -> Response:
        """GET …/secrets: names and times, never a value."""
        call.query()
        return call.listed(sorted(self.vault(call).secrets.values(), key=lambda one: one.name), shown, "secrets")

    def get(self, call: Call) -> Response:
        """GET …/secrets/{name}"""
        secret = self.vault(call).secrets.get(call.params["name"].upper())
        if secret is None:
            raise not_found()
        return Response.of_json(shown(secret))

    def put(self, call: Call) -> Response:
        """PUT …/secrets/{name}: opened here with the vault's own key."""
        fields = call.body({"encrypted_value": str, "key_id": str}, ["encrypted_value", "key_id"])
        name, vault, now = checked_name(call.params["name"]), self.vault(call), call.state.clock.now()
        value = opened(vault, fields["encrypted_value"], fields["key_id"])
        known = vault.secrets.get(name)
        vault.secrets[name] = Secret(name, value, known.created_at if known else now, now)
        return no_content() if known else Response.of_json({}, 201)

    def delete(self, call: Call) -> Response:
        """DELETE …/secrets/{name}"""
        if self.vault(call).secrets.pop(call.params["name"].upper(), None) is None:
            raise not_found()
        return no_content()

    def routes(self, root: str, need: str) -> tuple[Route, ...]:
        """All of them under a path, for those who have a right."""
        return (
            Route("GET", f"{root}/secrets/public-key", self.get_public_key, f"{need}=read"),
            Route("GET", f"{root}/secrets", self.list, f"{need}=read"),
            Route("GET", f"{root}/secrets/{{name}}", self.get, f"{need}=read"),
            Route("PUT", f"{root}/secrets/{{name}}", self.put, f"{need}=write"),
            Route("DELETE", f"{root}/secrets/{{name}}", self.delete, f"{need}=write"),
        )


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of the vault that a path names."""

    vault: Callable[[Call], OwnVault]

    def _named(self, call: Call) -> Variable:
        variable = self.vault(call).variables.get(call.params["name"].upper())
        if variable is None:
            raise not_found()
        return variable

    def list(self, call: Call) -> Response:
        """GET …/variables"""
        call.query()
        found = sorted(self.vault(call).variables.values(), key=lambda one: one.name)
        return call.listed(found, shown_variable, "variables")

    def get(self, call: Call) -> Response:
        """GET …/variables/{name}"""
        return Response.of_json(shown_variable(self._named(call)))

    def create(self, call: Call) -> Response:
        """POST …/variables"""
        fields = call.body({"name": str, "value": str}, ["name", "value"])
        name, now, vault = checked_name(fields["name"]), call.state.clock.now(), self.vault(call)
        if name in vault.variables:
            raise ApiError(409, "Already exists - Variable already exists")
        vault.variables[name] = Variable(name, fields["value"], now, now)
        return Response.of_json({}, 201)

    def update(self, call: Call) -> Response:
        """PATCH …/variables/{name}"""
        fields, variable, vault = call.body({"name": str, "value": str}), self._named(call), self.vault(call)
        del vault.variables[variable.name]
        variable.name = checked_name(fields.get("name", variable.name))
        variable.value = fields.get("value", variable.value)
        variable.updated_at = call.state.clock.now()
        vault.variables[variable.name] = variable
        return no_content()

    def delete(self, call: Call) -> Response:
        """DELETE …/variables/{name}"""
        del self.vault(call).variables[self._named(call).name]
        return no_content()

    def routes(self, root: str, need: str) -> tuple[Route, ...]:
        """All of them under a path, for those who have a right."""
        return (
            Route("GET", f"{root}/variables", self.list, f"{need}=read"),
            Route("POST", f"{root}/variables", self.create, f"{need}=write"),
            Route("GET", f"{root}/variables/{{name}}", self.get, f"{need}=read"),
            Route("PATCH", f"{root}/variables/{{name}}", self.update, f"{need}=write"),
            Route("DELETE", f"{root}/variables/{{name}}", self.delete, f"{need}=write"),
        )


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


def _repository(call: Call) -> OwnVault:
    return call.repository


_ROOT = "/repos/{owner}/{repo}/actions"
ROUTES = (
    *Secrets(_repository).routes(_ROOT, "secrets"),
    *Variables(_repository).routes(_ROOT, "actions_variables"),
    Route("GET", f"{_ROOT}/permissions", get_permissions, "administration=read"),
    Route("PUT", f"{_ROOT}/permissions", put_permissions, "administration=write"),
    Route("GET", f"{_ROOT}/permissions/selected-actions", get_selected_actions, "administration=read"),
)
