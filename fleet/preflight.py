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
    by_provider: dict[str, list[Change]] = {}
    for change in changes:
        by_provider.setdefault(change.address.provider, []).append(change)
    found: dict[tuple[str, str], Dispute] = {}
    for name, asked in by_provider.items():
        provider = providers[name]
        for address, objection in pace.repeat(provider.limits, partial(provider.preflight, asked)).items():
            item = wanters[address]
            dispute = Dispute(item, f"{address} {objection.reason}", objection.remedy)
            found.setdefault((item.image, objection.reason), dispute)
    return list(found.values())
