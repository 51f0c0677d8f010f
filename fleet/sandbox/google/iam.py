"""IAM's API: workload identity pools with their providers, service accounts, and keys.

Service accounts and keys are written by the messages of google-cloud-iam. Pools have none, and follow
https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from google.cloud.iam_admin_v1 import (
    CreateServiceAccountRequest,
    ListServiceAccountKeysRequest,
    ListServiceAccountKeysResponse,
    ListServiceAccountsResponse,
    PatchServiceAccountRequest,
    ServiceAccount,
    ServiceAccountKey,
)

from fleet.sandbox.google.state import Principal, State
from fleet.sandbox.google.wire import Refused, answer, check, login_of, of_json, paged, parsed
from fleet.sandbox.http import Request, Response
from fleet.sandbox.token import new_key

SERVICE = "iam.googleapis.com"

_POOL = re.compile(
    r"/v1/projects/(?P<project>[^/]+)/locations/global/workloadIdentityPools(/(?P<pool>[^/:]+))?"
    r"(?P<providers>/providers(/(?P<provider>[^/:]+))?)?(:(?P<verb>\w+))?"
)
_ACCOUNT = re.compile(
    r"/v1/projects/(?P<project>[^/]+)/serviceAccounts(/(?P<email>[^/:]+))?(?P<keys>/keys(/(?P<key>[^/:]+))?)?(:(?P<verb>\w+))?"
)
_POOL_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")
_ACCOUNT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_POOL_KEYS = ("displayName", "description", "disabled")
_PROVIDER_KEYS = (*_POOL_KEYS, "oidc", "attributeMapping", "attributeCondition")

NewKey = Callable[[], Any]


class IamApi:
    """Answers what lies under `/v1/projects/…/workloadIdentityPools` and `…/serviceAccounts`."""

    def __init__(self, state: State, new_key: NewKey = new_key) -> None:
        self.state = state
        self.new_key = new_key

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self.state.lock:
            principal = login_of(self.state, request, SERVICE)
            for pattern, handler in ((_POOL, self._pools), (_ACCOUNT, self._accounts)):
                if route := pattern.fullmatch(request.path):
                    if route["project"] not in (self.state.project, self.state.number, "-"):
                        check(self.state, Principal(frozenset()), "iam.serviceAccounts.get", request.path)
                    return handler(request, principal, route)
            raise Refused(404, f"Method not found: {request.method} {request.path}")

    def _pools(self, request: Request, principal: Principal, route: re.Match[str]) -> Response:
        of_provider = route["providers"] is not None
        kind = "workloadIdentityPoolProviders" if of_provider else "workloadIdentityPools"
        check(self.state, principal, f"iam.{kind}.{_verb(request, route)}", request.path)
        place = self.state.pools
        if of_provider:
            place = self._standing(self.state.pools, route["pool"])["providers"]
        name = route["provider"] if of_provider else route["pool"]
        keys = _PROVIDER_KEYS if of_provider else _POOL_KEYS
        match request.method, route["verb"]:
            case "GET", None:
                found = self._standing(place, name)
                return Response.of_json({key: value for key, value in found.items() if key != "providers"})
            case "POST", None if name is None:
                wanted = of_json(request, *keys)
                short = request.first("workloadIdentityPoolProviderId" if of_provider else "workloadIdentityPoolId")
                self._check_new(place, short, wanted, of_provider=of_provider)
                full = f"{request.path.removeprefix('/v1/')}/{short}".replace(self.state.project, self.state.number, 1)
                place[short] = {"name": full, "state": "ACTIVE", **wanted, **({} if of_provider else {"providers": {}})}
                self.state.appears(full)
                return self._operation(full)
            case "POST", "undelete":
                found = self._standing(place, name)
                if found["state"] != "DELETED":
                    raise Refused(400, f"{name} is not deleted.", "FAILED_PRECONDITION")
                found["state"] = "ACTIVE"
                return self._operation(found["name"])
        raise Refused(404, f"Method not found: {request.method} {request.path}")

    def _check_new(self, place: dict[str, Any], name: str, wanted: dict[str, Any], *, of_provider: bool) -> None:
        if not _POOL_ID.fullmatch(name):
            raise Refused(400, f"Invalid id {name!r}.")
        if name in place:
            raise Refused(409, f"{name} already exists.", "ALREADY_EXISTS")
        if of_provider and not (wanted.get("oidc") or {}).get("issuerUri"):
            raise Refused(400, "A provider needs an issuer.")
        if of_provider and "assertion." not in (wanted.get("attributeCondition") or ""):
            raise Refused(400, "The attribute condition must reference one of the provider's claims.")
        if of_provider and "google.subject" not in wanted.get("attributeMapping", {}):
            raise Refused(400, "The attribute mapping must have google.subject.")

    def _operation(self, name: str) -> Response:
        done = {} if self.state.slow else {"done": True, "response": {}}
        return Response.of_json({"name": f"{name}/operations/{secrets.token_hex(8)}", **done})

    def _accounts(self, request: Request, principal: Principal, route: re.Match[str]) -> Response:
        if route["keys"]:
            return self._keys(request, principal, route)
        match request.method, bool(route["email"]), route["verb"]:
            case "POST", False, None:
                check(self.state, principal, "iam.serviceAccounts.create", request.path)
                return self._create_account(request)
            case "GET", False, None:
                check(self.state, principal, "iam.serviceAccounts.list", request.path)
                return self._list_accounts(request)
            case "GET", True, None:
                check(self.state, principal, "iam.serviceAccounts.get", request.path)
                return answer(request, ServiceAccount.pb(self._account(route["email"])))
            case "PATCH", True, None:
                check(self.state, principal, "iam.serviceAccounts.update", request.path)
                wanted = PatchServiceAccountRequest(
                    parsed(request.body, PatchServiceAccountRequest.pb(PatchServiceAccountRequest()))
                )
                account = self._account(route["email"])
                for path in wanted.update_mask.paths:
                    setattr(account, path, getattr(wanted.service_account, path))
                return answer(request, ServiceAccount.pb(account))
            case "POST", True, "enable":
                check(self.state, principal, "iam.serviceAccounts.enable", request.path)
                self._account(route["email"]).disabled = False
                return Response.of_json({})
            case "DELETE", True, None:
                check(self.state, principal, "iam.serviceAccounts.delete", request.path)
                self._delete_account(route["email"])
                return Response.of_json({})
        raise Refused(404, f"Method not found: {request.method} {request.path}")

    def _list_accounts(self, request: Request) -> Response:
        accounts = [self.state.accounts[email] for email in sorted(self.state.accounts)]
        listed, following = paged(request, accounts, most=100, usual=20)
        page = ListServiceAccountsResponse(accounts=listed, next_page_token=following)
        return answer(request, ListServiceAccountsResponse.pb(page))

    def _create_account(self, request: Request) -> Response:
        wanted = CreateServiceAccountRequest(
            parsed(request.body, CreateServiceAccountRequest.pb(CreateServiceAccountRequest()))
        )
        if not _ACCOUNT_ID.fullmatch(wanted.account_id):
            raise Refused(400, f"Invalid account id {wanted.account_id!r}.")
        email = f"{wanted.account_id}@{self.state.project}.iam.gserviceaccount.com"
        if email in self.state.accounts:
            raise Refused(409, f"Service account {wanted.account_id} already exists.", "ALREADY_EXISTS")
        account = ServiceAccount(wanted.service_account)
        account.name = f"projects/{self.state.project}/serviceAccounts/{email}"
        account.email, account.project_id = email, self.state.project
        account.unique_id = str(secrets.randbelow(10**20))
        self.state.accounts[email] = account
        self.state.appears(email)
        return answer(request, ServiceAccount.pb(account))

    def _delete_account(self, email: str) -> None:
        """The account and its keys go; in policies it stays by a name that nobody can have again."""
        account = self._account(email)
        del self.state.accounts[email]
        for key in [*self.state.keys_of(email)]:
            del self.state.keys[key.name]
        for policy in self.state.policies.values():
            for binding in policy.bindings:
                members = [_deleted(member, email, account.unique_id) for member in binding.members]
                del binding.members[:]
                binding.members.extend(members)

    def _keys(self, request: Request, principal: Principal, route: re.Match[str]) -> Response:
        account = self._account(route["email"])
        match request.method, bool(route["key"]):
            case "GET", False:
                check(self.state, principal, "iam.serviceAccountKeys.list", request.path)
                keys = ListServiceAccountKeysResponse(keys=[*self.state.keys_of(account.email)])
                return answer(request, ListServiceAccountKeysResponse.pb(keys))
            case "POST", False:
                check(self.state, principal, "iam.serviceAccountKeys.create", request.path)
                return self._create_key(request, account)
            case "DELETE", True:
                check(self.state, principal, "iam.serviceAccountKeys.delete", request.path)
                name = f"{account.name}/keys/{route['key']}"
                if self.state.keys.pop(name, None) is None:
                    raise Refused(404, f"Service account key {route['key']} does not exist.")
                return Response.of_json({})
        raise Refused(404, f"Method not found: {request.method} {request.path}")

    def _create_key(self, request: Request, account: ServiceAccount) -> Response:
        if len([*self.state.keys_of(account.email)]) >= 10:
            raise Refused(400, "Precondition check failed.", "FAILED_PRECONDITION")
        private, key_id = self.new_key(), secrets.token_hex(20)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        info = {
            "type": "service_account",
            "project_id": self.state.project,
            "private_key_id": key_id,
            "private_key": pem,
            "client_email": account.email,
            "token_uri": f"{request.base_url}/token",
            "universe_domain": "googleapis.com",
        }
        key = ServiceAccountKey(
            name=f"{account.name}/keys/{key_id}", key_type=ListServiceAccountKeysRequest.KeyType.USER_MANAGED
        )
        key.valid_after_time = datetime.now(UTC)
        self.state.keys[key.name] = key
        self.state.private_keys[key.name] = private
        shown = ServiceAccountKey(key)
        shown.private_key_data = json.dumps(info).encode()
        return answer(request, ServiceAccountKey.pb(shown))

    def _account(self, email: str) -> ServiceAccount:
        if email not in self.state.accounts:
            raise Refused(404, f"Unknown service account: {email}")
        return self.state.accounts[email]

    def _standing(self, place: dict[str, Any], name: str | None) -> dict[str, Any]:
        if name not in place or self.state.is_hidden(place[name]["name"]):
            raise Refused(404, f"Requested entity was not found: {name}")
        found: dict[str, Any] = place[name]
        return found


def _verb(request: Request, route: re.Match[str]) -> str:
    """What the permission for a request to a pool or a provider ends with."""
    verbs = {"GET": "get", "POST": "create"}
    return str(route["verb"] or verbs.get(request.method, "none"))


def _deleted(member: str, email: str, unique_id: str) -> str:
    same = member == f"serviceAccount:{email}"
    return f"deleted:{member}?uid={unique_id}" if same else member


def key_login(state: State, username: str, password: str) -> str | None:
    """The service account that a docker login with a key is for; None where the key is none, or was revoked."""
    try:
        text = base64.b64decode(password, validate=True) if username == "_json_key_base64" else password
        info = json.loads(text)
        name = f"projects/{info['project_id']}/serviceAccounts/{info['client_email']}/keys/{info['private_key_id']}"
        shown = serialization.load_pem_private_key(info["private_key"].encode(), None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not state.lets_in(info["client_email"], name):
        return None
    return str(info["client_email"]) if _public(shown) == _public(state.private_keys[name]) else None


def _public(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data
