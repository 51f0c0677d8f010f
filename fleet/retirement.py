"""Retirement: the older credential of an identity is revoked once no build that could still use it is running.

A step and no thing, as a build is: planned when a newer credential is stored, done when the older one is revoked. Of an
identity that leaves altogether it is the wait alone: what comes after it takes away the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from fleet.builds import FIRST_LOOK, LAST_LOOK, PATIENCE, WORKFLOW
from fleet.errors import OutOfBudget
from fleet.issuing import revoke_others
from fleet.model import Address, Change, Spec
from fleet.pace import Pace
from fleet.provider import CodeHost, Issuer, Limits, Provider, Reveal
from fleet.state import RETIREMENTS

PROVIDER, KIND, _ = RETIREMENTS.split(":")


class Retired(Spec):
    """An identity whose older credential is revoked; `repository`, on the code host `host`, has the builds that push
    with it. With `leaves`, the identity itself goes afterwards, with all its credentials."""

    host: str
    repository: str
    leaves: bool = False

    def in_words(self) -> str:
        """What is waited for."""
        then = "it leaves" if self.leaves else "the older credential is revoked"
        return f"when no build of {self.repository} that could be using it is running, {then}"


def retirement_address(source: Address) -> Address:
    """The address of the step that revokes an identity's older credential."""
    return Address(PROVIDER, KIND, str(source))


def source_of(change: Change) -> Address | None:
    """The identity whose older credential a change revokes; None where it is no retirement."""
    return Address.parse(change.address.name) if change.address.provider == PROVIDER else None


@dataclass(frozen=True, slots=True)
class Retirements(Provider):
    """Revokes older credentials; `hosts` finds a code host, and `issuers` an issuer, by name, `stored` the credential
    of an identity that was stored last."""

    hosts: Callable[[str], CodeHost]
    issuers: Callable[[str], Provider]
    stored: Callable[[Address], str | None]
    pace: Pace
    name: str = PROVIDER

    kinds: ClassVar[Mapping[str, type[Spec]]] = {KIND: Retired}
    limits: ClassVar[Limits] = Limits(at_once=16)  # type: ignore[misc]

    def cost(self, change: Change) -> int:
        """One look for builds, and what revoking takes."""
        return 3

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """Nothing: a retirement that is planned is one that has not happened."""
        return {}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Wait for the builds, then revoke; raises OutOfBudget where builds take too long."""
        for change in changes:
            source, wanted = source_of(change), change.after
            assert source is not None
            assert isinstance(wanted, Retired)
            keep = self.stored(source)
            if not (keep or wanted.leaves):
                continue  # nothing is known to be stored, so nothing is known to be older
            self._wait_for_builds(self.hosts(wanted.host), wanted.repository)
            if wanted.leaves or not keep:
                continue
            issuer = self.issuers(source.provider)
            assert isinstance(issuer, Issuer)
            self.pace.repeat(issuer.limits, partial(revoke_others, issuer, source, keep))

    def _wait_for_builds(self, host: CodeHost, repository: str) -> None:
        """Those that run now: what begins from here on is given the newer credential."""
        look = partial(host.running, repository, WORKFLOW)
        older = dict(self.pace.repeat(host.limits, look))
        waited, pause = 0.0, FIRST_LOOK
        while older:
            what = f"a build of {repository} that may use the older credential goes on: {next(iter(older.values()))}"
            if waited > PATIENCE:
                raise OutOfBudget(what)
            self.pace.wait(pause, what)
            waited += pause
            pause = min(pause * 1.5, LAST_LOOK)
            still = self.pace.repeat(host.limits, look)
            older = {run: url for run, url in older.items() if run in still}
