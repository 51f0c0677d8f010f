"""What the tags that hubs want mean: registries are asked, and what moves is frozen by its digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fleet.config import Loaded
from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.model import Address
from fleet.plan import Resolution
from fleet.reference import ImageReference
from fleet.resolution import Resolved, resolve, suggestions
from fleet.selection import Selection, Subject
from fleet.services import Workshop
from fleet.wants import Want, Wants


def ask_registries(loaded: Loaded, workshop: Workshop, wants: Wants, selection: Selection) -> Resolved:
    """What the references mean now that selected sites want, but for those that a build is yet to give."""
    labels = {name: hub.labels for name, hub in loaded.fleet.hubs.items()}
    references: dict[ImageReference, None] = {}
    for address, of_site in wants.by_site.items():
        hubs = tuple(dict.fromkeys(want.hub for want in of_site))
        subject = Subject(address, hubs, wants.images(address))
        if of_site[0].unknown is None and _may_ask_about(subject, selection, labels):
            references[of_site[0].reference] = None
    return resolve(list(references), workshop.registry_at, workshop.pace)


def _may_ask_about(subject: Subject, selection: Selection, labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a site is in the selection; of a shared one it is enough that one of its hubs is."""
    if selection.excluded_by(subject, labels):
        return False
    return not selection.targets or any(selector.matches(subject, labels) for selector in selection.targets)


def freeze(
    loaded: Loaded, workshop: Workshop, moving: Mapping[Address, Want], resolved: Resolved | None
) -> dict[Address, Resolution]:
    """The tag and digest of every site that moves, from what it is to say; raises InputError for tags that may not be
    used.

    Nothing is frozen where no registry was asked, nor of a tag that a build will give: that is looked up then.
    """
    if resolved is None:
        return {}
    known = {address: want for address, want in moving.items() if want.unknown is None}
    missing = [want.reference for want in known.values() if resolved.is_missing(want.reference)]
    instead = suggestions(missing, workshop.registry_at)
    frozen: dict[Address, Resolution] = {}
    wrong: list[Diagnostic] = []
    for address, want in known.items():
        trouble = resolved.trouble(want.reference)
        if trouble:
            said = trouble + instead.get(want.reference.name, "")
            wrong.append(loaded.source.diagnostic(want.keys("track"), said, "No hub is given such a tag."))
        else:
            digest = resolved.digests[want.reference]
            frozen[address] = Resolution(want.reference.name, want.reference.tag or "", digest)
    if wrong:
        raise InputError(wrong)
    return frozen


def about_tags(
    wants: Wants, moving: Collection[Address], resolved: Resolved | None, digests: Mapping[Address, str]
) -> Iterator[str]:
    """What a person should know of tags that hubs have and keep; `digests` is what each meant when fleet wrote it."""
    if resolved is None:
        if moving:
            yield "No registry was asked: whether these tags exist was not checked."
        return
    said: set[ImageReference] = set()
    for address, of_site in wants.by_site.items():
        want = of_site[0]
        if address not in moving and want.reference not in said:
            said.add(want.reference)
            yield from _about(want, resolved, digests.get(address))


def _about(want: Want, resolved: Resolved, known: str | None) -> Iterator[str]:
    reference, digest = want.reference, resolved.digests.get(want.reference)
    if digest is None:
        trouble = resolved.trouble(reference)
        if trouble is not None and reference in resolved.asked:
            yield f"Notice: {want.hub} uses {reference}: {trouble}."
    elif known is not None and known != digest:
        yield f"Notice: {reference} was pushed again since fleet wrote it: {known} then, {digest} now."
