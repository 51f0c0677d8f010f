"""What services are sure to refuse of a plan, asked of them before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fleet.difference import Dispute, Wanted
from fleet.model import Change
from fleet.pace import Pace
from fleet.world import Providers


def preflight(changes: Sequence[Change], wanted: Sequence[Wanted], providers: Providers, pace: Pace) -> list[Dispute]:
    """What stands in the way of changes, one dispute for each reason; each provider is asked once."""
    wanters = {item.resource.address: item for item in wanted}
    found: dict[tuple[str, str], Dispute] = {}
    for name, asked in _by_provider(changes).items():
        provider = providers[name]
        for address, objection in pace.repeat(provider.limits, partial(provider.preflight, asked)).items():
            item = wanters[address]
            dispute = Dispute(item, f"{address} {objection.reason}", objection.remedy)
            found.setdefault((item.image, objection.reason), dispute)
    return list(found.values())


def notices(changes: Sequence[Change], providers: Providers, pace: Pace) -> list[str]:
    """What a person should know of changes that nothing refuses; each provider is asked once."""
    found: dict[str, None] = {}
    for name, asked in _by_provider(changes).items():
        provider = providers[name]
        said = pace.repeat(provider.limits, partial(provider.notices, asked))
        found.update(dict.fromkeys(f"Notice: {one}" for one in said))
    return list(found)


def _by_provider(changes: Sequence[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.address.provider, []).append(change)
    return found
