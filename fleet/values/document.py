"""Reads one values file: YAML as written, its anchors, and the place of every node.

Nothing is resolved or constructed: a scalar stays its text, an alias stays the node that it names. That keeps reading
fast, keeps `1.10` from turning into a number, and makes an alias bomb as small as the file that holds it.

Marks come from libyaml and count characters, so every index here is one into `Source.text`, never into the bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fleet.diagnostics import Diagnostic, Position, Range
from fleet.errors import InputError
from fleet.values import quoting

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 200
"""Deeper than any values file; libyaml's composer recurses on the C stack, so there must be an end."""

STRING = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"

_BOM = b"\xef\xbb\xbf"
_PROPERTIES = re.compile(r"(?:!<[^>]*>|[&!][^\s,\[\]{}]*|\s+|#[^\r\n\x85\u2028\u2029]*)*")
"""A node's anchor and tag, and the blanks and comments behind them."""

_ENCRYPTED = re.compile(r"enc-.*|secrets?[.-].*|.*\.(?:secrets?|sops|enc)\..*")


@dataclass(frozen=True)
class Source:
    """A file's text without its byte order mark, and how many bytes that mark took."""

    name: str
    text: str
    bom: int = 0

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, counted from 1, of the character at `index`; only `\\n` ends a line, as in git."""
        before = bisect_left(self._line_ends, index)
        return before + 1, index - (self._line_ends[before - 1] if before else -1)

    def fault(self, start: int, end: int, summary: str, detail: str = "") -> InputError:
        """The error for the characters from `start` to `end`."""
        where = Range(self.name, self._position(start), self._position(max(start, end)))
        line_start = self.text.rfind("\n", 0, start) + 1
        snippet = self.text[line_start:].partition("\n")[0].rstrip("\r")
        return InputError([Diagnostic(summary, detail, where, snippet)])

    def _position(self, index: int) -> Position:
        return Position(*self.place(index), len(self.text[:index].encode()) + self.bom)


class Parent(NamedTuple):
    """Where a node is defined: the node around it, and its key there (None: no text can name the place)."""

    node: Node
    key: str | None


@dataclass(frozen=True, slots=True)
class ValuesFile:
    """One values file, read once and shared by every hub that names it."""

    source: Source
    root: MappingNode | None = field(repr=False, compare=False)
    merges: bool = field(default=False, repr=False, compare=False)
    parents: Mapping[int, Parent] = field(default_factory=dict, repr=False, compare=False)
    """By `id(node)`, for files in which a node can be reached in more than one way; empty for all others."""
    entries: dict[int, Mapping[str | None, list[Node]]] = field(default_factory=dict, repr=False, compare=False)
    """What `paths` has found out about lists, by `id(node)`: each one's entries by slug, looked through once."""

    @property
    def name(self) -> str:
        """What the file is called in diagnostics and in `Site.file`."""
        return self.source.name

    def place(self, node: Node) -> tuple[int, int]:
        """Line and column, counted from 1, at which a node's value starts, behind its anchor and tag."""
        return self.source.place(value_start(self.source, node))

    def line(self, node: Node) -> int:
        """The line on which a node's value starts."""
        return self.place(node)[0]

    def fault(self, node: Node, summary: str, detail: str = "") -> InputError:
        """The error for one node."""
        return self.source.fault(node.start_mark.index, node.end_mark.index, summary, detail)


def is_encrypted(name: str) -> bool:
    """Whether a file's name says that it holds secrets: such files are never opened.

    The names are 2i2c's (`enc-*`), helm-secrets' (`secrets.yaml`, `*.secret.*`) and sops' (`*.sops.*`, `*.enc.*`).
    """
    path = PurePosixPath(name)
    return "secrets" in path.parts[:-1] or _ENCRYPTED.fullmatch(path.name.lower()) is not None


def parse_values(name: str, data: bytes) -> ValuesFile:
    """Read a values file; raises InputError, with the place, for everything that Helm or fleet could not read."""
    if is_encrypted(name):
        raise InputError([Diagnostic(f"{name} is an encrypted file by its name: fleet never opens it.")])
    source = _decode(name, data)
    root = _compose(source)
    if root is None or (isinstance(root, ScalarNode) and is_null(root)):
        return ValuesFile(source, None)
    if not isinstance(root, MappingNode):
        raise source.fault(root.start_mark.index, root.start_mark.index, "A values file holds a mapping of keys.")
    if any(key.value == "sops" and isinstance(value, MappingNode) for key, value in root.value):
        raise InputError([Diagnostic(f"{name} is encrypted with sops; leave it out of the hub's values files.")])
    text = source.text
    merges = "<<" in text
    shared = merges or ("&" in text and "*" in text)
    return ValuesFile(source, root, merges, _definitions(root) if shared else {})


