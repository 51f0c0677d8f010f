"""Short keys for the images of a fleet: the name alone where that is enough, with its owner or host where not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from fleet.reference import split_host

_NOT_IN_KEYS = re.compile(r"[^a-z0-9]+")


_LEVELS = 5


def spellings(names: Iterable[str]) -> Mapping[tuple[str, str], str]:
    """For each image, by host and repository, the spelling used most (of equals the shortest)."""
    counted = Counter(names)
    chosen: dict[tuple[str, str], str] = {}
    for name in sorted(counted, key=lambda name: (-counted[name], len(name), name)):
        chosen.setdefault(split_host(name), name)
    return chosen


def keys_for(images: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """A unique key for each image; which one it gets does not depend on the order of `images`."""
    pending = sorted(set(images))
    candidates = {image: _candidates(*image) for image in pending}
    keys: dict[tuple[str, str], str] = {}
    for level in range(_LEVELS):
        counted = Counter(candidates[image][level] for image in pending)
        taken = set(keys.values())
        for image in pending:
            key = candidates[image][level]
            if counted[key] == 1 and key not in taken:
                keys[image] = key
        pending = [image for image in pending if image not in keys]
    for image in pending:  # names that differ only in punctuation
        taken = set(keys.values())
        base = candidates[image][-1]
        keys[image] = next(key for key in (f"{base}-{n}" for n in range(2, len(taken) + 3)) if key not in taken)
    return keys


def _candidates(host: str, repository: str) -> tuple[str, ...]:
    """The keys that an image could have, the shortest first."""
    *owners, name = repository.split("/")
    owner = owners[-1] if owners else ""
    site = host.removesuffix(".io").partition(".")[0]
    texts = (name, f"{owner} {name}", f"{name} {site}", f"{name} {host}", f"{host} {repository}")
    return tuple(_key(text) for text in texts)


def _key(text: str) -> str:
    key = _NOT_IN_KEYS.sub("-", text.lower()).strip("-")
    return key if key[:1].isalpha() else f"image-{key}"
