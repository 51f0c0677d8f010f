"""Who a token belongs to, and what it may do where.

https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from fleet.sandbox.github.apps import App, is_signature, signed_by
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.model import Account, Level, Repository, Role, Token
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Request

_OPEN = {"metadata=read", "contents=read", "actions=read", "pull_requests=read", "statuses=read"}
"""What anybody may read of a public repository."""

_RANK = {"read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of a token, such as contents=write; `role` is what the person must be to have it."""

    permission: str
    level: Level

    @classmethod
    def parse(cls, text: str) -> Need:
        """Read "contents=write"."""
        permission, _, level = text.partition("=")
        return cls(permission, "write" if level == "write" else "read")

    def __str__(self) -> str:
        return f"{self.permission}={self.level}"

    @property
    def role(self) -> Role:
        """The role on the repository that carries the right."""
        if self.permission == "administration" and self.level == "write":
            return "admin"
        return (
            "write"
            if self.level == "write" or self.permission in ("secrets", "actions_variables", "environments")
            else "read"
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who sends a request: a person or an App's bot with a token, an App that signs itself, or a stranger."""

    account: Account | None
    token: Token | None
    app: App | None = None

    @property
    def client(self) -> str:
        """Whom rate limits count: all tokens of one person together; empty for strangers."""
        acting = self.app.bot if self.app else self.account
        return acting.login if acting else ""

    def require_app(self) -> App:
        """The App that signed the request; raises 401."""
        if self.app is None:
            raise ApiError(401, "A JSON web token could not be decoded")
        return self.app

    def require_account(self) -> Account:
        """The person behind the token; raises 401."""
        if self.account is None:
            raise ApiError(401, "Requires authentication")
        return self.account

    def administers(self, organization: Account) -> bool:
        """Whether this person is an owner of an organisation."""
        return self.account is not None and organization.members.get(self.account.login) == "admin"

    def require_in(self, organization: Account, need: Need) -> None:
        """Refuse unless this is an owner of an organisation, or an App installed there, whose token has the right."""
        installed = self.token is not None and self.token.installed_at is organization
        if not (installed or self.administers(organization)):
            raise not_found()
        if not self.has(need):
            raise self.refusal(need)

    def role_on(self, repository: Repository) -> Role | None:
        """What this person is on a repository, token aside."""
        public: Role | None = None if repository.private else "read"
        if self.account is None:
            return public
        owner = repository.owner
        if self.token is not None and self.token.installed_at is not None:
            return "admin" if owner is self.token.installed_at and self._reaches(repository) else public
        if owner is self.account or owner.members.get(self.account.login) == "admin":
            return "admin"
        roles = [public, repository.collaborators.get(self.account.login)]
        if self.account.login in owner.members:
            roles.append(owner.base_permission)
        return max((role for role in roles if role), key=_RANK.__getitem__, default=None)

    def sees(self, repository: Repository) -> bool:
        """Whether a repository exists as far as this request may know."""
        if not repository.private:
            return True
        if self.role_on(repository) is None or self.token is None:
            return False
        if self.token.scopes is not None:
            return "repo" in self.token.scopes
        return self._reaches(repository)

    def _reaches(self, repository: Repository) -> bool:
        names = self.token.repositories if self.token else None
        return names is None or repository.full_name.lower() in names

    def has(self, need: Need, repository: Repository | None = None) -> bool:
        """Whether the token carries a right, on that repository if one is given."""
        if self.token is None:
            return False
        if self.token.scopes is not None:
            return _in_scopes(need, self.token.scopes, repository)
        granted = self.token.rights.get(need.permission)
        enough = granted is not None and _RANK[granted] >= _RANK[need.level]
        return enough and (repository is None or self._reaches(repository))

    def require(self, need: Need, repository: Repository) -> None:
        """Refuse in GitHub's way unless the token and the person may do this here."""
        if not self.sees(repository):
            raise not_found()
        if not repository.private and str(need) in _OPEN:
            return
        self.require_account()
        role = self.role_on(repository)
        if self.has(need, repository) and role is not None and _RANK[role] >= _RANK[need.role]:
            return
        raise self.refusal(need)

    def refusal(self, need: Need) -> ApiError:
        """What GitHub answers to a token without a right."""
        if self.token is not None and self.token.scopes is not None:
            if need.permission.startswith("organization_"):
                accepted = {"x-accepted-oauth-scopes": "admin:org"}
                return ApiError(403, "Must have admin rights to Repository.", headers=accepted)
            is_admin = need.permission == "administration"
            return ApiError(403, "Must have admin rights to Repository.") if is_admin else not_found()
        what = "integration" if self.token is not None and self.token.installed_at else "personal access token"
        return ApiError(
            403,
            f"Resource not accessible by {what}",
            headers={"x-accepted-github-permissions": str(need)},
        )


def _in_scopes(need: Need, scopes: frozenset[str], repository: Repository | None) -> bool:
    if need.permission == "workflows":
        return "workflow" in scopes
    if need.permission == "organization_administration":
        return "admin:org" in scopes or (need.level == "read" and "read:org" in scopes)
    if need.permission.startswith("organization_"):
        return "admin:org" in scopes
    is_public = repository is not None and not repository.private
    return "repo" in scopes or (is_public and "public_repo" in scopes)


def authenticate(state: State, request: Request) -> Actor:
    """Who sends this request; raises 401 for a token that is unknown or has expired."""
    header = request.headers.get("authorization", "")
    if not header:
        return Actor(None, None)
    value = _token_in(header)
    if is_signature(value):
        return Actor(None, None, signed_by(state.apps, value))
    token = state.tokens.get(value)
    if token is None or (token.expires_at is not None and token.expires_at <= state.clock.now()):
        raise ApiError(401, "Bad credentials")
    return Actor(state.account(token.owner), token)


def _token_in(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind.lower() in ("token", "bearer"):
        return value.strip()
    try:
        return base64.b64decode(value, validate=True).decode().rpartition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
