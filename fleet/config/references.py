"""What no single block can see: names that point nowhere, and two blocks that claim the same thing.

Works on the plain data, so that these mistakes are reported in the same run as those of the models; what has the
wrong shape is passed over here, because the models have said it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fleet.config.base import Keys
from fleet.config.policy import percentage
from fleet.config.source import Source
from fleet.config.wording import Near, escaped, listed, quoted, suggestion
from fleet.diagnostics import Diagnostic

_NAMED = ("code_hosts", "registries", "templates", "images")
RESERVED = ("hub", "image", "label", "values", "builds", "checkout", "credentials")
"""First words of addresses and selectors that no code host or registry may take."""


@dataclass(frozen=True, slots=True)
class _Book:
    """The plain data, its text, and the names of each block to suggest from."""

    source: Source
    data: dict[str, Any]
    near: dict[str, Near]


def check(source: Source, data: dict[str, Any]) -> list[Diagnostic]:
    """All mistakes between the blocks of a fleet.yaml."""
    book = _Book(source, data, {block: Near(_names(data, block)) for block in _NAMED})
    checks: tuple[Callable[[_Book], Iterator[Diagnostic]], ...] = (
        _providers,
        _images,
        _organizations,
        _one_source_one_image,
        _one_home_one_image,
        _slots,
        _code_hosts,
        _rules,
    )
    return [found for each in checks for found in each(book)]


def _blocks(data: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    block = data.get(key)
    if isinstance(block, dict):
        yield from ((name, entry) for name, entry in block.items() if isinstance(entry, dict))


def _names(data: dict[str, Any], key: str) -> dict[str, Any]:
    block = data.get(key)
    return block if isinstance(block, dict) else {}


def _items(data: dict[str, Any], key: str) -> list[Any]:
    items = data.get(key)
    return items if isinstance(items, list) else []


def _dangling(book: _Book, keys: Keys, name: object, block: str) -> Iterator[Diagnostic]:
    known = _names(book.data, block)
    if not isinstance(name, str) or name in known:
        return
    hint = book.near[block].suggestion(name) or (f"Known: {listed(known)}." if known else f"There are no {block}.")
    yield book.source.diagnostic(keys, f"{quoted(name)} is not in {block}", hint)


def _providers(book: _Book) -> Iterator[Diagnostic]:
    for block in ("code_hosts", "registries"):
        for name in _names(book.data, block):
            if name in RESERVED:
                summary = f"{quoted(name)} begins other addresses, so it cannot be a name here; choose another"
                yield book.source.diagnostic((block, name), summary, of="key")
    for name in _names(book.data, "registries"):
        if name in _names(book.data, "code_hosts"):
            line = book.source.range(("code_hosts", name), of="key").start.line
            summary = f"{quoted(name)} is the name of a code host too; addresses begin with it, so choose another"
            detail = f"The code host stands in line {line}."
            yield book.source.diagnostic(("registries", name), summary, detail, of="key")


def _images(book: _Book) -> Iterator[Diagnostic]:
    for key, image in _blocks(book.data, "images"):
        for field, block in (("registry", "registries"), ("template", "templates")):
            yield from _dangling(book, ("images", key, field), image.get(field), block)


def _organizations(book: _Book) -> Iterator[Diagnostic]:
    """An organisation gives its secrets to repositories of its own, and to no others."""
    for key, image in _blocks(book.data, "images"):
        place, repository = image.get("secrets"), image.get("repository")
        name = place.get("organization") if isinstance(place, dict) else None
        if not isinstance(name, str) or not isinstance(repository, str):
            continue
        owner = repository.partition("/")[0]
        if owner.casefold() != name.casefold():
            summary = f"{quoted(name)} does not own {quoted(repository)}: only its owner can keep its secrets"
            yield book.source.diagnostic(("images", key, "secrets", "organization"), summary, f"Write {owner}.")


def _one_source_one_image(book: _Book) -> Iterator[Diagnostic]:
    seen: dict[str, str] = {}
    for key, image in _blocks(book.data, "images"):
        repository = image.get("repository")
        if not isinstance(repository, str):
            continue
        first = seen.setdefault(repository.casefold(), key)
        if first != key:
            yield _second(book, ("images", key, "repository"), ("images", first, "repository"), "source repository")


def _one_home_one_image(book: _Book) -> Iterator[Diagnostic]:
    seen: dict[tuple[str, str], str] = {}
    for key, image in _blocks(book.data, "images"):
        registry, repository = image.get("registry"), image.get("repository")
        name = image.get("name") or (repository.rpartition("/")[2].lower() if isinstance(repository, str) else key)
        if not isinstance(registry, str) or not isinstance(name, str):
            continue
        first = seen.setdefault((registry, name), key)
        if first != key and not _same_source(image, _names(book.data, "images")[first]):
            yield _second(book, ("images", key), ("images", first), f"name {quoted(name)} in {escaped(registry)}")


def _same_source(one: Any, other: Any) -> bool:
    return _folded(one) is not None and _folded(one) == _folded(other)  # said already


def _folded(image: Any) -> str | None:
    repository = image.get("repository")
    return repository.casefold() if isinstance(repository, str) else None


def _second(book: _Book, keys: Keys, first: Keys, what: str) -> Diagnostic:
    line = book.source.range(first).start.line
    summary = f"the image {quoted(first[1])} has the same {what}; one image is built in one place"
    return book.source.diagnostic(keys, summary, f"It stands in line {line}.", of="value" if len(keys) > 2 else "key")


def _slots(book: _Book) -> Iterator[Diagnostic]:
    images = _names(book.data, "images")
    for hub, entry in _blocks(book.data, "hubs"):
        for slot, choice in _blocks(entry, "slots"):
            name = choice.get("image")
            if not isinstance(name, str):
                continue
            keys = ("hubs", hub, "slots", slot)
            if name not in images:
                yield from _dangling(book, (*keys, "image"), name, "images")
            elif choice.get("track") in ("newest-build", "latest") and isinstance(images[name], dict):
                yield from _moving(book, (*keys, "track"), name, choice["track"])


def _moving(book: _Book, keys: Keys, name: str, track: str) -> Iterator[Diagnostic]:
    """`newest-build` needs builds of ours; `latest` of ours would reach hubs that no plan has shown."""
    built = "repository" in book.data["images"][name]
    if track == "newest-build" and not built:
        summary = f"newest-build follows a source repository, and the image {quoted(name)} has none"
        yield book.source.diagnostic(keys, summary, "Write a tag in quotes.")
    if track == "latest" and built:
        summary = f"latest moves with every build of the image {quoted(name)}, and no plan would show it"
        yield book.source.diagnostic(keys, summary, "Write newest-build, or a tag in quotes.")


def _code_hosts(book: _Book) -> Iterator[Diagnostic]:
    hosts = [entry.get("owner") for _, entry in _blocks(book.data, "code_hosts")]
    owners = {host.casefold(): host for host in hosts if isinstance(host, str)}
    near = Near(owners.values())
    for keys, repository in _repositories(book.data):
        owner = repository.partition("/")[0]
        if None in hosts or owner.casefold() in owners:
            continue
        if not hosts:
            yield book.source.diagnostic(keys, f"{quoted(repository)} needs a code host, and there are no code_hosts")
        else:
            hint = near.suggestion(owner) or f"Known owners: {listed(owners.values())}."
            yield book.source.diagnostic(keys, f"no code host has the owner {quoted(owner)}", hint)


def _repositories(data: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    for key, image in _blocks(data, "images"):
        if isinstance(repository := image.get("repository"), str):
            yield ("images", key, "repository"), repository
    for hub, entry in _blocks(data, "hubs"):
        values = entry.get("values")
        if isinstance(values, dict) and isinstance(repository := values.get("repository"), str):
            yield ("hubs", hub, "values", "repository"), repository


def _rules(book: _Book) -> Iterator[Diagnostic]:
    yield from _limits(book)
    known = {*RESERVED, *_names(book.data, "code_hosts"), *_names(book.data, "registries")}
    for index, pattern in enumerate(_items(book.data, "protect")):
        if not isinstance(pattern, str) or ":" not in pattern:
            continue
        first = pattern.partition(":")[0]
        if not set("*?[") & set(first) and first not in known:
            hint = suggestion(first, known) or f"Known beginnings: {listed(known)}."
            yield book.source.diagnostic(("protect", index), f"{quoted(pattern)} protects nothing", hint)
    for index, removed in enumerate(_items(book.data, "removed")):
        if isinstance(removed, dict) and isinstance(removed.get("address"), str):
            yield from _removed(book, ("removed", index, "address"), removed["address"])


def _limits(book: _Book) -> Iterator[Diagnostic]:
    limits = book.data.get("limits")
    share = percentage(limits.get("hubs_per_run")) if isinstance(limits, dict) else None
    hubs = len(_names(book.data, "hubs"))
    if share is not None and hubs and hubs * share // 100 == 0:
        least = -(-100 // hubs)
        summary = f"{share}% of {hubs} hubs rounds down to 0, so no hub could ever change; write {least}% or more"
        yield book.source.diagnostic(("limits", "hubs_per_run"), summary)


def _removed(book: _Book, keys: Keys, address: str) -> Iterator[Diagnostic]:
    provider, _, rest = address.partition(":")
    kind, _, name = rest.partition(":")
    if provider in _names(book.data, "registries") and kind == "repository":
        summary = f"{quoted(address)} is a registry repository, and these always stay; take the entry out"
        yield book.source.diagnostic(keys, summary)
        return
    yield from _dangling(book, keys, provider, "code_hosts")
    for image, entry in _blocks(book.data, "images"):
        if kind == "repository" and _folded(entry) == name.casefold():
            line = book.source.range(("images", image, "repository")).start.line
            summary = f"{quoted(address)} is still the source repository of the image {quoted(image)}"
            yield book.source.diagnostic(keys, summary, f"It stands in line {line}.")
