"""Plans that somebody asks for of credentials alone: to replace those that are old enough, or to revoke all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fleet.config import Loaded
from fleet.errors import FleetError, InputError
from fleet.images import read_homes
from fleet.model import Address, Spec
from fleet.plan import Plan, Told
from fleet.provider import Credential
from fleet.retirement import standing_address
from fleet.rotation import Holding, Limit, Rotations, holdings, issuer_of, revocation, rotations, standing
from fleet.selection import Selection
from fleet.services import Workshop
from fleet.world import is_at, read_all


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for of the credentials of a part of a fleet: to replace old ones, or to revoke all."""

    loaded: Loaded
    workshop: Workshop
    selection: Selection

    def plan_rotation(self, limit: Limit) -> Plan:
        """A plan that replaces the issued credentials that are old enough, and does nothing else.

        What is not as fleet.yaml wants it is left to `fleet apply`, with a note. Raises InputError for a fleet.yaml
        that cannot be planned, FleetError where a service does not answer.
        """
        held = self._holdings()
        settled, left = _as_wanted([one for one in held if issuer_of(one.source, self.workshop)], self.workshop)
        found = rotations(settled, (), self.workshop, lambda one: limit, datetime.now(UTC))
        return self._plan(found, len(held), tuple(_left(one) for one in left))

    def plan_revocation(self) -> Plan:
        """A plan that revokes all that was issued, at once, whoever is using it; raises as `plan_rotation` does."""
        held = self._holdings()
        issued = {one.source: one for one in held if issuer_of(one.source, self.workshop)}
        there = standing(issued, self.workshop)
        changes = [change for source in issued if (change := revocation(source, there[source]))]
        reasons = {
            standing_address(
                source
            ): f"{', '.join(key.key for key in there[source])}: revoked at once, so that no build "
            f"of {one.repository} can push until fleet apply has stored a new one"
            for source, one in issued.items()
        }
        own = [one for one in held if one.source not in issued]
        return self._plan(Rotations(tuple(changes), reasons), len(held), tuple(_not_ours(one) for one in own))

    def _holdings(self) -> list[Holding]:
        """The secrets of the selected images that hold a credential to push with."""
        fleet, selection = self.loaded.fleet, self.selection
        labels = {name: hub.labels for name, hub in fleet.hubs.items()}
        selection.check(labels, fleet.images)
        homes, wrong = read_homes(
            self.loaded,
            self.workshop,
            self.workshop.pace,
            lambda item: selection.takes(item.image, [item.resource.address], labels),
        )
        if wrong:
            raise InputError(wrong)
        found = holdings(self.loaded, homes)
        return [one for one in found if selection.takes(one.image, (one.secret.address, one.source), labels)]

    def _plan(self, found: Rotations, resources: int, notes: tuple[str, ...]) -> Plan:
        fleet, workshop = self.loaded.fleet, self.workshop
        return Plan(
            fleet=fleet.name,
            configuration=fleet.model_dump(mode="json", by_alias=True, exclude_none=True),
            changes=found.changes,
            partial=True,
            told=Told(
                hubs=len(fleet.hubs),
                resources=resources,
                requests_used=workshop.pace.requests,
                requests_needed=sum(workshop[change.address.provider].cost(change) for change in found.changes),
                reasons=found.reasons,
                notes=notes,
            ),
        )


def _as_wanted(held: Sequence[Holding], workshop: Workshop) -> tuple[list[Holding], list[Holding]]:
    """The secrets that stand as fleet stored them, and the others."""
    world: dict[Address, Spec] = {}
    for answer in read_all([one.secret.address for one in held], workshop, workshop.pace).values():
        if isinstance(answer, FleetError):
            raise answer
        world |= answer

    def is_settled(one: Holding) -> bool:
        return one.source in workshop.stored and is_at(world, one.secret.address, one.secret.spec)

    return [one for one in held if is_settled(one)], [one for one in held if not is_settled(one)]


def _left(one: Holding) -> str:
    return (
        f"Notice: {one.secret.address} is not known to hold a credential that fleet stored as it stands: "
        "it is left to `fleet apply`."
    )


def _not_ours(one: Holding) -> str:
    return (
        f"Notice: {one.secret.address} holds a login of your own, which fleet does not revoke: change it where it was "
        "made, then apply."
    )


def _consequence(one: Holding, there: Sequence[Credential]) -> str:
    keys = ", ".join(credential.key for credential in there)
    return f"{keys}: revoked at once, so that no build of {one.repository} can push until the next fleet apply"
