"""A sandbox of Azure as far as one container registry needs it: Entra's logins and the Resource Manager's registry.

Every request to the Resource Manager needs its own permission; what is new is made by a long-running operation, and a
password is shown once. https://learn.microsoft.com/rest/api/containerregistry/ (2025-11-01),
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from fleet.sandbox.http import Request, Response

FEDERATION = "api://AzureADTokenExchange"
"""The audience of a token that stands in for an application's secret."""

PROVIDER = "Microsoft.ContainerRegistry"
RIGHTS = tuple(
    f"{PROVIDER}/registries/{action}"
    for action in (
        "scopeMaps/read",
        "scopeMaps/write",
        "scopeMaps/delete",
        "tokens/read",
        "tokens/write",
        "tokens/delete",
        "generateCredentials/action",
    )
)
"""All that a login needs to issue credentials."""

MAY_ASK = "Microsoft.Authorization/permissions/read"
"""What a login needs to be told what it may do."""

_REGISTRY = re.compile(
    rf"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/{PROVIDER}"
    r"/registries/(?P<registry>[^/]+)/(?P<collection>scopeMaps|tokens|generateCredentials"
    r"|providers/Microsoft\.Authorization/permissions)(?:/(?P<name>[^/]+))?",
    re.IGNORECASE,
)
_OPERATION = re.compile(r"/operations/(?P<key>[0-9a-f]+)(?P<result>/result)?")
_NAME = re.compile(r"[A-Za-z0-9-]{5,50}")
_ENTRA = re.compile(r"/(?P<tenant>[^/]+)(?P<what>/v2\.0/\.well-known/openid-configuration|/oauth2/v2\.0/token)")


@dataclass(slots=True)
class Client:
    """An application of Entra: its secret, what it may do, and its role on the registry (AcrPull, AcrPush or none).

    `subjects` are those of its federated credentials, whom it trusts when GitHub vouches for them.
    """

    secret: str
    rights: set[str] = field(default_factory=lambda: {*RIGHTS, MAY_ASK})
    role: str = "AcrPull"
    expired: bool = False
    subjects: frozenset[str] = frozenset()


