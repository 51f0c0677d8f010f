"""The text of fleet.yaml, and where in it something stands: worked out only when somebody asks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from fleet.config.parse import LOADER
from fleet.config.wording import visible
from fleet.diagnostics import Diagnostic, Position, Range, Severity

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"\r\n|\r|\n")
_SNIPPET = 400
"""How many characters of a line a snippet shows."""


_Pair = tuple[yaml.Node, yaml.Node]


class Source:
    """One fleet.yaml as it was read; `folder` is where its relative paths start."""

    def __init__(self, filename: str, data: bytes, folder: Path) -> None:
        self.filename = filename
        self.data = data
        self.folder = folder

    @cached_property
    def text(self) -> str:
        """The file as text, without byte order mark; bytes that are not UTF-8 are surrogates, as in PEP 383."""
        return self.data.removeprefix(_BOM).decode("utf-8", errors="surrogateescape")

    def range(self, keys: Sequence[str | int], of: Literal["key", "value"] = "value") -> Range:
        """Where the key or value at `keys` stands; where that does not exist, its nearest ancestor."""
        return self.between(*self._span(keys, of))

    def extent(self, keys: Sequence[str | int]) -> Range:
        """The whole value at `keys`, over as many lines as it has."""
        node = self._node(keys)
        return self.between(*(_ends(node) if node is not None else self._span(keys, "value")))

    def written(self, keys: Sequence[str | int]) -> str | None:
        """The scalar at `keys` as it was written, without quotes; None where there is none."""
        node = self._node(keys)
        return node.value if isinstance(node, yaml.ScalarNode) else None

    def diagnostic(
        self,
        keys: Sequence[str | int],
        summary: str,
        detail: str = "",
        severity: Severity = "error",
        of: Literal["key", "value"] = "value",
    ) -> Diagnostic:
        """A diagnostic at the key or value at `keys`."""
        return self.at(self._span(keys, of), summary, detail, severity)

    def at(self, span: tuple[int, int], summary: str, detail: str = "", severity: Severity = "error") -> Diagnostic:
        """A diagnostic at a stretch of the text, given in characters from 0."""
        return Diagnostic(summary, detail, self.between(*span), self._snippet(span[0]), severity)

    def between(self, start: int, end: int) -> Range:
        """The range between two places of the text, given in characters from 0."""
        return Range(self.filename, self._position(start), self._position(max(start, end)))

    @cached_property
    def _lines(self) -> list[int]:
        """Where each line starts, in characters."""
        return [0, *(found.end() for found in _LINE_END.finditer(self.text))]

    @cached_property
    def _line_bytes(self) -> list[int]:
        """Where each line starts, in bytes."""
        offsets = [len(_BOM) if self.data.startswith(_BOM) else 0]
        for start, end in pairwise(self._lines):
            offsets.append(offsets[-1] + _size(self.text[start:end]))
        return offsets

    def _position(self, index: int) -> Position:
        line = bisect_right(self._lines, index) - 1
        start = self._lines[line]
        return Position(line + 1, index - start + 1, self._line_bytes[line] + _size(self.text[start:index]))

    def _snippet(self, index: int) -> str:
        start = self._lines[bisect_right(self._lines, index) - 1]
        line = _LINE_END.split(self.text[start : start + _SNIPPET], maxsplit=1)[0]
        return visible(line)

    @cached_property
    def _root(self) -> yaml.Node | None:
        loader = LOADER(self.text)
        try:
            return loader.get_single_node()  # type: ignore[no-any-return]
        except yaml.YAMLError:
            return None
        finally:
            loader.dispose()

    @cached_property
    def _children(self) -> dict[int, dict[str, _Pair]]:
        """The keys of each map that was asked for, by the identity of its node, which `_root` keeps alive."""
        return {}

    def _child(self, node: yaml.Node | None, key: str | int) -> _Pair | None:
        """The key node (of a list: the item itself) and the value node below `node`, through `<<` too."""
        if isinstance(node, yaml.SequenceNode):
            inside = isinstance(key, int) and -len(node.value) <= key < len(node.value)
            return (node.value[key], node.value[key]) if inside else None
        if not isinstance(node, yaml.MappingNode) or not isinstance(key, str):
            return None
        known = self._children.get(id(node))
        if known is None:
            known = self._children[id(node)] = _pairs(node)
        if key in known or "<<" not in known:
            return known.get(key)
        merged = known["<<"][1]
        blocks = merged.value if isinstance(merged, yaml.SequenceNode) else [merged]
        return next((found for block in blocks if (found := self._child(block, key))), None)

    def _node(self, keys: Sequence[str | int]) -> yaml.Node | None:
        node = self._root
        for key in keys:
            found = self._child(node, key)
            if found is None:
                return None
            node = found[1]
        return node

    def _span(self, keys: Sequence[str | int], of: Literal["key", "value"]) -> tuple[int, int]:
        node = self._root
        key_node: Any = None
        missing = False
        for key in keys:
            found = self._child(node, key)
            if found is None:
                missing = True
                break
            key_node, node = found
        if node is None:
            return (0, 0)
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style  # it begins below its key
        return self._first_line(key_node if key_node is not None and (missing or block or of == "key") else node)

    def _first_line(self, node: yaml.Node) -> tuple[int, int]:
        """Blocks end, for the parser, behind the empty lines and comments that follow them; show their first line."""
        start, end = _ends(node)
        found = _LINE_END.search(self.text, start, end)
        return (start, found.start()) if found else (start, end)


def _ends(node: yaml.Node) -> tuple[int, int]:
    return (node.start_mark.index, node.end_mark.index)


def _pairs(node: yaml.MappingNode) -> dict[str, _Pair]:
    """The first of equal keys counts, as it does for the data."""
    pairs: dict[str, _Pair] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            pairs.setdefault(key.value, (key, value))
    return pairs


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", errors="surrogateescape"))
