"""The example on Amazon ECR: builds assume a role by the token of their run, and nothing is stored."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt

from fleet.sandbox.ecr import serve_ecr
from fleet.sandbox.github.actions.oidc import Issuer
from fleet.sandbox.registries import Example, Served

_AUDIENCE = "sts.amazonaws.com"
_PULLING = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
)
"""What nodes may do: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_EKS.html"""


class _Issuers:
    """Who signs the tokens of runs, once that is known."""

    def __init__(self) -> None:
        self._known: list[Issuer] = []

    def trust(self, issuer: Issuer) -> None:
        self._known.append(issuer)

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that one of them signed for AWS."""
        for issuer in self._known:
            try:
                found: Mapping[str, Any] = jwt.decode(
                    token, issuer.public_key, algorithms=["RS256"], audience=_AUDIENCE, issuer=issuer.url
                )
            except jwt.InvalidTokenError:
                continue
            return found
        return None


@contextmanager
def _serve(folder: Path, port: int) -> Iterator[Served]:
    key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    issuers = _Issuers()
    with serve_ecr((key, secret), claims=issuers.claims, port=port) as ecr:
        region = ecr.aws.region
        statement = {"Effect": "Allow", "Action": list(_PULLING), "Resource": "*"}
        nodes = ecr.aws.operator("AKIANODESOFTHECLUSTER", secrets.token_urlsafe(30), {"Statement": [statement]})
        yield Served(
            url=ecr.url,
            entry={"type": "ecr", "account": ecr.aws.account, "region": region, "prefix": "example", "url": ecr.url},
            pulls={ecr.registry_host: ("AWS", ecr.aws.password(nodes.key))},
            environment={"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": ""},
            services={f"{service}.{region}.amazonaws.com": ecr.url for service in ("sts", "api.ecr")},
            trust=issuers.trust,
        )


EXAMPLE = Example(
    title="Amazon ECR",
    makes="repositories, a role that only builds of the default branch can assume (and so no stored secret), "
    "workflows, a build, hubs.",
    serve=_serve,
)
"""`fleet sandbox up -registry=ecr`."""
