"""GitHub's rate limits on the sandbox's clock.

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fleet.sandbox.github.clock import Clock
from fleet.sandbox.github.errors import ApiError

Resource = Literal["core", "graphql"]

HOUR = 3600
MINUTE = 60
_TROUBLE = "Please wait a few minutes before you try again."


@dataclass(slots=True)
class Limits:
    """How much is allowed; None is no limit. `status` is what a refusal has: GitHub uses both."""

    core_per_hour: int = 5000
    graphql_per_hour: int = 5000
    anonymous_per_hour: int = 60
    points_per_minute: int | None = 900
    graphql_points_per_minute: int | None = 2000
    content_per_minute: int | None = 80
    content_per_hour: int | None = 500
    status: Literal[403, 429] = 403
    says_retry_after: bool = True
    """Whether a refusal by a secondary limit says how long to wait."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands with its primary limit."""

    resource: Resource
    limit: int
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        """What is left until `reset`."""
        return max(0, self.limit - self.used)

    def headers(self) -> Mapping[str, str]:
        """As each answer carries it."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": self.resource,
        }

    def document(self) -> dict[str, int]:
        """As `/rate_limit` shows it."""
        return {"limit": self.limit, "remaining": self.remaining, "used": self.used, "reset": self.reset}


@dataclass(slots=True)
class _Window:
    used: int = 0
    reset: float = 0.0


@dataclass(slots=True)
class _Client:
    windows: dict[Resource, _Window] = field(default_factory=dict)
    points: dict[Resource, deque[tuple[float, int]]] = field(default_factory=dict)
    content: deque[float] = field(default_factory=deque)


class Meter:
    """Counts what each client has used. Its caller holds the state's lock."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.limits = limits
        self._clock = clock
        self._clients: dict[str, _Client] = {}

    def standing(self, client: str, resource: Resource) -> Standing:
        """Where a client stands now."""
        window = self._window(client, resource)
        return Standing(resource, self._limit(client, resource), window.used, math.ceil(window.reset))

    def charge(self, client: str, resource: Resource, cost: int = 1) -> None:
        """Take `cost` off the primary limit; raises the refusal when nothing is left."""
        window = self._window(client, resource)
        if window.used + cost > self._limit(client, resource):
            text = "API rate limit exceeded for user."
            raise ApiError(self.limits.status, text, headers=self.standing(client, resource).headers())
        window.used += cost

    def refund(self, client: str, resource: Resource) -> None:
        """Give back one request: an answer of 304 costs nothing."""
        self._window(client, resource).used -= 1

    def spend_points(self, client: str, resource: Resource, *, writes: bool) -> None:
        """Count a request against the secondary limits; raises the refusal when it is one too many."""
        allowed = self.limits.points_per_minute if resource == "core" else self.limits.graphql_points_per_minute
        points, now = self._client(client).points.setdefault(resource, deque()), self._clock.time()
        while points and points[0][0] <= now - MINUTE:
            points.popleft()
        cost = 5 if writes else 1
        if allowed is not None and sum(spent for _, spent in points) + cost > allowed:
            raise self._secondary(points[0][0] + MINUTE - now)
        if writes:
            self._create_content(client, now)
        points.append((now, cost))

    def _create_content(self, client: str, now: float) -> None:
        content = self._client(client).content
        while content and content[0] <= now - HOUR:
            content.popleft()
        for allowed, span in ((self.limits.content_per_minute, MINUTE), (self.limits.content_per_hour, HOUR)):
            recent = [moment for moment in content if moment > now - span]
            if allowed is not None and len(recent) >= allowed:
                raise self._secondary(recent[len(recent) - allowed] + span - now)
        content.append(now)

    def _secondary(self, wait: float) -> ApiError:
        headers = {"retry-after": str(math.ceil(wait))} if self.limits.says_retry_after else {}
        return ApiError(self.limits.status, f"You have exceeded a secondary rate limit. {_TROUBLE}", headers=headers)

    def _client(self, client: str) -> _Client:
        return self._clients.setdefault(client, _Client())

    def _limit(self, client: str, resource: Resource) -> int:
        if not client:
            return self.limits.anonymous_per_hour
        return self.limits.core_per_hour if resource == "core" else self.limits.graphql_per_hour

    def _window(self, client: str, resource: Resource) -> _Window:
        window = self._client(client).windows.setdefault(resource, _Window())
        if self._clock.time() >= window.reset:
            window.used, window.reset = 0, self._clock.time() + HOUR
        return window
