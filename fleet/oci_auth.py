"""How a client logs in to an OCI registry: Basic, or a token per repository from the registry's token service.

Sources: RFC 7235 for the challenge, https://distribution.github.io/distribution/spec/auth/token/ for tokens and their
`access` claim.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from fleet.each import Each
from fleet.errors import ProviderError
from fleet.http import Answer, Ask, Http, host_of, is_loopback
from fleet.model import Secret

PULL = "pull"
PUSH = "pull,push"

_WORDS = re.compile(r'([A-Za-z0-9_-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?')
"""A scheme's name, or a parameter with its value, quoted or not."""

_LIFETIME = 60.0
"""Seconds a token lives whose service doesn't say (the token specification's own default)."""
_MARGIN = 10.0
_SCOPES_AT_ONCE = 20
"""Repositories in one token: enough to save requests, few enough for any server's limit on a URL's length."""


class Denied(ProviderError):
    """The registry does not show or take this with this login; it may not exist, which registries don't tell apart."""


class LoginRefused(ProviderError):
    """The user name or the password is wrong."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, to log in to a registry."""

    username: str
    password: Secret

    def headers(self) -> dict[str, str]:
        """The headers of HTTP Basic authentication (RFC 7617)."""
        return {
            "authorization": f"Basic {base64.b64encode(f'{self.username}:{self.password.expose()}'.encode()).decode()}"
        }


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for: `scheme` is empty (nothing), `basic`, or `bearer` with its token service."""

    scheme: str = ""
    realm: str = ""
    service: str = ""


def parse_challenge(header: str) -> Challenge | None:
    """The strongest challenge of a WWW-Authenticate header that we can meet, None where there is none."""
    schemes: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for word in _WORDS.finditer(header):
        if word[2] is None and word[3] is None:
            values = schemes.setdefault(word[1].lower(), {})
        else:
            values.setdefault(word[1].lower(), word[3] or re.sub(r"\\(.)", r"\1", word[2]))
    for scheme in ("bearer", "basic"):
        if scheme in schemes:
            return Challenge(scheme, schemes[scheme].get("realm", ""), schemes[scheme].get("service", ""))
    return None


class Authorizer:
    """Answers a registry's challenges for one login (or for nobody) and keeps the tokens, in memory only."""

    def __init__(self, http: Http, url: str, credentials: Credentials | None) -> None:
        self.credentials = credentials
        self._http = http
        self._url = url
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    def other(self, credentials: Credentials) -> Authorizer:
        """The same registry with another login, which shares no token with this one."""
        other = Authorizer(self._http, self._url, credentials)
        other._challenge = self.challenge()
        return other

    def headers(self, name: str, actions: str) -> dict[str, str]:
        """The headers that let a request do `actions` (`pull` or `pull,push`) on one repository."""
        challenge = self.challenge()
        if challenge.scheme == "basic" and self.credentials is not None:
            return self.credentials.headers()
        if challenge.scheme != "bearer":
            return {}
        with self._lock:
            token, ends = self._tokens.get((name, actions), ("", 0.0))
        if time.monotonic() >= ends:
            token = self._renew([name], actions)
        return {"authorization": f"Bearer {token}"}

    def warm(self, names: Collection[str], each: Each) -> None:
        """Get tokens to pull from many repositories, several to a token, so that each costs less than a request."""
        if self.challenge().scheme != "bearer":
            return
        with self._lock:
            alive = {name for (name, _), (_, ends) in self._tokens.items() if time.monotonic() < ends}
        ordered = sorted(set(names) - alive)
        batches = [ordered[start : start + _SCOPES_AT_ONCE] for start in range(0, len(ordered), _SCOPES_AT_ONCE)]

        def fetch(batch: Sequence[str]) -> None:
            with suppress(Denied):  # one of them spoils the batch; each is asked for alone, and gets its own answer
                self._renew(batch, PULL)

        each(fetch, batches)

    def refused(self, name: str, actions: str, answer: Answer) -> bool:
        """Take note of a 401: forget the token, learn the challenge; whether another try makes sense."""
        asked = parse_challenge(answer.headers.get("www-authenticate", ""))
        with self._lock:
            had_token = self._tokens.pop((name, actions), None) is not None
            learnt = asked is not None and self._challenge is not None and asked.scheme != self._challenge.scheme
            if learnt:
                self._challenge = asked
        return had_token or learnt

    def challenge(self) -> Challenge:
        """What the registry asks for; asked once."""
        with self._lock:
            if self._challenge is not None:
                return self._challenge
        answer = self._http.send(Ask("GET", f"{self._url}/v2/", follow=True))
        found = Challenge()
        if answer.status == 401:
            asked = parse_challenge(answer.headers.get("www-authenticate", ""))
            if asked is None:
                raise ProviderError(
                    f"{answer.ask.host} asks for a login, but for none that fleet knows (Basic, Bearer)"
                )
            found = asked
        elif answer.status == 403:
            raise ProviderError(
                f"{answer.ask.host} lets nobody in from here: it answers 403 to GET /v2/; look for a firewall or a "
                "list of allowed addresses in front of it"
            )
        elif answer.status != 200:
            raise ProviderError(
                f"{answer.ask.host} is no OCI registry: it answers {answer.status} to GET /v2/; check the `url`"
            )
        with self._lock:
            self._challenge = found
        return found

    def grant(self, names: Sequence[str], actions: str) -> Mapping[str, Any]:
        """What the token service answers for these repositories; raises Denied when it refuses the login."""
        challenge = self.challenge()
        self._check_realm(challenge)
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", f"repository:{name}:{actions}") for name in names]
        if self.credentials is not None:
            query.append(("account", self.credentials.username))
        url = f"{challenge.realm}{'&' if urlsplit(challenge.realm).query else '?'}{urlencode(query)}"
        answer = self._http.send(Ask("GET", url, self.credentials.headers() if self.credentials else {}))
        if answer.status == 401 and self.credentials is not None:
            raise self.refusal()
        if answer.status in (400, 401, 403, 404):
            host, some = host_of(self._url), _some(names)
            if self.credentials is None:
                raise Denied(f"{host} shows {some} to nobody without a login that may see it")
            raise Denied(f"{host} gives the login {self.credentials.username} no access to {some}, or does not know it")
        if answer.status != 200:
            raise ProviderError(f"the token service {answer.ask.host} answers {answer.status} to {answer.ask}")
        document = answer.json()
        if not isinstance(document, dict):
            raise ProviderError(f"the token service {answer.ask.host} sends no token")
        return document

    def refusal(self) -> LoginRefused:
        """The error for a login that the registry does not know."""
        username = self.credentials.username if self.credentials else ""
        return LoginRefused(
            f"{host_of(self._url)} refuses the login {username}: the user name or the password is wrong, or was revoked"
        )

    def _renew(self, names: Sequence[str], actions: str) -> str:
        document = self.grant(names, actions)
        token = token_of(document)
        if token is None:
            raise ProviderError(f"the token service of {host_of(self._url)} sends no token")
        lifetime = document.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else _LIFETIME
        ends = time.monotonic() + max(seconds - _MARGIN, seconds / 2)
        with self._lock:
            self._tokens.update({(name, actions): (token, ends) for name in names})
        return token

    def _check_realm(self, challenge: Challenge) -> None:
        """A password goes to the token service only as safely as to the registry itself."""
        secure = challenge.realm.startswith("https://")
        plain = challenge.realm.startswith("http://")
        if secure or (plain and (self._url.startswith("http://") or is_loopback(challenge.realm))):
            return
        raise ProviderError(
            f"{host_of(self._url)} names a token service without https ({host_of(challenge.realm)}); "
            "no login is sent there"
        )


def token_of(document: Mapping[str, Any]) -> str | None:
    """The token in a token service's answer, None where there is none."""
    token = document.get("token") or document.get("access_token")
    return token if isinstance(token, str) and token else None


def access_claim(token: str, name: str) -> frozenset[str] | None:
    """What a token says it allows on one repository; None where the token is not a JWT that says so.

    The signature is not checked: it is the registry's business, and the token service is asked over TLS.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    if not isinstance(claims, dict) or not isinstance(claims.get("access"), list):
        return None
    actions: set[str] = set()
    for entry in claims["access"]:
        if isinstance(entry, dict) and entry.get("type") == "repository" and entry.get("name") == name:
            actions.update(action for action in entry.get("actions") or () if isinstance(action, str))
    return frozenset(actions)


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
