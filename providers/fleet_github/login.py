"""How fleet logs in: with a token, or as a GitHub App whose installation tokens are renewed before they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from fleet.provider import OutOfBudget, ProviderError, Secret, TryAgain
from fleet_github.settings import App

EARLY = timedelta(minutes=5)
"""How long before its end an installation token is renewed; it lasts an hour.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app"""


class Login(Protocol):
    """What a client logs in with; threads share it."""

    def current(self) -> str:
        """The token of this moment."""
        ...

    def refused(self, host: str, token: str) -> ProviderError | OutOfBudget:
        """What it means that GitHub refuses this token."""
        ...

    def worked(self, token: str) -> None:
        """GitHub took this token."""
        ...

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the token may do, where GitHub tells."""
        ...


class TokenLogin:
    """A token that an operator made."""

    permissions: Mapping[str, str] | None = None

    def __init__(self, read: Callable[[], Secret]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._secret: Secret | None = None
        self._has_worked = False

    def current(self) -> str:
        """The token, read when it is first needed."""
        with self._lock:
            if self._secret is None:
                self._secret = self._read()
            return self._secret.expose()

    def worked(self, token: str) -> None:
        """From now on a refusal means that it ended."""
        self._has_worked = True

    def refused(self, host: str, token: str) -> ProviderError | OutOfBudget:
        """A token that has worked in this run has ended; one that has not was never good."""
        if self._has_worked:
            return OutOfBudget(f"the token for {host} stopped working during the run; renew it, and run again")
        return ProviderError(f"{host} refuses the token of `auth`: it is wrong, expired or revoked")


class Issue(Protocol):
    """Asks GitHub as the App itself: verb, path and body; answers with the JSON, or raises ProviderError."""

    def __call__(self, verb: str, path: str, body: Any = None) -> Any:
        """One request."""
        ...


@dataclass(frozen=True, slots=True)
class _Issued:
    token: Secret
    ends: datetime
    permissions: Mapping[str, str] = field(default_factory=dict)


class InstallationLogin:
    """A GitHub App at one of its installations."""

    def __init__(self, app: App, issue: Issue) -> None:
        self._app = app
        self._issue = issue
        self._lock = threading.Lock()
        self._installation = app.installation
        self._issued: _Issued | None = None
        self._good: str | None = None

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the installation was granted; asks for a token if there is none yet."""
        self.current()
        assert self._issued is not None
        return self._issued.permissions

    def current(self) -> str:
        """A token that lasts for some minutes yet."""
        with self._lock:
            if self._issued is None or self._issued.ends - EARLY <= datetime.now(UTC):
                self._issued = self._ask()
            return self._issued.token.expose()

    def worked(self, token: str) -> None:
        """From now on a refusal means that this token ended."""
        self._good = token

    def refused(self, host: str, token: str) -> ProviderError | OutOfBudget:
        """A token that has worked has ended before its time, and the next try takes a new one."""
        with self._lock:
            is_old = self._issued is None or self._issued.token.expose() != token
            if not (is_old or token == self._good):
                return ProviderError(f"{host} refuses the installation token that it has just given to the App")
            if not is_old:
                self._issued = None
        return TryAgain(f"the installation token for {host} ended before its time", 0)

    def _ask(self) -> _Issued:
        if self._installation is None:
            self._installation = self._only_installation()
        answer = self._issue("POST", f"/app/installations/{self._installation}/access_tokens", {})
        ends = datetime.fromisoformat(answer["expires_at"])
        return _Issued(Secret(answer["token"]), ends, answer.get("permissions") or {})

    def _only_installation(self) -> int:
        found = self._issue("GET", "/app/installations?per_page=100")
        if len(found) == 1:
            return int(found[0]["id"])
        listed = ", ".join(f"{one['id']} ({one['account']['login']})" for one in found)
        if not found:
            raise ProviderError(
                f"the GitHub App {self._app.id} is installed nowhere; install it where fleet is to work"
            )
        raise ProviderError(f"the GitHub App {self._app.id} is installed in several places; name one: {listed}")
