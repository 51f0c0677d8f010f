"""Short keys for the images of a fleet: the name alone where that is enough, with its owner or host where not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count

from fleet.reference import split_host

_NOT_IN_KEYS = re.compile(r"[^a-z0-9]+")

_FORMS = ("{name}", "{owner} {name}", "{name} {site}", "{name} {host}", "{host} {repository}")
"""What a key can be made of, the shortest first."""


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
    keys: dict[tuple[str, str], str] = {}
    for form in _FORMS:
        candidates = {image: _key(form, *image) for image in pending}
        counted = Counter([*keys.values(), *candidates.values()])
        keys |= {image: key for image, key in candidates.items() if counted[key] == 1}
        pending = [image for image in pending if image not in keys]
    for image in pending:  # names that differ only in punctuation
        taken = set(keys.values())
        numbered = (f"{_key(_FORMS[-1], *image)}-{number}" for number in count(2))
        keys[image] = next(key for key in numbered if key not in taken)
    return keys


def _key(form: str, host: str, repository: str) -> str:
    *owners, name = repository.split("/")
    parts = {"name": name, "owner": owners[-1] if owners else "", "site": host.removesuffix(".io").partition(".")[0]}
    text = form.format(**parts, host=host, repository=repository)
    key = _NOT_IN_KEYS.sub("-", text.lower()).strip("-")
    return key if key[:1].isalpha() else f"image-{key}"
