"""What happens to issued credentials besides being issued: they retire one after the other, or are revoked at once.

A retirement is a step and no thing, as a build is: planned when a newer credential is stored, done when the older one
is revoked, which waits until no build that could still use it is running. Of an identity that leaves altogether it is
the wait alone: what comes after it takes away the identity. A revocation takes all that stand, whoever is using them.
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
from fleet.state import RETIREMENTS, REVOCATIONS

PROVIDER, KIND, _ = RETIREMENTS.split(":")
STANDING = REVOCATIONS.split(":")[1]


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


class Standing(Spec):
    """The credentials that stand at an identity, by the service's own names for them, oldest first."""

    is_credential: ClassVar[bool] = True

    keys: tuple[str, ...]


def standing_address(source: Address) -> Address:
    """The address of all credentials of an identity."""
    return Address(PROVIDER, STANDING, str(source))


def retirement_address(source: Address) -> Address:
    """The address of the step that revokes an identity's older credential."""
    return Address(PROVIDER, KIND, str(source))


def source_of(change: Change) -> Address | None:
    """The identity whose older credential a change revokes; None where it is no retirement."""
    is_retirement = (change.address.provider, change.address.kind) == (PROVIDER, KIND)
    return Address.parse(change.address.name) if is_retirement else None


@dataclass(frozen=True, slots=True)
class IssuedCredentials(Provider):
    """Revokes credentials; `hosts` finds a code host, and `issuers` an issuer, by name, `stored` the credential of an
    identity that was stored last."""

    hosts: Callable[[str], CodeHost]
    issuers: Callable[[str], Provider]
    stored: Callable[[Address], str | None]
    pace: Pace
    name: str = PROVIDER

    kinds: ClassVar[Mapping[str, type[Spec]]] = {KIND: Retired, STANDING: Standing}
    limits: ClassVar[Limits] = Limits(at_once=16)  # type: ignore[misc]

    def cost(self, change: Change) -> int:
        """One look for builds or credentials, and what revoking takes."""
        return 3

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """The credentials that stand; of retirements nothing: one that is planned has not happened."""
        found: dict[Address, Spec] = {}
        for address in addresses:
            if address.kind == STANDING:
                source = Address.parse(address.name)
                issuer = self._issuer(source)
                there = self.pace.repeat(issuer.limits, partial(issuer.credentials, source))
                if there:
                    found[address] = Standing(keys=tuple(one.key for one in there))
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Revoke what is to be; raises OutOfBudget where builds that are waited for take too long."""
        for change in changes:
            source = Address.parse(change.address.name)
            if isinstance(change.after, Retired):
                self._retire(source, change.after)
            else:
                self._revoke(source, None)

    def _retire(self, source: Address, wanted: Retired) -> None:
        keep = self.stored(source)
        if not (keep or wanted.leaves):
            return  # nothing is known to be stored, so nothing is known to be older
        self._wait_for_builds(self.hosts(wanted.host), wanted.repository)
        if not wanted.leaves:
            self._revoke(source, keep)

    def _revoke(self, source: Address, keep: str | None) -> None:
        issuer = self._issuer(source)
        self.pace.repeat(issuer.limits, partial(revoke_others, issuer, source, keep))

    def _issuer(self, source: Address) -> Issuer:
        issuer = self.issuers(source.provider)
        assert isinstance(issuer, Issuer)
        return issuer

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
