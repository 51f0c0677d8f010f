"""What the slots of fleet.yaml want of each site, and everything that is wrong with that, all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleet.config import NEWEST_BUILD, Loaded
from fleet.diagnostics import Diagnostic
from fleet.model import Address, Unknown
from fleet.reference import ImageReference
from fleet.site import SiteAddress, SiteReference
from fleet.sites import FoundSite, Survey
from fleet.values import ValuesFile, find_prefix, paste_lines


@dataclass(frozen=True, slots=True)
class Want:
    """What one slot of one hub wants a site to say."""

    hub: str
    slot: str
    image: str
    reference: ImageReference
    """The image's full name, and the tag where it is known."""
    unknown: Unknown | None = None
    """The build that will give the tag, where it is not known yet."""

    def keys(self, field: str) -> tuple[str, ...]:
        """Where fleet.yaml says so."""
        return ("hubs", self.hub, "slots", self.slot, field)


@dataclass(frozen=True, slots=True)
class Wants:
    """All wants by site, each site's first want speaking for all, and what is wrong with them."""

    by_site: Mapping[Address, list[Want]]
    wrong: tuple[Diagnostic, ...]

    def images(self, address: Address) -> tuple[str, ...]:
        """The images of fleet.yaml that are wanted at a site."""
        return tuple(dict.fromkeys(want.image for want in self.by_site[address]))


def find_wants(
    loaded: Loaded, surveyed: Survey, names: Mapping[str, str], newest: Mapping[str, str | Unknown]
) -> Wants:
    """What each surveyed site is wanted to say; `names` holds every image's full name, `newest` its newest build."""
    by_site: dict[Address, list[Want]] = {}
    missing: list[Diagnostic] = []
    references: dict[tuple[str, str], ImageReference] = {}
    for hub, slots in surveyed.slots.items():
        for name, slot in loaded.fleet.hubs[hub].slots.items():
            if slot.image not in names:
                continue  # the image itself is wrong, and that is said already
            tag = newest.get(slot.image) if slot.track == NEWEST_BUILD else slot.track
            if tag is None:
                continue  # not read, or wrong, and that is said elsewhere
            known, unknown = (tag, None) if isinstance(tag, str) else (None, tag)
            key = (slot.image, known or "")
            if key not in references:
                references[key] = ImageReference(names[slot.image], known)
            sites = slots.get(name)
            want = Want(hub, name, slot.image, references[key], unknown)
            if not sites:
                missing.append(_no_site(loaded, surveyed.files[hub], want, list(slots)))
                continue
            for address in sites:
                by_site.setdefault(address, []).append(want)
    wrong = (*missing, *_conflicts(loaded, by_site), *_refused(loaded, surveyed, by_site))
    return Wants(by_site, wrong)


def _no_site(loaded: Loaded, files: Sequence[ValuesFile], want: Want, others: list[str]) -> Diagnostic:
    hub, slot, wanted = want.hub, want.slot, want.reference
    values = loaded.fleet.hubs[hub].values
    assert values is not None
    lines = paste_lines(slot, wanted, find_prefix(files))
    has = f"It has: {', '.join(others)}." if others else "It sets no user image at all."
    return loaded.source.diagnostic(
        ("hubs", hub, "slots", slot),
        f"no values file of the hub {hub} sets an image for the slot {slot}",
        f"{has}\nIf it is to have one, add these lines to {values.files[-1]}:\n{lines}",
        of="key",
    )


def _conflicts(loaded: Loaded, by_site: Mapping[Address, list[Want]]) -> Iterator[Diagnostic]:
    """Slots that share a site and want different things of it."""
    for address, wants in by_site.items():
        first = wants[0]
        other = next((want for want in wants if want.reference != first.reference), None)
        if other is None:
            continue
        site = SiteAddress.parse(address.name)
        where = loaded.source.range(first.keys("track"))
        yield loaded.source.diagnostic(
            other.keys("track"),
            f"{other.hub} {other.slot} wants {other.reference}, but one line decides it and {first.hub} {first.slot} "
            "alike",
            f"That one wants {first.reference} ({where}). The line is in {site.file}, at {site.path}: write the same "
            "track for both, or give one hub a line of its own.",
        )


def _refused(loaded: Loaded, surveyed: Survey, by_site: Mapping[Address, list[Want]]) -> Iterator[Diagnostic]:
    """Slots that want what cannot be written at their site, such as another image where the tag stands alone."""
    for address, wants in by_site.items():
        found, first = surveyed.sites[address], wants[0]
        refusal = found.site.refusal(first.reference) if isinstance(found, FoundSite) else None
        if refusal:
            summary = f"{first.hub} {first.slot} cannot be given {first.reference}"
            yield loaded.source.diagnostic(first.keys("image"), summary, refusal)


def wanted_at(found: SiteReference | None, want: Want) -> SiteReference:
    """The spec that makes a site say what is wanted: with the image's name only where the site holds it."""
    holds_name = found is None or bool(found.image)
    tag = want.unknown or want.reference.tag or ""
    return SiteReference(image=want.reference.name if holds_name else "", tag=tag)
