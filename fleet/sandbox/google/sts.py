"""The security token service: an identity from outside, or the key of a service account, for an access token.

Sources: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token and RFC 7523.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import jwt

from fleet.sandbox.google.cel import CelError, evaluate
from fleet.sandbox.google.state import LIFETIME, Principal, State, account_principal
from fleet.sandbox.google.wire import of_json
from fleet.sandbox.http import Request, Response

EXCHANGE = "/v1/token"
OAUTH = "/token"

_AUDIENCE = re.compile(
    r"//iam\.googleapis\.com/(projects/(?P<number>\d+)/locations/global/workloadIdentityPools/(?P<pool>[^/]+))"
    r"/providers/(?P<provider>[^/]+)"
)
_KEYS = ("audience", "grantType", "requestedTokenType", "scope", "subjectTokenType", "subjectToken", "options")
_LONGEST_SUBJECT = 127


class _Invalid(Exception):
    """The token that was sent is not taken; the text says why."""


class TokenExchange:
    """Answers `/v1/token` (workload identity federation) and `/token` (service accounts)."""

    def __init__(self, state: State) -> None:
        self.state = state

    def handle(self, request: Request) -> Response:
        """Answer one request for an access token."""
        try:
            with self.state.lock:
                principal = self._federated(request) if request.path == EXCHANGE else self._account(request)
        except (_Invalid, CelError, jwt.InvalidTokenError) as error:
            return Response.of_json({"error": "invalid_grant", "error_description": str(error)}, 400)
        token = self.state.token(principal)
        return Response.of_json({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME})

    def _federated(self, request: Request) -> Principal:
        asked = _asked(request)
        audience = _AUDIENCE.fullmatch(str(asked.get("audience")))
        if audience is None or audience["number"] != self.state.number:
            raise _Invalid('Invalid value for "audience".')
        pool = self.state.pools.get(audience["pool"], {"state": "DELETED"})
        provider = pool.get("providers", {}).get(audience["provider"], {"state": "DELETED"})
        if any(thing["state"] == "DELETED" or thing.get("disabled") for thing in (pool, provider)):
            raise _Invalid('The target service indicated by the "audience" parameters is invalid.')
        issuer = provider["oidc"]["issuerUri"]
        key = self.state.issuers.get(issuer)
        if key is None:
            raise _Invalid(f"Error connecting to the given credential's issuer {issuer}.")
        expected = provider["oidc"].get("allowedAudiences") or [f"https:{audience[0]}"]
        claims = jwt.decode(str(asked.get("subjectToken")), key, algorithms=["RS256"], audience=expected, issuer=issuer)
        return self._principal(str(audience[1]), provider, claims)

    def _principal(self, pool: str, provider: dict[str, Any], claims: dict[str, Any]) -> Principal:
        mapped = {
            name: str(evaluate(text, {"assertion": claims})) for name, text in provider["attributeMapping"].items()
        }
        condition = provider.get("attributeCondition")
        if condition and evaluate(condition, {"assertion": claims}) is not True:
            raise _Invalid("The given credential is rejected by the attribute condition.")
        subject = mapped.pop("google.subject")
        if len(subject.encode()) > _LONGEST_SUBJECT:
            raise _Invalid("The size of mapped attribute google.subject exceeds the 127 bytes limit.")
        sets = {f"principalSet://iam.googleapis.com/{pool}/{name}/{value}" for name, value in mapped.items()}
        everybody = f"principalSet://iam.googleapis.com/{pool}/*"
        one = f"principal://iam.googleapis.com/{pool}/subject/{subject}"
        return Principal(frozenset({one, everybody, *sets}), expires=time.time() + LIFETIME)

    def _account(self, request: Request) -> Principal:
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assertion = asked.get("assertion", "")
        email = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss"))
        key_id = jwt.get_unverified_header(assertion).get("kid")
        name = f"projects/{self.state.project}/serviceAccounts/{email}/keys/{key_id}"
        if name not in self.state.keys or self.state.accounts[email].disabled:
            raise _Invalid("Invalid JWT Signature.")
        jwt.decode(
            assertion,
            self.state.private_keys[name].public_key(),
            algorithms=["RS256"],
            audience=[
                f"{request.base_url}{OAUTH}",
                "https://oauth2.googleapis.com/token",
            ],  # google-auth writes the latter
            issuer=email,
        )
        return account_principal(email)


def _asked(request: Request) -> Mapping[str, Any]:
    """The fields of an exchange: Google's own JSON, or the form of RFC 8693, which Google's libraries send."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return of_json(request, *_KEYS)
    form = parse_qs(request.body.decode())
    return {re.sub("_(.)", lambda part: part[1].upper(), name): values[0] for name, values in form.items()}
