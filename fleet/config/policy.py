"""Limits on what one run may do, and what happens to things that leave the file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from fleet.config.base import ADDRESS, PERCENT, Strict, problem


def percentage(value: object) -> int | None:
    """The number before the % sign; None when this is no percentage from 1% to 100%."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,3}%", value):
        return None
    number = int(value.removesuffix("%"))
    return number if 1 <= number <= 100 else None


def _share(value: Any) -> Any:
    if percentage(value) is not None:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise problem("{shown} is neither a number of hubs from 1 nor a percentage from 1% to 100%")


Share = Annotated[
    int | str,
    BeforeValidator(_share),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": PERCENT}]}),
]


class Limits(Strict):
    """How much one run may do; an absent limit is no limit."""

    remove: int | None = Field(default=None, ge=0, description="How many things may be removed or forgotten.")
    hubs_per_run: Share | None = Field(
        default=None, description="How many hubs may change: a number, or a percentage of all hubs, rounded down."
    )

    def hubs_allowed(self, hubs: int) -> int | None:
        """How many of `hubs` hubs one run may change; None where there is no limit."""
        if isinstance(self.hubs_per_run, str):
            return hubs * int(self.hubs_per_run.removesuffix("%")) // 100
        return self.hubs_per_run


class Removed(Strict):
    """What happens to something that has left the file; what is not named here is only forgotten."""

    address: Annotated[str, StringConstraints(pattern=ADDRESS)] = Field(
        description="Its address, such as github:repository:example-org/old-image."
    )
    then: Literal["archive", "destroy"] = Field(description="Archive it, or destroy it with all it holds.")
