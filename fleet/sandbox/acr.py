"""A sandbox Azure Container Registry: the registry itself, its two token endpoints and its listing of tags.

Who may push where is decided by the scope maps that the Resource Manager's part holds, and enforced by the registry.
https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md,
https://learn.microsoft.com/rest/api/containerregistry/data-plane/get-tag-list
"""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fleet.sandbox.azure import AzureState, Client, Entra, Manager
from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.token import Rights, TokenService

EXCHANGE, TOKEN = "/oauth2/exchange", "/oauth2/token"
NOBODY = "00000000-0000-0000-0000-000000000000"
AUDIENCE = "https://containerregistry.azure.net"

_TAGS = re.compile(r"/acr/v1/(?P<name>.+)/_tags")
_ROLES = {
    "AcrPull": frozenset({"pull", "metadata_read"}),
    "AcrPush": frozenset({"pull", "push", "metadata_read"}),
}


class Acr:
    """Entra, the Resource Manager and the registry as one service."""

    def __init__(self, state: AzureState, key: RSAPrivateKey | None = None, page: int = 100) -> None:
        self.state = state
        self.entra, self.manager = Entra(state), Manager(state)
        self.tokens = TokenService(self._authenticate, service=f"{state.registry}.azurecr.io", key=key)
        self.registry = Registry(self.tokens, realm=TOKEN)
        self.page = page
        self._refresh: dict[str, Client] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request to any part."""
        for part in (self.entra, self.manager):
            if part.takes(request):
                return part.handle(request)
        if request.path == EXCHANGE:
            return self._exchange(_form(request))
        if request.path == TOKEN:
            return self._token(request)
        tags = _TAGS.fullmatch(request.path)
        if tags:
            return self._tags(request, tags["name"])
        return self.registry.handle(request)

    def _authenticate(self, username: str, password: str) -> Rights | None:
        with self.state.lock:
            client = self._refresh.get(password) if username == NOBODY else None
            if client is not None:
                role = frozenset() if client.expired else _ROLES.get(client.role, frozenset())
                return lambda name: role
            if not username:
                return lambda name: frozenset()
            if self.state.rights_of(username, password, "") is None:
                return None
            return lambda name: self.state.rights_of(username, password, name) or frozenset()

    def _exchange(self, form: dict[str, str]) -> Response:
        with self.state.lock:
            known = self.state.client_of(form.get("access_token", ""), AUDIENCE)
        if form.get("grant_type") != "access_token" or known is None or not known[1].role:
            return _unauthorized()
        claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 10800}).encode()).decode().rstrip("=")
        refresh = f"e30.{claims}.{len(self._refresh)}"
        self._refresh[refresh] = known[1]
        return Response.of_json({"refresh_token": refresh})

    def _token(self, request: Request) -> Response:
        """A GET with a Basic login, as docker asks, or a POST with a refresh token, as Azure's package asks."""
        if request.method == "GET":
            answer = self.tokens.handle(request)
        else:
            form = _form(request)
            rights = self._authenticate(NOBODY, form.get("refresh_token", ""))
            if rights is None:
                return _unauthorized()
            answer = self.tokens.answer(NOBODY, rights, [form.get("scope", "")])
        if answer.status != 200:
            return answer
        return Response.of_json({"access_token": json.loads(answer.body)["access_token"]})

    def _tags(self, request: Request, name: str) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or not self.tokens.allows(token, name, "metadata_read"):
            realm = f'realm="https://{request.headers["host"]}{TOKEN}",service="{self.tokens.service}"'
            headers = {"www-authenticate": f'Bearer {realm},scope="repository:{name}:metadata_read"'}
            return Response.of_json({"errors": [{"code": "UNAUTHORIZED"}]}, 401, headers)
        held = self.registry.repositories.get(name)
        if held is None:
            return Response.of_json({"errors": [{"code": "NAME_UNKNOWN"}]}, 404)
        dates = self.registry.pushed.get(name, {})
        newest = sorted(held["tags"], key=lambda tag: (-dates.get(tag, 0.0), tag))
        last, size = request.first("last"), min(int(request.first("n") or self.page), self.page)
        rest = newest[newest.index(last) + 1 :] if last in newest else newest
        headers = {}
        if len(rest) > size:
            query = f"last={quote(rest[size - 1])}&n={size}&orderby=timedesc"
            headers["link"] = f'</acr/v1/{name}/_tags?{query}>; rel="next"'
        shown = [_tag(tag, held["tags"][tag], dates.get(tag, 0.0)) for tag in rest[:size]]
        return Response.of_json({"registry": self.tokens.service, "imageName": name, "tags": shown}, headers=headers)


def _tag(name: str, digest: str, pushed: float) -> dict[str, object]:
    moment = datetime.fromtimestamp(pushed, UTC).isoformat().replace("+00:00", "Z")
    changeable = dict.fromkeys(("deleteEnabled", "writeEnabled", "readEnabled", "listEnabled"), True)
    dates = {"createdTime": moment, "lastUpdateTime": moment}
    return {"name": name, "digest": digest, **dates, "signed": False, "changeableAttributes": changeable}


def _form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def _unauthorized() -> Response:
    return Response.of_json({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}, 401)
