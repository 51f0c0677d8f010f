"""What a command has told so far: the data that every way of showing it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.errors import ExitCode, FleetError

if TYPE_CHECKING:
    from fleet.apply import Outcome
    from fleet.drift import Drift
    from fleet.plan import Plan


@dataclass(frozen=True, slots=True)
class Told:
    """What a command has come to; only what it got to is there."""

    command: str
    plan: Plan | None = None
    outcome: Outcome | None = None
    drift: Drift | None = None
    error: FleetError | None = None
    exit_code: int = ExitCode.OK
    notes: tuple[str, ...] = ()
    run_url: str = ""
    is_saved: bool = False
