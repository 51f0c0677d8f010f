"""What waits in a proposal is no change: it is read from the code host, where a person merges or closes it.

Without a proposal, or after one was merged, what fleet wants is a change as ever. While one is open that holds just
that, it waits; after it was closed unmerged, it is held. As soon as something else is wanted, it is a change again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fleet.builds import FILES, build_address
from fleet.errors import InputError
from fleet.model import Address, Change, Unknown
from fleet.plan import LeftOut
from fleet.proposal import Proposal
from fleet.services import Workshop
from fleet.site import KIND, SiteAddress, SiteReference
from fleet.sites import FoundSite, Survey, branch_to_propose_from
from fleet.values import parse_values, read_site
from fleet.wants import Wants, wanted_at


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is still to be written or proposed, what waits in proposals, and what to say of them."""

    changes: Sequence[Change] = ()
    left_out: Sequence[LeftOut] = ()
    notes: Sequence[str] = ()

    @property
    def waiting(self) -> Sequence[Address]:
        """The addresses that are left out."""
        return [item.address for item in self.left_out]


@dataclass(frozen=True, slots=True)
class Scene:
    """What sites say and are wanted to say, and whether the plan looks at all of them."""

    surveyed: Survey
    wants: Wants
    partial: bool


def without_waiting_files(workshop: Workshop, changes: Sequence[Change]) -> Delivered:
    """The changes of what services hold, less those of files that a proposal holds already."""
    hosts = [name for name, host in workshop.fleet.code_hosts.items() if host.delivery == "pull-request"]
    found: dict[Address, Proposal] = {}
    for name in hosts:
        asked = [change for change in changes if change.address.provider == name]
        if asked:
            host = workshop.code_host(name)
            found |= workshop.pace.repeat(host.limits, partial(host.proposals, asked))
    return Delivered(
        [change for change in changes if change.address not in found],
        [_waits(change, found[change.address]) for change in changes if change.address in found],
    )


def without_waiting_sites(workshop: Workshop, moves: Sequence[Change], scene: Scene) -> Delivered:
    """The moves, less those of groups whose proposal holds them and nothing else: one or two requests for each."""
    by_branch: dict[tuple[str, str], dict[Address, SiteAddress]] = {}
    for address, found in scene.surveyed.sites.items():
        if isinstance(found, FoundSite):
            site = SiteAddress.parse(address.name)
            if workshop.proposes(site.repository):
                by_branch.setdefault((site.repository, site.branch), {})[address] = site
    waiting: dict[Address, LeftOut] = {}
    notes: list[str] = []
    for (repository, branch), sites in by_branch.items():
        host, own = workshop.host(repository), branch_to_propose_from(workshop.fleet.name, branch)
        files = sorted({site.file for site in sites.values()})
        proposal = workshop.pace.repeat(host.limits, partial(host.proposal, repository, own, files))
        if proposal is None or proposal.status == "merged":
            continue
        held = dict(_read(proposal, sites))
        of_branch = {move.address: move for move in moves if move.address in sites}
        if all(held.get(address) in _agreeing(address, of_branch.get(address), scene) for address in sites):
            of_this = of_branch.values()
            waiting |= {
                move.address: _waits(move, proposal, scene.surveyed.sites[move.address].image) for move in of_this
            }
        elif not of_branch and proposal.status == "open":
            notes.append(f"Notice: {proposal.url} proposes what fleet.yaml does not want any more: close it.")
    left = [move for move in moves if move.address not in waiting]
    return Delivered(left, list(waiting.values()), tuple(notes))


def announced(workshop: Workshop, changes: Sequence[Change]) -> Iterator[str]:
    """Says of each group that apply will propose that it will not write it."""
    for group in dict.fromkeys(change.group for change in changes if is_proposed(workshop, change.address)):
        yield f"By pull request: {group} is proposed, not written."


def unstarted(wanted: SiteReference, builds: Sequence[Change]) -> str:
    """The repository whose build gives the wanted tag and starts only when a proposal is merged; else empty."""
    tag = wanted.tag
    if not isinstance(tag, Unknown) or build_address(tag.build_of) in {build.address for build in builds}:
        return ""
    return tag.build_of


def _agreeing(address: Address, move: Change | None, scene: Scene) -> Sequence[SiteReference | None]:
    """What a proposal may say at a site: where it moves what is wanted, elsewhere what stands there; in the part that
    the plan does not look at, either."""
    if move is not None:
        assert isinstance(move.after, SiteReference)
        return [move.after]
    stands = scene.surveyed.sites[address].reference
    if scene.partial and address in scene.wants.by_site:
        return [stands, wanted_at(stands, scene.wants.by_site[address][0])]
    return [stands]


def _read(proposal: Proposal, sites: Mapping[Address, SiteAddress]) -> Iterator[tuple[Address, SiteReference]]:
    """What a proposal's files say; nothing of a file that somebody broke."""
    try:
        parsed = {name: parse_values(name, data) for name, data in proposal.contents.items()}
    except InputError:
        return
    for address, site in sites.items():
        reference = read_site(parsed[site.file], site.path) if site.file in parsed else None
        if reference is not None:
            yield address, SiteReference.of(reference)


def _waits(change: Change, proposal: Proposal, image: str = "") -> LeftOut:
    return LeftOut(change.address, change.before, change.after, proposal.reason, image=image)


def is_proposed(workshop: Workshop, address: Address) -> bool:
    """Whether apply proposes what changes at an address instead of writing it."""
    if address.kind == KIND:
        return workshop.proposes(SiteAddress.parse(address.name).repository)
    return address.kind == FILES and workshop.proposes(address.name)
