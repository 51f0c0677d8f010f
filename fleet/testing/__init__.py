"""The contract suite: every provider passes it, also one that lives outside of this repository.

A provider's test file says how its service is started and what can be done to it behind fleet's back (a `Subject`),
and runs each case:

    import pytest
    from fleet.testing import cases

    @pytest.mark.parametrize("case", cases(ShelfSubject), ids=str)
    def test_contract(case):
        case.run()

The cases plan and apply through fleet's own core, against a real HTTP server on loopback, and kill real processes. A
case that does not apply, because the provider lacks a role or its service an ability, is skipped with the reason.
"""

from __future__ import annotations

from fleet.sandbox.http import Fault, Loopback, Request, Response, Service
from fleet.testing.crash import CRASH_POINTS
from fleet.testing.rules import Case, cases
from fleet.testing.subject import FLEET, NAME, NONSENSE, CodeHostSubject, Forward, SeenProposal, Subject

__all__ = [
    "CRASH_POINTS",
    "FLEET",
    "NAME",
    "NONSENSE",
    "Case",
    "CodeHostSubject",
    "Fault",
    "Forward",
    "Loopback",
    "Request",
    "Response",
    "SeenProposal",
    "Service",
    "Subject",
    "cases",
]