def value_start(source: Source, node: Node) -> int:
    """The index at which a node's own text starts, behind its anchor and tag."""
    start: int = node.start_mark.index
    if source.text[start : start + 1] not in ("&", "!"):
        return start
    properties = _PROPERTIES.match(source.text, start, max(start, node.end_mark.index))
    return properties.end() if properties else start


def is_null(node: Node) -> bool:
    """Whether a node is YAML's null."""
    if not isinstance(node, ScalarNode):
        return False
    return node.tag == NULL or (node.tag is None and node.value in quoting.NULLS)


def text_of(node: Node | None) -> str | None:
    """A scalar's text, whatever type it resolves to; None for null and for anything but a scalar."""
    return node.value if isinstance(node, ScalarNode) and not is_null(node) else None


def string_of(node: Node | None) -> str | None:
    """A scalar's text where every YAML reader takes it for a string, else None."""
    if not isinstance(node, ScalarNode):
        return None
    if node.tag == STRING or (node.tag is None and quoting.is_plain_string(node.value)):
        return str(node.value)
    return None


@lru_cache(maxsize=4096)
def slug_of(display_name: str) -> str:
    """The slug that KubeSpawner gives a profile without one.

    Source: kubespawner/spawner.py, `_get_initialized_profile_list`.
    """
    from slugify import slugify  # costs start-up time, and most files never need it

    return str(slugify(display_name))


class _Composer(CParser):
    """libyaml's composer, without resolution of scalars, bounded in depth.

    A plain scalar without a tag keeps the tag None: what it means is decided only where it matters.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def resolve(self, kind: Any, _value: Any, implicit: Any) -> str | None:
        return STRING if kind is ScalarNode and not implicit[0] else None

    def descend_resolver(self, _parent: Node | None, _index: Any) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeep

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _TooDeep(Exception):
    """The nesting passed MAX_DEPTH."""


def _decode(name: str, data: bytes) -> Source:
    if len(data) > MAX_BYTES:
        size = f"{len(data) / 2**20:.1f} MiB"
        raise InputError([Diagnostic(f"{name} has {size}; a values file has at most {MAX_BYTES // 2**20} MiB.")])
    bom = len(_BOM) if data.startswith(_BOM) else 0
    try:
        return Source(name, data[bom:].decode(), bom)
    except UnicodeDecodeError as error:
        start = error.start + bom
        line_start = data.rfind(b"\n", 0, start) + 1
        column = len(data[line_start:start].decode(errors="replace")) + 1
        place = Position(data.count(b"\n", 0, start) + 1, column, start)
        summary = f"The byte 0x{data[start]:02x} is not UTF-8; save the file as UTF-8."
        raise InputError([Diagnostic(summary, range=Range(name, place, place))]) from None


def _compose(source: Source) -> Node | None:
    try:
        root: Node | None = _Composer(source.text).get_single_node()
    except _TooDeep:
        summary = f"{source.name} nests more than {MAX_DEPTH} levels deep; no values file does."
        raise InputError([Diagnostic(summary)]) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(source, error) from None
    except yaml.reader.ReaderError as error:
        summary = f"A YAML file cannot hold the character #x{error.character:04x}."
        index = len(source.text.encode()[: error.position].decode(errors="ignore"))
        raise source.fault(index, index, summary) from None
    return root


def _syntax_error(source: Source, error: yaml.MarkedYAMLError) -> InputError:
    mark = error.problem_mark or error.context_mark
    index = min(mark.index, len(source.text)) if mark else 0
    problem, context = error.problem or "", error.context or ""
    if "another document" in problem:
        return source.fault(index, index, "A values file holds one document; a second one starts here.")
    if "duplicate anchor" in context:
        first = f" (first on line {error.context_mark.line + 1})" if error.context_mark else ""
        return source.fault(index, index, f"The anchor is defined a second time{first}; give each its own name.")
    detail = f"It came up {context}, from line {error.context_mark.line + 1}." if error.context_mark and context else ""
    if source.text[index : index + 1] == "\t":
        detail = "This is a tab; YAML is indented with spaces."
    return source.fault(index, index, f"The YAML cannot be read: {problem}.", detail)


def _definitions(root: MappingNode) -> dict[int, Parent]:
    """Where each node is defined: in document order an anchor comes before all of its aliases."""
    parents: dict[int, Parent] = {}
    pending: list[tuple[Node, Parent]] = [(root, Parent(root, None))]
    while pending:
        node, parent = pending.pop()
        if id(node) in parents:
            continue
        parents[id(node)] = parent
        if isinstance(node, MappingNode):
            for key, value in reversed(node.value):
                pending.append((value, Parent(node, key.value if isinstance(key, ScalarNode) else None)))
                pending.append((key, Parent(node, None)))
        elif isinstance(node, SequenceNode):
            pending += [(value, Parent(node, None)) for value in reversed(node.value)]
    return parents
