"""Who last changed the lines that sites stand on, asked once for each repository and branch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from fleet.model import Address
from fleet.provider import LastChange
from fleet.services import Workshop
from fleet.site import SiteAddress


def last_changes(workshop: Workshop, lines: Mapping[Address, int]) -> dict[Address, LastChange]:
    """The commit that last changed the line of each site; a line that no commit is known of has no entry."""
    asked: dict[tuple[str, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    sites = {address: SiteAddress.parse(address.name) for address in lines}
    for address, site in sites.items():
        asked[site.repository, site.branch][site.file].add(lines[address])
    known: dict[tuple[str, str, str, int], LastChange] = {}
    for (repository, branch), files in asked.items():
        host = workshop.host(repository)
        wanted = {file: sorted(numbers) for file, numbers in files.items()}
        answer = workshop.pace.repeat(host.limits, partial(host.blame, repository, branch or None, wanted))
        known |= {(repository, branch, file, number): last for (file, number), last in answer.items()}
    found = {
        address: known.get((site.repository, site.branch, site.file, lines[address])) for address, site in sites.items()
    }
    return {address: last for address, last in found.items() if last is not None}
