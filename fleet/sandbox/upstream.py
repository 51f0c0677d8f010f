"""Registries that fleet only reads, each with its own way to give a token to nobody.

Amazon ECR Public asks for the scope `aws` and gives a token for all that is public; GitLab sends clients to another
path and denies (403) whatever has a repository among it that may not be seen. Both answer with `token` alone.
https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html,
https://docs.gitlab.com/development/packages/container_registry_authorization/
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fleet.sandbox.http import Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.token import Rights, TokenService


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where tokens are had, for what service, and the status that denies it (None: the registry denies)."""

    realm: str
    service: str
    denied: int | None = None


ECR_PUBLIC = Dialect("/token/", "public.ecr.aws")
GITLAB = Dialect("/jwt/auth", "container_registry", 403)


class Upstream:
    """A registry of one dialect, where nobody has a login; `private` are the repositories that are not shown."""

    def __init__(self, dialect: Dialect, key: RSAPrivateKey | None = None) -> None:
        self.dialect = dialect
        self.private: set[str] = set()
        self.tokens = TokenService(self._authenticate, dialect.service, key=key, denied=dialect.denied)
        self.registry = Registry(self.tokens, realm=dialect.realm)

    def handle(self, request: Request) -> Response:
        """Answer one request to the registry or its token service."""
        if request.path != self.dialect.realm:
            return self.registry.handle(request)
        answer = self.tokens.handle(request)
        if answer.status != 200:
            return answer
        return Response.of_json({"token": json.loads(answer.body)["token"]})

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if username:
            return None
        return lambda name: frozenset() if name in self.private else frozenset({"pull"})
