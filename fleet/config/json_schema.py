"""The JSON Schema of fleet.yaml, made from the models, for editors and for the reference in the docs."""

from __future__ import annotations

from typing import Any, cast

from fleet.config.entries import CodeHost, Entry, Registry, known_types, settings_of
from fleet.config.root import Fleet

Schema = dict[str, Any]

ID = "urn:hubfleet:fleet.yaml:1"
_REF = "#/$defs/"
_SHARED = frozenset({"SecretSource"})
"""Definitions that providers have in common with the core; their others are kept apart by the provider's type."""


def schema() -> Schema:
    """The JSON Schema (2020-12) of fleet.yaml: closed objects, every key described, providers' keys by type."""
    document = Fleet.model_json_schema()
    definitions: Schema = document.pop("$defs")
    del definitions["Settings"]
    for block, entry in (("code_hosts", CodeHost), ("registries", Registry)):
        common = definitions.pop(entry.__name__)
        document["properties"][block]["patternProperties"] = _by_type(document["properties"][block], block, entry)
        for type_name in known_types(entry.role):
            definitions.update(_entry(f"{block}.{type_name}", type_name, common))
    definitions["SecretSource"]["oneOf"] = [{"required": [key]} for key in ("env", "file", "exec")]
    _images(document["properties"]["images"])
    tidy = cast("Schema", _tidy({**document, "$defs": definitions}))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, "title": "fleet.yaml"}
    return {**head, **tidy}


def _by_type(block: Schema, name: str, entry: type[Entry]) -> Schema:
    """An entry is checked against the keys of its type alone, so that an editor names the key that is wrong."""
    [pattern] = block["patternProperties"]
    types = known_types(entry.role)
    return {
        pattern: {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"description": "Which provider serves it.", "enum": types}},
            "allOf": [
                {
                    "if": {"properties": {"type": {"const": type_name}}, "required": ["type"]},
                    "then": {"$ref": f"{_REF}{name}.{type_name}"},
                }
                for type_name in types
            ],
        }
    }


def _entry(name: str, type_name: str, common: Schema) -> Schema:
    """The definition of one type of code host or registry, and those that its settings bring along."""
    model = settings_of(type_name)
    assert model is not None
    settings = model.model_json_schema()
    nested: Schema = settings.pop("$defs", {})
    names = {_REF + each: f"{_REF}{type_name}.{each}" for each in nested if each not in _SHARED}
    properties: Schema = {**common["properties"], **settings["properties"]}
    del properties["settings"]
    properties["type"] = {"description": common["properties"]["type"]["description"], "const": type_name}
    required = sorted({"type", *settings.get("required", ())})
    whole = {**settings, "additionalProperties": False, "properties": properties, "required": required}
    own = {f"{type_name}.{each}": definition for each, definition in nested.items() if each not in _SHARED}
    return cast("Schema", _renamed({name: whole, **own}, names))


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: names.get(value, value) if key == "$ref" else _renamed(value, names) for key, value in node.items()
        }
    return [_renamed(each, names) for each in node] if isinstance(node, list) else node


def _images(block: Schema) -> None:
    [pattern] = block["patternProperties"]
    block["patternProperties"][pattern] = {
        "type": "object",
        "if": {"required": ["upstream"]},
        "then": {"$ref": f"{_REF}UpstreamImage"},
        "else": {"$ref": f"{_REF}BuiltImage"},
    }


def _tidy(node: Any) -> Any:
    """Without pydantic's titles and without null, which no key may be; maps are closed by the form of their names."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    clean = {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}
    branches = clean.get("anyOf")
    if isinstance(branches, list):
        branches = [branch for branch in branches if branch != {"type": "null"}]
        clean = {**clean, "anyOf": branches}
        if len(branches) == 1:
            del clean["anyOf"]
            clean = {**branches[0], **clean}
    if isinstance(clean.get("patternProperties"), dict):
        [(pattern, value)] = clean.pop("patternProperties").items()
        clean["propertyNames"] = {"pattern": pattern, **clean.get("propertyNames", {})}
        clean["additionalProperties"] = value
    return clean


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
