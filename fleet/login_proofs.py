"""Proves the logins that builds push with, as far as that can be seen from outside of a build.

What can be used is used: a push is begun and given up, and a neighbour is asked for in vain. What a service shows once
cannot be read back from a code host: then its identity and rights must be as fleet.yaml wants them, the credential must
stand, and the secret must be the one that fleet stored. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from fleet.credentials import AT_ONCE, ISSUED, OWN, Login, Pushing
from fleet.errors import FleetError, Locked, OutOfBudget
from fleet.model import Address, Spec
from fleet.provider import OwnLogin
from fleet.rotation import issuer_of
from fleet.services import Workshop
from fleet.world import is_at, read_all

PROVED = "pushes to its own repository, and a neighbour is refused to it"
OWN_PROVED = "pushes to its repository"
STANDS = "stands as it was stored; its service showed it once, so it was proved then and not again"
KEYLESS_STANDS = "identity and rights are as fleet.yaml wants them"

Ended = Callable[[Login], None]
"""Is told of each login when it has been looked at."""


def prove_logins(found: Sequence[tuple[Pushing, Login]], workshop: Workshop, ended: Ended) -> list[Login]:
    """Each login with what was seen of it in `seen`, or what is wrong in `trouble`; one does not stop the others.

    Raises FleetError where a service cannot be read at all.
    """
    world: dict[Address, Spec] = {}
    for answer in read_all(_addresses(found), workshop, workshop.pace).values():
        if isinstance(answer, FleetError):
            raise answer
        world |= answer
    proof = _Proof(workshop, world)

    def prove(one: tuple[Pushing, Login]) -> Login:
        login = proof.of(*one)
        ended(login)
        return login

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fleet-prove") as pool:
        return list(pool.map(prove, found))


def _addresses(found: Sequence[tuple[Pushing, Login]]) -> list[Address]:
    return list(dict.fromkeys(resource.address for pushing, _ in found for resource in pushing.resources))


@dataclass(frozen=True, slots=True)
class _Proof:
    workshop: Workshop
    world: Mapping[Address, Spec]

    def of(self, pushing: Pushing, login: Login) -> Login:
        """One login, proved."""
        if login.trouble:
            return login
        moved = [
            resource.address for resource in pushing.resources if not is_at(self.world, resource.address, resource.spec)
        ]
        if moved:
            return replace(login, trouble=f"{moved[0]} is not as fleet.yaml wants it: fleet plan shows why")
        try:
            return replace(login, seen=self._seen(pushing, login))
        except (OutOfBudget, Locked):
            raise
        except FleetError as error:
            return replace(login, trouble=str(error))

    def _seen(self, pushing: Pushing, login: Login) -> str:
        """What a use of the login showed; raises FleetError for one that does not work."""
        if login.kind == OWN:
            self._use_own(pushing)
            return OWN_PROVED
        if login.kind != ISSUED:
            return KEYLESS_STANDS
        return PROVED if self._use_issued(pushing, login.key) else STANDS

    def _use_own(self, pushing: Pushing) -> None:
        own = next(ref for ref in pushing.refs if OwnLogin.is_asked_for(ref))
        provider = self.workshop[own.source.provider]
        self.workshop.pace.repeat(provider.limits, lambda: provider.reveal(own))

    def _use_issued(self, pushing: Pushing, key: str) -> bool:
        source = pushing.source
        issuer = issuer_of(source, self.workshop) if source else None
        assert source is not None
        assert issuer is not None
        issued = self.workshop.pace.repeat(issuer.limits, lambda: issuer.recall(source, key))
        if issued is None:
            return False
        self.workshop.pace.repeat(issuer.limits, lambda: issuer.prove(source, issued))
        return True
