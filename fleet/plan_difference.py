"""The difference of two plans in sentences: what moved between the review and now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

TOLD = 20
"""Sentences that say what moved; the rest are counted."""

LONGEST_VALUE = 200
"""Characters of one side of a change that a sentence shows."""


def what_moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Sentences on how what one plan decides differs from another, the most telling first, bounded."""
    sentences = [sentence for tell in _TELL for sentence in tell(before, after)]
    if not sentences:
        return ["The reviewed plan was written by another version of fleet: plan again, and review that."]
    more = [f"And {len(sentences) - TOLD:,} more."] if len(sentences) > TOLD else []
    return [*sentences[:TOLD], *more]


def _of_file(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["fleet"] != after["fleet"]:
        yield f"The reviewed plan is one of the fleet {before['fleet']!r}, and this is {after['fleet']!r}."
    if before["partial"] != after["partial"]:
        yield "One of the two plans is of a part of the fleet (-target, -exclude), and the other of all of it."
    keys = list(_differing(before["configuration"], after["configuration"], ()))
    if keys:
        more = f" and {len(keys) - 5:,} more places" if len(keys) > 5 else ""
        yield f"fleet.yaml says something else than when it was reviewed, at {', '.join(keys[:5])}{more}."


def _differing(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Where two configurations differ, as dotted keys."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differing(before.get(key), after.get(key), (*path, key))
    elif before != after:
        yield ".".join(path)


def _of_tags(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for image, (commit, tag, digest) in before["tracks"].items():
        now = after["tracks"].get(image)
        if now is None:
            yield f"The image {image} is not followed by its builds any more."
        elif now[:2] != [commit, tag]:
            yield f"The newest build of {image} was {tag} ({commit[:12]}), and is {now[1]} ({now[0][:12]})."
        elif now[2] != digest:
            means = f"it meant {_or_none(digest)}, and means {_or_none(now[2])}"
            yield f"The tag {tag} of {image} was pushed again: {means}."
    for image in after["tracks"].keys() - before["tracks"].keys():
        yield f"The image {image} is followed by its builds now."
    told: set[tuple[str, ...]] = set()
    for address, (image, tag, digest) in before["resolutions"].items():
        now = after["resolutions"].get(address)
        if now is not None and now[:2] == [image, tag] and now[2] != digest and (image, tag) not in told:
            told.add((image, tag))
            yield f"{image}:{tag} was pushed again: it meant {digest}, and means {now[2]}."


def _or_none(digest: str) -> str:
    return digest or "nothing that was asked"


def _of_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old = {change["address"]: change for change in before["changes"]}
    new = {change["address"]: change for change in after["changes"]}
    for address, change in old.items():
        now = new.get(address)
        if now is None:
            yield f"{address} was to become {_shown(change['after'])}, and needs no change now."
        elif now["before"] != change["before"]:
            yield f"{address} stood at {_shown(change['before'])}, and stands at {_shown(now['before'])}."
        elif now["after"] != change["after"]:
            yield f"{address} was to become {_shown(change['after'])}, and would become {_shown(now['after'])}."
        elif now["reaches"] != change["reaches"]:
            yield f"{address} reached {_names(change['reaches'])}, and reaches {_names(now['reaches'])}."
        elif now != change:
            yield f"{address} would be written in another order or another commit than was reviewed."
    for address, change in new.items():
        if address not in old:
            yield f"{address} would become {_shown(change['after'])}, which the review did not show."


def _of_contents(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["blobs"] != after["blobs"]:
        yield "The files that fleet renders are others than when they were reviewed."


_TELL: tuple[Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[str]], ...] = (
    _of_file,
    _of_tags,
    _of_changes,
    _of_contents,
)


def _shown(spec: Mapping[str, Any] | None) -> str:
    if spec is None:
        return "nothing"
    if spec.keys() == {"image", "tag"}:
        text = f"{spec['image']}:{spec['tag']}" if spec["image"] else str(spec["tag"])
    else:
        text = ", ".join(f"{key}: {value}" for key, value in spec.items() if value not in (None, "", [], {}))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _names(hubs: list[str]) -> str:
    return ", ".join(hubs[:5]) + (f" and {len(hubs) - 5:,} more" if len(hubs) > 5 else "") or "no hub"
