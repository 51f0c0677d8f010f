"""GitHub Apps: who they are, where they are installed, and the signatures that they log in with.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import jwt

from fleet.sandbox.github.errors import ApiError

if TYPE_CHECKING:
    from fleet.sandbox.github.model import Account, Level

TOKEN_LIFETIME = timedelta(hours=1)

_LONGEST = 600
"""Seconds that a signature may be good for."""


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App; it acts as `bot`, and what it signs is checked with its public key (PEM)."""

    id: int
    client_id: str
    slug: str
    public_key: bytes
    bot: Account


@dataclass(frozen=True, slots=True)
class Installation:
    """An App at one account, with what it was granted there; `repositories` by name in lower case, None for all."""

    id: int
    app: App
    account: Account
    rights: Mapping[str, Level]
    repositories: frozenset[str] | None
    created_at: datetime


def signed_by(apps: Mapping[str, App], token: str) -> App:
    """The App that signed a JSON web token; raises 401 in GitHub's words.

    Its moments are those of the machine's own clock, which is the one that a client signs by.
    """
    try:
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
        app = apps[issuer]
        claims = jwt.decode(token, app.public_key, algorithms=["RS256"], options={"require": ["exp", "iat", "iss"]})
    except jwt.ExpiredSignatureError:
        raise ApiError(401, "'Expiration time' claim ('exp') must be a numeric value representing the future") from None
    except (jwt.InvalidTokenError, KeyError):
        raise ApiError(401, "A JSON web token could not be decoded") from None
    if claims["exp"] - claims["iat"] > _LONGEST + 60:  # a client may set `iat` a minute back
        raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def is_signature(token: str) -> bool:
    """Whether a token is a JSON web token rather than one that GitHub issued."""
    return token.count(".") == 2
