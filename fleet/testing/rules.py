"""All cases of the contract, and which of them apply to a provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from unittest import SkipTest

from fleet.provider import CodeHost, Issuer, Registry
from fleet.testing import code_host, faults, killing, making, proposing, registry
from fleet.testing.subject import Subject

Check = Callable[[type[Subject]], int | None]
"""Raises AssertionError where the provider breaks the rule; may return how many crash points it has tried."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case for one provider; `does_not_apply` is empty, or the reason."""

    name: str
    subject: type[Subject]
    check: Check
    does_not_apply: str = ""

    def run(self) -> int:
        """Check the rule and return how many crash points were tried; a case that does not apply is skipped."""
        if self.does_not_apply:
            raise SkipTest(f"{self.subject.type}: {self.name!r} does not apply: {self.does_not_apply}")
        return self.check(self.subject) or 0

    def __str__(self) -> str:
        return f"{self.subject.type}: {self.name}"


RULES: Mapping[str, tuple[Check, tuple[str, ...]]] = {
    **making.RULES,
    **killing.RULES,
    **faults.RULES,
    **registry.RULES,
    **code_host.RULES,
    **proposing.RULES,
}
"""Each rule by its name: how it is checked, and what a provider must have for it to apply."""


def cases(subject: type[Subject]) -> list[Case]:
    """Every case of the contract for a provider, also those that do not apply."""
    return [Case(name, subject, check, _reason(subject, needs)) for name, (check, needs) in RULES.items()]


def _reason(subject: type[Subject], needs: tuple[str, ...]) -> str:
    provider = subject.provider()
    absent = {
        "requests": "it makes no requests" if "service" in subject.without else "",
        "registry": "" if issubclass(provider, Registry) else "it is no registry",
        "issuer": "" if issubclass(provider, Issuer) else "it issues nothing that is shown once",
        "code host": "" if issubclass(provider, CodeHost) else "it is no code host",
        "kinds": "" if provider.kinds else "it makes nothing",
    }
    reasons = [absent.get(need, "") or subject.without.get(need, "") for need in needs]
    return next((reason for reason in reasons if reason), "")
