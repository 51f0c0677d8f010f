"""The error tree, and the exit code that each branch ends with.

    FleetError                  1   something is wrong; nothing was written
    ├── InputError              1   fleet.yaml, a values file or a plan file is wrong (carries diagnostics)
    ├── UsageError             64   the command line is wrong
    ├── PolicyRefusal           4   protect or limits forbid the plan
    ├── Stale                   5   something that was reviewed no longer holds
    ├── Locked                  6   another run holds the lock
    ├── OutOfBudget             7   requests or time ran out; running again goes on
    └── ProviderError           1   a service or a program refused
        ├── Conflict                somebody else wrote first: read again, then decide
        ├── Unsure                  the connection broke, so it may or may not have happened: read, then decide
        └── TryAgain                a passing trouble: the core waits and repeats

Every error is one sentence that says what is wrong and, where known, what would be right.
Only the command line catches `FleetError`, and it alone turns one into an exit code.
"""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False  # `typing` is not imported for it: `fleet version` pays for every import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import ClassVar

    from fleet.diagnostics import Diagnostic


class ExitCode(IntEnum):
    """What the process ends with; the meaning of each is part of the command line's contract."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    PARTIAL = 3
    REFUSED = 4
    STALE = 5
    LOCKED = 6
    BUDGET = 7
    HALTED = 8
    USAGE = 64
    INTERRUPTED = 130


class FleetError(Exception):
    """Something is wrong, in one sentence; nothing was written."""

    exit_code: ClassVar[ExitCode] = ExitCode.ERROR


class InputError(FleetError):
    """One or more inputs are wrong; each diagnostic names its place."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class UsageError(FleetError):
    """The command line cannot be understood or carried out as written."""

    exit_code = ExitCode.USAGE


class PolicyRefusal(FleetError):
    """`protect` or `limits` in fleet.yaml forbids the plan; the diagnostics name the rule and its line."""

    exit_code = ExitCode.REFUSED

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class Stale(FleetError):
    """Something that was reviewed no longer holds."""

    exit_code = ExitCode.STALE


class Locked(FleetError):
    """Another run holds the lock on the state."""

    exit_code = ExitCode.LOCKED


class OutOfBudget(FleetError):
    """Requests or time ran out; what is done is done, and running again goes on from there."""

    exit_code = ExitCode.BUDGET


class ProviderError(FleetError):
    """A service or a program refused; the text says what it said and what would help."""


class Conflict(ProviderError):
    """Somebody else wrote first, so nothing was written; read again and decide anew."""


class Unsure(ProviderError):
    """The answer was lost, so the write may or may not have happened; read again and decide anew."""


class TryAgain(ProviderError):
    """A passing trouble; `after` is the number of seconds the service asked to wait, where it said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
