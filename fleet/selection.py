"""What `-target`, `-exclude` and `protect` name: addresses, hubs, images and labels, with globs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from fleet.errors import UsageError
from fleet.model import Address

WORDS = ("hub", "image", "label")
"""Selectors that begin with one of these name no address; no provider may be called so."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be selected: an address, the hubs that it reaches and the images that it is about."""

    address: Address
    hubs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selector:
    """One selector as it was written."""

    text: str

    @property
    def word(self) -> str:
        """`hub`, `image` or `label`; empty for an address."""
        word = self.text.partition(":")[0]
        return word if word in WORDS else ""

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        pattern = self.text.partition(":")[2] if self.word else self.text
        return re.compile(translate(pattern))

    def _fits(self, text: str) -> bool:
        """Whether a text is meant; an address may hold brackets, so it also matches as it stands."""
        return text == self.text or self._glob.match(text) is not None

    def hubs(self, labels: Mapping[str, Mapping[str, str]]) -> set[str]:
        """The hubs that it names, given every hub's labels; none for an address or an image."""
        match self.word:
            case "hub":
                return {hub for hub in labels if self._fits(hub)}
            case "label":
                return {hub for hub, own in labels.items() if any(self._fits(f"{k}={v}") for k, v in own.items())}
        return set()

    def matches(self, subject: Subject, labels: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether it names the subject, or any hub that the subject reaches."""
        match self.word:
            case "image":
                return any(self._fits(image) for image in subject.images)
            case "":
                return self._fits(str(subject.address))
        return bool(self.hubs({hub: labels.get(hub, {}) for hub in subject.hubs}))


def selectors(texts: Iterable[str], option: str) -> tuple[Selector, ...]:
    """Read the selectors of an option; raises UsageError for one that can name nothing."""
    result = []
    for text in texts:
        selector = Selector(text)
        colons = text.count(":")
        if colons < 1 or (selector.word == "" and colons < 2) or (selector.word == "label" and "=" not in text):
            raise UsageError(
                f"{option}={text} names nothing: write an address (provider:kind:name), hub:NAME, image:NAME or "
                "label:KEY=VALUE"
            )
        result.append(selector)
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run is about: everything, or the targets, less what is excluded."""

    targets: tuple[Selector, ...] = ()
    excludes: tuple[Selector, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether it is less than everything."""
        return bool(self.targets or self.excludes)

    def excluded_by(self, subject: Subject, labels: Mapping[str, Mapping[str, str]]) -> Selector | None:
        """The selector that excludes the subject; one hub that is excluded leaves a shared site out whole."""
        return next((selector for selector in self.excludes if selector.matches(subject, labels)), None)

    def is_targeted(self, subject: Subject, labels: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether the subject is among the targets; raises UsageError for a part of the hubs of a shared site."""
        if not self.targets:
            return True
        hubs: set[str] = set()
        for selector in self.targets:
            if selector.word in ("", "image"):
                if selector.matches(subject, labels):
                    return True
            else:
                hubs |= selector.hubs(labels)
        if not hubs.intersection(subject.hubs):
            return False
        others = [hub for hub in subject.hubs if hub not in hubs]
        if others:
            raise UsageError(_shared(subject, hubs, others))
        return True

    def takes(self, image: str, addresses: Iterable[Address], labels: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether a part of an image is selected: by the image's name, or by one of these addresses."""
        subjects = [Subject(address, images=(image,)) for address in addresses]
        targeted = any(self.is_targeted(subject, labels) for subject in subjects)
        return targeted and not any(self.excluded_by(subject, labels) for subject in subjects)

    def check(self, labels: Mapping[str, Mapping[str, str]], images: Collection[str]) -> None:
        """Raise UsageError for a selector that names a hub, label or image which fleet.yaml does not have."""
        for selector in (*self.targets, *self.excludes):
            known = {
                "": True,
                "image": any(selector.matches(Subject(Address("", "", ""), (), (image,)), {}) for image in images),
            }.get(selector.word, bool(selector.hubs(labels)))
            if not known:
                raise UsageError(f"{selector.text} names nothing in fleet.yaml")


def _shared(subject: Subject, hubs: set[str], others: list[str]) -> str:
    named = ", ".join(hub for hub in subject.hubs if hub in hubs)
    return (
        f"{subject.address} is shared: besides {named} it decides {len(others)} more "
        f"({', '.join(others)}); target them too, or give those you mean a line of their own"
    )
