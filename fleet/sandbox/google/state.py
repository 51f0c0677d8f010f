"""All that a sandbox Google Cloud knows: one project, with its repositories, policies, pools, accounts and tokens."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.artifactregistry_v1 import Repository
from google.cloud.iam_admin_v1 import ServiceAccount, ServiceAccountKey
from google.iam.v1.policy_pb2 import Policy

_AR = "artifactregistry.repositories"

_READER = frozenset({f"{_AR}.get", f"{_AR}.list", f"{_AR}.downloadArtifacts"})
_WRITER = _READER | {f"{_AR}.uploadArtifacts"}

ROLES: Mapping[str, frozenset[str]] = {
    "roles/artifactregistry.reader": _READER,
    "roles/artifactregistry.writer": _WRITER,
    "roles/artifactregistry.repoAdmin": _WRITER | {f"{_AR}.deleteArtifacts"},
    "roles/artifactregistry.admin": _WRITER | {f"{_AR}.{verb}" for verb in ("create", "update", "setIamPolicy")},
}
"""What each role allows, of what is looked at here: https://cloud.google.com/artifact-registry/docs/access-control"""

FLEETS_PERMISSIONS = frozenset(
    {
        *(f"{_AR}.{verb}" for verb in ("create", "get", "getIamPolicy", "list", "setIamPolicy", "update")),
        f"{_AR}.downloadArtifacts",
        "artifactregistry.dockerimages.list",
        *(f"iam.workloadIdentityPools.{verb}" for verb in ("create", "get", "undelete")),
        *(f"iam.workloadIdentityPoolProviders.{verb}" for verb in ("create", "get", "undelete", "update")),
        *(f"iam.serviceAccounts.{verb}" for verb in ("create", "delete", "enable", "get", "list", "update")),
        *(f"iam.serviceAccountKeys.{verb}" for verb in ("create", "delete", "list")),
    }
)
"""What fleet itself may do in the project, as docs/registries/gar.md lists it."""

LIFETIME = 3600
"""Seconds that an access token lives."""

LOCATIONS = frozenset({"us", "europe", "asia", "us-central1", "us-west4", "europe-west1"})


@dataclass(slots=True)
class Principal:
    """Who a token stands for: the names that a policy may know it by, and what it may do in the whole project."""

    members: frozenset[str]
    permissions: frozenset[str] = frozenset()
    expires: float = float("inf")


@dataclass(slots=True)
class State:
    """Hold `lock` to look at several things at once. `slow` is how many looks it takes until a new thing is there.

    `uploads` says when each manifest came, by the image's path and the digest.
    `issuers` holds the public keys of OIDC issuers; `disabled` the services that the project has not enabled;
    `granted` what the project's own policy lets members do everywhere in it.
    """

    project: str = "example-project"
    number: str = "123456789012"
    repositories: dict[str, Repository] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    keys: dict[str, ServiceAccountKey] = field(default_factory=dict)
    private_keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    uploads: dict[tuple[str, str], datetime] = field(default_factory=dict)
    tokens: dict[str, Principal] = field(default_factory=dict)
    granted: dict[str, frozenset[str]] = field(default_factory=dict)
    issuers: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    slow: int = 0
    hidden: dict[str, int] = field(default_factory=dict)
    quota: int = 1000
    lock: threading.RLock = field(default_factory=threading.RLock)

    def token(self, principal: Principal, value: str | None = None) -> str:
        """A new access token."""
        value = value or f"ya29.{secrets.token_urlsafe(30)}"
        with self.lock:
            self.tokens[value] = principal
        return value

    def of_token(self, value: str) -> Principal | None:
        """Who a token stands for, None where it is none, or none any more."""
        principal = self.tokens.get(value)
        return principal if principal is not None and principal.expires > time.time() else None

    def may(self, principal: Principal, permission: str, repository: str | None = None) -> bool:
        """Whether somebody may do something in the project, or in one repository by its full name."""
        if permission in principal.permissions:
            return True
        if any(permission in self.granted.get(member, ()) for member in principal.members):
            return True
        policy = self.policies.get(repository or "", Policy())
        return any(
            permission in ROLES.get(binding.role, frozenset())
            and not binding.HasField("condition")
            and not principal.members.isdisjoint({*binding.members} - {"allUsers", "allAuthenticatedUsers"})
            for binding in policy.bindings
        )

    def appears(self, name: str) -> None:
        """A new thing is there, or will be after some looks."""
        if self.slow:
            self.hidden[name] = self.slow

    def is_hidden(self, name: str) -> bool:
        """Whether a new thing cannot be seen yet; each look brings it nearer."""
        left = self.hidden.pop(name, 0)
        if left > 1:
            self.hidden[name] = left - 1
        return left > 0

    def keys_of(self, email: str) -> Iterator[ServiceAccountKey]:
        """The keys of a service account."""
        return (key for name, key in self.keys.items() if f"/serviceAccounts/{email}/keys/" in name)


def account_principal(email: str) -> Principal:
    """A service account, as policies know it."""
    return Principal(frozenset({f"serviceAccount:{email}"}), expires=time.time() + LIFETIME)
