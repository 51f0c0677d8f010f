"""Helm's merge of several values files, and YAML's own merge key, with the file that each value came from.

Maps merge, everything else replaces, the later file wins, null takes away what earlier files said:
https://helm.sh/docs/chart_template_guide/values_files/. `<<` follows https://yaml.org/type/merge.html.
Nothing is merged as a whole: a lookup goes down one path through all files at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fleet.errors import InputError
from fleet.values.document import ValuesFile, is_null


class Layer(NamedTuple):
    """One file's node at some path."""

    file: ValuesFile
    node: Node


def layers_of(files: Sequence[ValuesFile]) -> list[Layer]:
    """The roots of a hub's files, given in Helm's order, the strongest first."""
    return [Layer(file, file.root) for file in reversed(files) if file.root is not None]


def descend(layers: Sequence[Layer], *keys: str) -> list[Layer]:
    """What stands at a path below: several mappings that merge (strongest first), one other node, or nothing."""
    at = list(layers)
    for key in keys:
        at = _child(at, key)
    return at


def get(file: ValuesFile, node: Node, key: str) -> Node | None:
    """The value of one key of a mapping, merge keys included."""
    for mapping in _merged(file, node):
        found: Node | None = None
        for name, value in mapping.value:
            if name.value == key:
                if found is not None:
                    raise _stands_twice(file, name)
                found = value
        if found is not None:
            return found
    return None


def items(file: ValuesFile, node: Node | None) -> dict[str, Node]:
    """All keys of a mapping with their values, merge keys included."""
    found: dict[str, Node] = {}
    for mapping in _merged(file, node):
        own: set[str] = set()
        for name, value in mapping.value:
            if not isinstance(name, ScalarNode) or _is_merge_key(name):
                continue
            if name.value in own:
                raise _stands_twice(file, name)
            own.add(name.value)
            found.setdefault(name.value, value)
    return found


def _child(layers: Sequence[Layer], key: str) -> list[Layer]:
    found: list[Layer] = []
    for file, mapping in layers:
        node = get(file, mapping, key)
        if node is None:
            continue
        if is_null(node):
            break
        if not isinstance(node, MappingNode):
            return found or [Layer(file, node)]
        found.append(Layer(file, node))
    return found


def _merged(file: ValuesFile, node: Node | None) -> Iterator[MappingNode]:
    """A mapping and those that it merges in, strongest first; each once, so that no tower of aliases takes long."""
    if not isinstance(node, MappingNode):
        return
    yield node
    if not file.merges:
        return
    seen = {id(node)}
    pending = _merge_targets(file, node)
    while pending:
        mapping = pending.pop()
        if id(mapping) in seen:
            continue
        seen.add(id(mapping))
        yield mapping
        pending += _merge_targets(file, mapping)


def _merge_targets(file: ValuesFile, node: MappingNode) -> list[MappingNode]:
    """What a mapping's `<<` names, the strongest last."""
    targets: list[MappingNode] = []
    for name, value in node.value:
        if not _is_merge_key(name):
            continue
        for target in value.value if isinstance(value, SequenceNode) else [value]:
            if not isinstance(target, MappingNode):
                raise file.fault(value, "A merge key `<<` takes a mapping, or a list of mappings.")
            targets.append(target)
    targets.reverse()
    return targets


def _stands_twice(file: ValuesFile, key: Node) -> InputError:
    return file.fault(key, f"The key {key.value!r} stands twice in this mapping; readers keep different ones.")


def _is_merge_key(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag is None and node.value == "<<"
