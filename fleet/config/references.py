"""What no single block can see: names that point nowhere, and two blocks that claim the same thing.

Works on the plain data, so that these mistakes are reported in the same run as those of the models; what has the
wrong shape is passed over here, because the models have said it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fleet.config.base import Keys
from fleet.config.policy import percentage
from fleet.config.source import Source
from fleet.config.wording import escaped, listed, quoted, suggestion
from fleet.diagnostics import Diagnostic

RESERVED = ("hub", "image", "label", "values")
"""First words of addresses and selectors that no code host or registry may take."""


def check(source: Source, data: dict[str, Any]) -> list[Diagnostic]:
    """All mistakes between the blocks of a fleet.yaml."""
    checks: tuple[Callable[[Source, dict[str, Any]], Iterator[Diagnostic]], ...] = (
        _providers,
        _images,
        _one_source_one_image,
        _one_home_one_image,
        _slots,
        _code_hosts,
        _rules,
    )
    return [found for each in checks for found in each(source, data)]


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


def _dangling(source: Source, keys: Keys, name: object, data: dict[str, Any], block: str) -> Iterator[Diagnostic]:
    known = _names(data, block)
    if not isinstance(name, str) or name in known:
        return
    hint = suggestion(name, known) or (f"Known: {listed(known)}." if known else f"There are no {block}.")
    yield source.diagnostic(keys, f"{quoted(name)} is not in {block}", hint)


def _providers(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    for block in ("code_hosts", "registries"):
        for name in _names(data, block):
            if name in RESERVED:
                summary = f"{quoted(name)} begins other addresses, so it cannot be a name here; choose another"
                yield source.diagnostic((block, name), summary, of="key")
    for name in _names(data, "registries"):
        if name in _names(data, "code_hosts"):
            line = source.range(("code_hosts", name), of="key").start.line
            summary = f"{quoted(name)} is the name of a code host too; addresses begin with it, so choose another"
            yield source.diagnostic(("registries", name), summary, f"The code host stands in line {line}.", of="key")


def _images(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    for key, image in _blocks(data, "images"):
        for field, block in (("registry", "registries"), ("template", "templates")):
            yield from _dangling(source, ("images", key, field), image.get(field), data, block)


def _one_source_one_image(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    seen: dict[str, str] = {}
    for key, image in _blocks(data, "images"):
        repository = image.get("repository")
        if not isinstance(repository, str):
            continue
        first = seen.setdefault(repository.casefold(), key)
        if first != key:
            yield _second(source, ("images", key, "repository"), ("images", first, "repository"), "source repository")


def _one_home_one_image(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    seen: dict[tuple[str, str], str] = {}
    for key, image in _blocks(data, "images"):
        registry, repository = image.get("registry"), image.get("repository")
        name = image.get("name") or (repository.rpartition("/")[2].lower() if isinstance(repository, str) else key)
        if not isinstance(registry, str) or not isinstance(name, str):
            continue
        first = seen.setdefault((registry, name), key)
        same_source = isinstance(repository, str) and _folded(_names(data, "images")[first]) == repository.casefold()
        if first != key and not same_source:
            yield _second(source, ("images", key), ("images", first), f"name {quoted(name)} in {escaped(registry)}")


def _folded(image: Any) -> str | None:
    repository = image.get("repository")
    return repository.casefold() if isinstance(repository, str) else None


def _second(source: Source, keys: Keys, first: Keys, what: str) -> Diagnostic:
    line = source.range(first).start.line
    summary = f"the image {quoted(first[1])} has the same {what}; one image is built in one place"
    return source.diagnostic(keys, summary, f"It stands in line {line}.", of="value" if len(keys) > 2 else "key")


def _slots(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    images = _names(data, "images")
    for hub, entry in _blocks(data, "hubs"):
        for slot, choice in _blocks(entry, "slots"):
            name = choice.get("image")
            if name not in images if isinstance(name, str) else False:
                yield from _dangling(source, ("hubs", hub, "slots", slot, "image"), name, data, "images")
            elif choice.get("track") == "newest-build" and isinstance(name, str):
                image = images[name]
                if isinstance(image, dict) and "repository" not in image:
                    summary = f"newest-build follows a source repository, and the image {quoted(name)} has none"
                    yield source.diagnostic(("hubs", hub, "slots", slot, "track"), summary, "Write a tag in quotes.")


def _code_hosts(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    for keys, repository in _repositories(data):
        owner = repository.partition("/")[0]
        hosts = [entry.get("owner") for _, entry in _blocks(data, "code_hosts")]
        owners = [host for host in hosts if isinstance(host, str)]
        if None in hosts or owner.casefold() in (known.casefold() for known in owners):
            continue
        if not hosts:
            yield source.diagnostic(keys, f"{quoted(repository)} needs a code host, and there are no code_hosts")
        else:
            hint = suggestion(owner, owners) or f"Known owners: {listed(owners)}."
            yield source.diagnostic(keys, f"no code host has the owner {quoted(owner)}", hint)


def _repositories(data: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    for key, image in _blocks(data, "images"):
        if isinstance(repository := image.get("repository"), str):
            yield ("images", key, "repository"), repository
    for hub, entry in _blocks(data, "hubs"):
        values = entry.get("values")
        if isinstance(values, dict) and isinstance(repository := values.get("repository"), str):
            yield ("hubs", hub, "values", "repository"), repository


def _rules(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    yield from _limits(source, data)
    known = {*RESERVED, *_names(data, "code_hosts"), *_names(data, "registries")}
    for index, pattern in enumerate(_items(data, "protect")):
        if not isinstance(pattern, str) or ":" not in pattern:
            continue
        first = pattern.partition(":")[0]
        if not set("*?[") & set(first) and first not in known:
            hint = suggestion(first, known) or f"Known beginnings: {listed(known)}."
            yield source.diagnostic(("protect", index), f"{quoted(pattern)} protects nothing", hint)
    for index, removed in enumerate(_items(data, "removed")):
        if isinstance(removed, dict) and isinstance(removed.get("address"), str):
            yield from _removed(source, data, ("removed", index, "address"), removed["address"])


def _limits(source: Source, data: dict[str, Any]) -> Iterator[Diagnostic]:
    limits = data.get("limits")
    share = percentage(limits.get("hubs_per_run")) if isinstance(limits, dict) else None
    hubs = len(_names(data, "hubs"))
    if share is not None and hubs and hubs * share // 100 == 0:
        least = -(-100 // hubs)
        summary = f"{share}% of {hubs} hubs rounds down to 0, so no hub could ever change; write {least}% or more"
        yield source.diagnostic(("limits", "hubs_per_run"), summary)


def _removed(source: Source, data: dict[str, Any], keys: Keys, address: str) -> Iterator[Diagnostic]:
    provider, _, rest = address.partition(":")
    kind, _, name = rest.partition(":")
    if provider in _names(data, "registries") and kind == "repository":
        summary = f"{quoted(address)} is a registry repository, and these always stay; take the entry out"
        yield source.diagnostic(keys, summary)
        return
    yield from _dangling(source, keys, provider, data, "code_hosts")
    for image, entry in _blocks(data, "images"):
        if kind == "repository" and _folded(entry) == name.casefold():
            line = source.range(("images", image, "repository")).start.line
            summary = f"{quoted(address)} is still the source repository of the image {quoted(image)}"
            yield source.diagnostic(keys, summary, f"It stands in line {line}.")