class AzureState:
    """One tenant, one subscription and one registry; hold `lock` to look at several things at once.

    scope_maps: name → `description`, `actions`. tokens: name → `scope_map`, `status`, and `passwords` by slot, each
    with `value` and `created`.
    """

    def __init__(self, registry: str = "example") -> None:
        self.lock = threading.RLock()
        self.registry, self.tenant = registry, "the-tenant"
        self.subscription, self.group = "0b1f6471-1bf0-4dda-aec3-111122223333", "hubs"
        self.clients: dict[str, Client] = {}
        self.scope_maps: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.access: dict[str, tuple[str, str]] = {}
        self.operations: dict[str, Any] = {}
        self.issuers: dict[str, RSAPublicKey] = {}

    @property
    def scope(self) -> str:
        """The registry as the Resource Manager names it."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/{PROVIDER}/registries/{self.registry}"

    def client_of(self, token: str, audience: str) -> tuple[str, Client] | None:
        """Whose an access token is, None for one that is unknown, expired, or meant for somebody else."""
        name, meant_for = self.access.get(token, ("", ""))
        client = self.clients.get(name)
        return (name, client) if client and not client.expired and meant_for == audience else None

    def rights_of(self, username: str, password: str, repository: str) -> frozenset[str] | None:
        """What a token of the registry may do in a repository; None for a login that is none."""
        token = self.tokens.get(username)
        if token is None or token["status"] != "enabled":
            return None
        if password not in {held["value"] for held in token["passwords"].values()}:
            return None
        held = self.scope_maps.get(token["scope_map"], {"actions": []})["actions"]
        prefix = f"repositories/{repository}/"
        actions = {action.removeprefix(prefix) for action in held if action.startswith(prefix)}
        names = {"content/read": "pull", "content/write": "push", "metadata/read": "metadata_read"}
        return frozenset(names[action] for action in actions if action in names)


class Entra:
    """Gives access tokens to applications that know their secret, or that somebody vouches for whom they trust."""

    def __init__(self, state: AzureState) -> None:
        self._state = state

    def takes(self, request: Request) -> bool:
        """Whether a request is one to Entra."""
        return _ENTRA.fullmatch(request.path) is not None

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        match = _ENTRA.fullmatch(request.path)
        if match is None or match["tenant"] != self._state.tenant:
            return _entra_error("invalid_tenant", "AADSTS90002: Tenant not found.", 400)
        base = f"https://{request.headers['host']}/{match['tenant']}"
        if request.method == "GET":
            endpoints = {name: f"{base}/oauth2/v2.0/{name.partition('_')[0]}" for name in ("token_endpoint",)}
            authorize = {"authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "issuer": f"{base}/v2.0"}
            return Response.of_json({**endpoints, **authorize})
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        with self._state.lock:
            return self._token(form)

    def _token(self, form: dict[str, str]) -> Response:
        client = self._state.clients.get(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials" or client is None:
            return _entra_error("unauthorized_client", "AADSTS700016: Application not found in the directory.", 400)
        if client.expired:
            return _entra_error("invalid_client", "AADSTS7000222: The provided client secret keys are expired.", 401)
        refusal = self._assertion(client, form) if "client_assertion" in form else ""
        if "client_assertion" not in form and client.secret != form.get("client_secret"):
            refusal = "AADSTS7000215: Invalid client secret provided."
        if refusal:
            return _entra_error("invalid_client", refusal, 401)
        audience = form.get("scope", "").removesuffix("/.default")
        token = secrets.token_urlsafe(24)
        self._state.access[token] = (form["client_id"], audience)
        return Response.of_json({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _assertion(self, client: Client, form: dict[str, str]) -> str:
        """Why a federated credential is refused; empty where it is good.

        https://learn.microsoft.com/entra/workload-id/workload-identity-federation
        """
        token = form["client_assertion"]
        try:
            claimed = jwt.decode(token, options={"verify_signature": False})
            key = self._state.issuers.get(claimed["iss"])
            if key is None:
                return "AADSTS700211: No matching federated identity record found for presented assertion issuer."
            claims = jwt.decode(token, key, algorithms=["RS256"], audience=FEDERATION)
        except jwt.ExpiredSignatureError:
            return "AADSTS700024: Client assertion is not within its valid time range."
        except jwt.InvalidAudienceError:
            return "AADSTS700212: No matching federated identity record found for presented assertion audience."
        except (jwt.InvalidTokenError, KeyError):
            return "AADSTS50027: JWT token is invalid or malformed."
        if claims["sub"] not in client.subjects:
            return f"AADSTS700213: No matching federated identity record found for presented subject '{claims['sub']}'."
        return ""


class Manager:
    """The Resource Manager's part of one registry: scope maps, tokens and their passwords."""

    def __init__(self, state: AzureState) -> None:
        self._state = state

    def takes(self, request: Request) -> bool:
        """Whether a request is one to the Resource Manager."""
        return request.path.startswith(("/subscriptions/", "/operations/"))

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self._state.lock:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            known = self._state.client_of(token, f"https://{request.headers['host']}")
            if known is None:
                return _error(401, "ExpiredAuthenticationToken", "The access token is expired or invalid.")
            operation = _OPERATION.fullmatch(request.path)
            if operation:
                return self._operation(operation["key"], is_result=bool(operation["result"]))
            match = _REGISTRY.fullmatch(request.path)
            if match is None:
                return _error(404, "InvalidResourceType", f"The resource type of {request.path} could not be found.")
            refusal = self._missing(match) or self._forbidden(request, match, *known)
            if refusal is None and match["collection"].startswith("providers/"):
                return Response.of_json({"value": [{"actions": sorted(known[1].rights), "notActions": []}]})
            return refusal or self._answer(request, match)

    def _missing(self, match: re.Match[str]) -> Response | None:
        state = self._state
        if match["subscription"] != state.subscription:
            return _error(
                404, "SubscriptionNotFound", f"The subscription '{match['subscription']}' could not be found."
            )
        if match["group"].lower() != state.group:
            return _error(404, "ResourceGroupNotFound", f"Resource group '{match['group']}' could not be found.")
        if match["registry"].lower() != state.registry:
            what = f"The Resource '{PROVIDER}/registries/{match['registry']}' was not found."
            return _error(404, "ResourceNotFound", what)
        return None

    def _forbidden(self, request: Request, match: re.Match[str], name: str, client: Client) -> Response | None:
        verbs = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
        kind = match["collection"].removeprefix("providers/")
        named = kind if kind != match["collection"] else f"{PROVIDER}/registries/{kind}"
        right = f"{named}/{verbs[request.method]}"
        if right in client.rights:
            return None
        said = f"The client '{name}' does not have authorization to perform action '{right}' over scope"
        return _error(403, "AuthorizationFailed", f"{said} '{self._state.scope}'.")

    def _answer(self, request: Request, match: re.Match[str]) -> Response:
        if match["collection"] == "generateCredentials":
            return self._generate(request)
        held = self._state.scope_maps if match["collection"] == "scopeMaps" else self._state.tokens
        name = match["name"]
        if name is None:
            return Response.of_json({"value": [self._shown(match["collection"], each) for each in sorted(held)]})
        if request.method == "GET":
            if name not in held:
                return _error(404, "ResourceNotFound", f"{match['collection']} '{name}' was not found.")
            return Response.of_json(self._shown(match["collection"], name))
        if request.method == "DELETE":
            return self._delete(match["collection"], name)
        if not _NAME.fullmatch(name):
            return _error(400, "InvalidResourceName", f"The name '{name}' is not 5 to 50 letters, digits and hyphens.")
        return self._put(request, match["collection"], name)

    def _put(self, request: Request, collection: str, name: str) -> Response:
        held = self._state.scope_maps if collection == "scopeMaps" else self._state.tokens
        properties, is_new = request.json().get("properties") or {}, name not in held
        if is_new and request.method == "PATCH":
            return _error(404, "ResourceNotFound", f"{collection} '{name}' was not found.")
        if collection == "scopeMaps":
            actions = [str(action) for action in properties["actions"]]
            held[name] = {"description": str(properties.get("description") or ""), "actions": actions}
        else:
            refusal = self._put_token(held.setdefault(name, {"passwords": {}, "status": "enabled"}), properties)
            if refusal is not None:
                return refusal
        if not is_new:
            return Response.of_json(self._shown(collection, name))
        key = self._began({"status": "Succeeded"})
        where = f"https://{request.headers['host']}/operations/{key}"
        shown = self._shown(collection, name)
        creating = {**shown, "properties": {**shown["properties"], "provisioningState": "Creating"}}
        return Response.of_json(creating, 201, {"azure-asyncoperation": where, "retry-after": "0"})

    def _put_token(self, token: dict[str, Any], properties: dict[str, Any]) -> Response | None:
        scope_map = str(properties.get("scopeMapId") or "").rpartition("/")[2] or token.get("scope_map", "")
        if scope_map not in self._state.scope_maps:
            return _error(400, "ScopeMapNotFound", f"The scope map '{scope_map}' was not found.")
        token |= {"scope_map": scope_map, "status": properties.get("status") or token["status"]}
        kept = (properties.get("credentials") or {}).get("passwords")
        if kept is not None:
            names = {entry["name"] for entry in kept}
            token["passwords"] = {slot: held for slot, held in token["passwords"].items() if slot in names}
        return None

    def _generate(self, request: Request) -> Response:
        parameters = request.json()
        name, slot = str(parameters.get("tokenId")).rpartition("/")[2], parameters.get("name")
        if name not in self._state.tokens or slot not in ("password1", "password2"):
            return _error(400, "TokenNotFound", f"There is no token '{name}' with the password '{slot}'.")
        made = {"value": secrets.token_urlsafe(36), "created": datetime.now(UTC).isoformat()}
        self._state.tokens[name]["passwords"][slot] = made
        shown = {"name": slot, "value": made["value"], "creationTime": made["created"]}
        key = self._began({"username": name, "passwords": [shown]})
        where = f"https://{request.headers['host']}/operations/{key}/result"
        return Response(202, b"", {"location": where, "retry-after": "0"})

    def _delete(self, collection: str, name: str) -> Response:
        if collection == "tokens":
            return Response(204 if self._state.tokens.pop(name, None) is None else 200)
        users = [token for token, held in self._state.tokens.items() if held["scope_map"] == name]
        if users:
            return _error(400, "ScopeMapInUse", f"The scope map '{name}' is used by the tokens {', '.join(users)}.")
        return Response(204 if self._state.scope_maps.pop(name, None) is None else 200)

    def _began(self, result: Any) -> str:
        key = secrets.token_hex(8)
        self._state.operations[key] = result
        return key

    def _operation(self, key: str, *, is_result: bool) -> Response:
        if key not in self._state.operations:
            return _error(404, "NotFound", "The operation was not found.")
        found = self._state.operations.pop(key) if is_result else self._state.operations[key]
        return Response.of_json(found)

    def _shown(self, collection: str, name: str) -> dict[str, Any]:
        if collection == "scopeMaps":
            properties = {**self._state.scope_maps[name], "type": "UserDefined"}
        else:
            token = self._state.tokens[name]
            passwords = [{"name": slot, "creationTime": held["created"]} for slot, held in token["passwords"].items()]
            properties = {
                "scopeMapId": f"{self._state.scope}/scopeMaps/{token['scope_map']}",
                "status": token["status"],
                "credentials": {"passwords": passwords},
            }
        return {
            "id": f"{self._state.scope}/{collection}/{name}",
            "name": name,
            "type": f"{PROVIDER}/registries/{collection}",
            "properties": {**properties, "provisioningState": "Succeeded"},
        }


def _error(status: int, code: str, message: str) -> Response:
    return Response.of_json({"error": {"code": code, "message": message}}, status)


def _entra_error(error: str, description: str, status: int) -> Response:
    return Response.of_json({"error": error, "error_description": description}, status)
