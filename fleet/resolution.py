"""What tags mean now: each is looked up in its registry and frozen by its digest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from fleet.errors import FleetError, InputError, Locked, OutOfBudget
from fleet.pace import Pace
from fleet.provider import ImageReference, Registry
from fleet.reference import split_host

REGISTRIES = 8
"""Registries that are asked at once."""

SUGGESTED_IMAGES, SUGGESTED_TAGS = 3, 3
"""Images of refused tags whose newest tags are looked up, and how many tags are told of each."""

RegistryAt = Callable[[str], Registry]
"""Finds the registry of a host: the entry of fleet.yaml that serves it, else an anonymous one."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was asked about, the digest of each reference that exists, and why a registry (by host) did not answer."""

    asked: Collection[ImageReference] = ()
    digests: Mapping[ImageReference, str] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)

    def is_missing(self, reference: ImageReference) -> bool:
        """Whether its registry answered that there is no such tag."""
        return reference not in self.digests and split_host(reference.name)[0] not in self.unreachable

    def trouble(self, reference: ImageReference) -> str | None:
        """Why a reference may not be used: None when it exists."""
        if reference in self.digests:
            return None
        host, repository = split_host(reference.name)
        if host in self.unreachable:
            return f"whether {reference} exists is not known: {self.unreachable[host]}"
        return f"{host} has no tag {reference.tag} of {repository}, or does not show it to this login"


def resolve(references: Collection[ImageReference], registry_at: RegistryAt, pace: Pace) -> Resolved:
    """Look references up, each registry asked once for all of its own and all registries at once."""
    by_host: dict[str, list[ImageReference]] = {}
    for reference in references:
        by_host.setdefault(split_host(reference.name)[0], []).append(reference)

    def ask(host: str) -> Mapping[ImageReference, str] | str:
        try:
            registry = registry_at(host)
            return pace.repeat(registry.limits, lambda: registry.resolve(by_host[host]))
        except (InputError, Locked, OutOfBudget):
            raise
        except FleetError as error:
            return str(error)

    if len(by_host) < 2:
        answers = [ask(host) for host in by_host]
    else:
        with ThreadPoolExecutor(REGISTRIES, thread_name_prefix="fleet-tags") as pool:
            answers = list(pool.map(ask, by_host))
    digests: dict[ImageReference, str] = {}
    unreachable: dict[str, str] = {}
    for host, answer in zip(by_host, answers, strict=True):
        if isinstance(answer, str):
            unreachable[host] = answer
        else:
            digests.update(answer)
    return Resolved(frozenset(references), digests, unreachable)


def suggestions(missing: Iterable[ImageReference], registry_at: RegistryAt) -> Mapping[str, str]:
    """By image, the newest tags that could be meant instead of a missing one: part of a sentence; of a few images only.

    A registry that will not list them says nothing, because the missing tag is the news.
    """
    found: dict[str, str] = {}
    for name in islice(dict.fromkeys(reference.name for reference in missing), SUGGESTED_IMAGES):
        with suppress(FleetError):
            tags = registry_at(split_host(name)[0]).latest(name, SUGGESTED_TAGS)
            if tags:
                *others, last = tags
                newest = f"tags there are {', '.join(others)} and {last}" if others else f"tag there is {last}"
                found[name] = f"; the newest {newest}"
    return found
