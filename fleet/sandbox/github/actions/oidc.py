"""Who a run is, in a signed token: GitHub's claims, its discovery document and its keys.

The issuer is called as GitHub's own, so that trust policies are written as they really are; whoever checks a token
fetches the keys from where the sandbox answers (`/.well-known/openid-configuration`, `/.well-known/jwks`).

https://docs.github.com/actions/reference/security/oidc
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fleet.sandbox.github.clock import Clock
from fleet.sandbox.github.model_actions import Run
from fleet.sandbox.http import Request, Response

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

GITHUB = "https://token.actions.githubusercontent.com"

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks"
ASKED = "/_apis/idtoken"
"""Where a job asks for its tokens; a host of its own on GitHub."""

LIFETIME, EARLIER = 300, 600
"""Seconds that a token lives, and that it is valid before it was issued."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What one job asks for its tokens with, as long as it goes on.

    https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
    """

    issuer: Issuer
    run: Run
    environment: str
    url: str
    bearer: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def __call__(self, audience: str) -> str:
        """A token for an audience."""
        return self.issuer.token(self.run, audience, self.environment)

    @property
    def variables(self) -> Mapping[str, str]:
        """What every step of the job finds in its environment."""
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": self.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.bearer}


class Issuer:
    """Signs tokens with a key of its own, and publishes that key; `url` is what it calls itself."""

    def __init__(self, clock: Clock, url: str = GITHUB) -> None:
        self.url = url
        self._clock = clock
        self._identities: dict[str, Identity] = {}

    def identity(self, run: Run, environment: str, base: str) -> Identity:
        """Let a job ask for tokens from now on, at the address that the sandbox has."""
        made = Identity(self, run, environment, f"{base}{ASKED}?api-version=2.0")
        self._identities[made.bearer] = made
        return made

    def forget(self, identity: Identity) -> None:
        """The job has ended."""
        self._identities.pop(identity.bearer, None)

    @cached_property
    def _key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.asymmetric import rsa  # made when first needed: it takes a while

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> RSAPublicKey:
        """What signatures are checked with."""
        return self._key.public_key()

    @cached_property
    def _key_id(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        published = self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(published).hexdigest()[:40]

    def token(self, run: Run, audience: str, environment: str = "") -> str:
        """A token that says who a run is; an empty audience is the repository's owner, as on GitHub."""
        import jwt

        now = int(self._clock.time())
        times = {"iat": now, "nbf": now - EARLIER, "exp": now + LIFETIME}
        audience = audience or f"https://github.com/{run.repository.owner.login}"
        claims = {
            **claims_of(run, environment),
            **times,
            "iss": self.url,
            "aud": audience,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def handle(self, request: Request) -> Response | None:
        """The discovery document, the keys, or a job's token; None for another request."""
        if request.path == ASKED:
            return self._asked(request)
        if request.path == DISCOVERY:
            return Response.of_json(self._described(request.base_url))
        if request.path == KEYS:
            from jwt.algorithms import RSAAlgorithm

            key = json.loads(RSAAlgorithm.to_jwk(self.public_key))
            published = {name: key[name] for name in ("kty", "n", "e")}
            return Response.of_json({"keys": [{**published, "alg": "RS256", "use": "sig", "kid": self._key_id}]})
        return None

    def _asked(self, request: Request) -> Response:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        identity = self._identities.get(bearer) if scheme.lower() == "bearer" else None
        if identity is None:
            return Response.of_json({"message": "this is no job that may ask for a token"}, 401)
        token = identity(request.first("audience"))
        return Response.of_json({"count": len(token), "value": token})

    def _described(self, base: str) -> Mapping[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{base}{KEYS}",
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": [*_CLAIMS, "iss", "aud", "iat", "nbf", "exp", "jti"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        }


_CLAIMS = (
    *("sub", "ref", "ref_type", "ref_protected", "sha", "event_name", "head_ref", "base_ref"),
    *("repository", "repository_id", "repository_owner", "repository_owner_id", "repository_visibility"),
    *("actor", "actor_id", "run_id", "run_number", "run_attempt", "runner_environment"),
    *("workflow", "workflow_ref", "workflow_sha", "job_workflow_ref", "job_workflow_sha"),
)


def claims_of(run: Run, environment: str = "") -> Mapping[str, str]:
    """What GitHub says of a run's job, but for times, issuer and audience; everything is a text."""
    repository, trigger = run.repository, run.trigger
    pulled = trigger.event == "pull_request"
    branch = trigger.ref.removeprefix("refs/heads/")
    workflow = f"{repository.full_name}/{run.workflow.path}@{trigger.ref}"
    subject = "pull_request" if pulled else f"ref:{trigger.ref}"
    if environment:  # https://docs.github.com/actions/reference/security/oidc#filtering-for-a-specific-environment
        subject = f"environment:{environment}"
    values = {
        "sub": f"repo:{repository.full_name}:{subject}",
        "ref": trigger.ref,
        "ref_type": "tag" if trigger.ref.startswith("refs/tags/") else "branch",
        "ref_protected": "true" if branch in repository.protection else "false",
        "sha": trigger.sha,
        "event_name": trigger.event,
        "head_ref": trigger.head_branch,
        "base_ref": trigger.base_branch,
        "repository": repository.full_name,
        "repository_id": str(repository.id),
        "repository_owner": repository.owner.login,
        "repository_owner_id": str(repository.owner.id),
        "repository_visibility": repository.visibility,
        "actor": trigger.actor.login,
        "actor_id": str(trigger.actor.id),
        "run_id": str(run.id),
        "run_number": str(run.number),
        "run_attempt": str(run.attempt),
        "runner_environment": "github-hosted",
        "workflow": run.name,
        "workflow_ref": workflow,
        "workflow_sha": trigger.sha,
        "job_workflow_ref": workflow,
        "job_workflow_sha": trigger.sha,
    }
    assert set(values) == set(_CLAIMS)
    return {**values, "environment": environment} if environment else values
