"""Reads what stands at addresses now: one batched read for each provider, all providers at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from fleet.errors import FleetError, Locked, OutOfBudget
from fleet.model import Address, Change, Spec
from fleet.pace import Pace
from fleet.provider import Provider

READERS = 16
"""Providers that are read at once."""


class Providers(Protocol):
    """Finds a provider by its name in fleet.yaml."""

    def __getitem__(self, name: str, /) -> Provider:
        """The provider of that name."""
        ...


Answers = Mapping[str, Mapping[Address, Spec] | FleetError]
"""What each provider answered: specs by address, or why it could not be read."""


def read_all(addresses: Iterable[Address], providers: Providers, pace: Pace) -> Answers:
    """What stands at these addresses, by provider; one that cannot be read answers with its error, and no other
    suffers from it. Raises OutOfBudget or Locked when the run may ask no more."""
    wanted: dict[str, list[Address]] = {}
    for address in addresses:
        wanted.setdefault(address.provider, []).append(address)

    def read(name: str) -> Mapping[Address, Spec] | FleetError:
        try:
            provider = providers[name]
            return pace.repeat(provider.limits, lambda: provider.read(wanted[name]))
        except (OutOfBudget, Locked):
            raise
        except FleetError as error:
            return error

    if len(wanted) < 2:
        return {name: read(name) for name in wanted}
    with ThreadPoolExecutor(READERS, thread_name_prefix="fleet-read") as pool:
        return dict(zip(wanted, pool.map(read, wanted), strict=True))


def is_at(world: Mapping[Address, Spec], address: Address, spec: Spec | None) -> bool:
    """Whether an address stands at `spec`; None means that nothing stands there."""
    return world.get(address) == spec


def is_done(world: Mapping[Address, Spec], change: Change) -> bool:
    """Whether what a change is to bring about is so."""
    found = world.get(change.address)
    if found is not None and change.before is not None and change.after is None:
        return found.has_left(change.before, change.removal or "forget")
    return found == change.after
