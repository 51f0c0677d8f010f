"""Where a client stands with its rate limits; asking costs nothing.

https://docs.github.com/rest/rate-limit/rate-limit
"""

from __future__ import annotations

from fleet.sandbox.github.limits import Meter
from fleet.sandbox.http import Response


def get(meter: Meter, client: str) -> Response:
    """GET /rate_limit"""
    core, graphql = meter.standing(client, "core").document(), meter.standing(client, "graphql").document()
    search = {"limit": 30, "remaining": 30, "used": 0, "reset": core["reset"]}
    return Response.of_json({"resources": {"core": core, "graphql": graphql, "search": search}, "rate": core})
