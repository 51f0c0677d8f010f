"""YAML text to plain data, in one pass over the parser's events.

Not `yaml.load`: it silently takes the last of two equal keys, builds dates and numbers out of tags, follows aliases
without bound and recurses as deep as a file tells it to. Reading libyaml's events does all checks on the way, keeps
its own stack, and is faster than the constructor (which spends its time in Python as well).

Keys are always text, as written. Values are text, true/false, whole numbers, or `Plain` for whatever else YAML 1.1
would make of an unquoted scalar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from fleet.config.base import Plain
from fleet.config.flaws import Flaw, character_flaw, syntax_flaw
from fleet.config.wording import quoted

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it, else the same in Python."""

MAX_DEPTH = 32
MAX_EXPANSION = 10
"""How many times larger than written a file may become through its aliases."""
FREE_EXPANSION = 100_000
"""So many nodes may come from aliases in any case."""

_PREFIX = "tag:yaml.org,2002:"
_TEXT = _PREFIX + "str"
_TAGS = {MappingStartEvent: (None, "!", _PREFIX + "map"), SequenceStartEvent: (None, "!", _PREFIX + "seq")}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_RESOLVER: Any = yaml.resolver.Resolver()


@dataclass(slots=True)
class Document:
    """What a text holds, and what is wrong with it as YAML; `broken` when the rest of the text could not be read."""

    data: Any = None
    flaws: list[Flaw] = field(default_factory=list)
    broken: bool = False


class _Stop(Exception):
    """The text cannot be read any further."""


@dataclass(slots=True)
class _Open:
    """A map or list whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    counted: int
    start: int
    key: str | None = None
    places: dict[str, int] = field(default_factory=dict)
    merged: list[dict[str, Any]] | None = None


def parse(text: str) -> Document:
    """Read a text that should be one YAML document; never raises, never recurses, never expands beyond the bounds."""
    reader = _Reader(text)
    try:
        reader.run(_events(text))
    except _Stop:
        reader.document.broken = True
    except yaml.MarkedYAMLError as error:
        reader.document.broken = True
        reader.document.flaws.append(syntax_flaw(error, text))
    except yaml.reader.ReaderError as error:
        reader.document.broken = True
        reader.document.flaws.append(character_flaw(error, text))
    return reader.document


def _events(text: str) -> Iterator[Any]:
    loader = LOADER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


class _Reader:
    """Builds the data event by event (which are Any: PyYAML's types call their marks optional, and they are not)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = Document()
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.scalars: dict[str, Any] = {}
        self.written = 0
        self.counted = 0
        self.documents = 0

    def run(self, events: Iterator[Any]) -> None:
        """Take all events; raises _Stop where going on is useless or dangerous."""
        for event in events:
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, {} if kind is MappingStartEvent else [])
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close(event)
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                self.documents += 1
                if self.documents > 1:
                    self._flaw("a second document begins here; fleet.yaml is one document", event)
                    raise _Stop

    def _flaw(self, summary: str, event: Any, detail: str = "") -> None:
        self.document.flaws.append(Flaw(summary, event.start_mark.index, event.end_mark.index, detail))

    def _scalar(self, event: Any) -> None:
        self.written += 1
        self.counted += 1
        text: str = event.value
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].value) is dict:
            self._key(self.stack[-1], text, event)
            return
        value = text if event.style else self._plain(text)
        if event.tag not in (None, "!"):
            value = self._tagged(event, text)
        if text == "" or value is None:
            value = None
            self._empty(event)
        self._anchor(event, (value, 1))
        self._add(value, event)

    def _key(self, parent: _Open, key: str, event: Any) -> None:
        self._anchor(event, (key, 1))
        if key == "<<" and not event.style:
            parent.merged = parent.merged or []
        elif key == "":
            self._flaw("a key is empty", event)
        elif key in parent.places:
            first = self.text.count("\n", 0, parent.places[key]) + 1
            self._flaw(f"the key {quoted(key)} is written twice", event, f"It stands in line {first} already.")
        else:
            parent.places[key] = event.start_mark.index
        parent.key = key

    def _anchor(self, event: Any, meaning: tuple[Any, int] | None) -> None:
        if event.anchor is None:
            return
        if event.anchor in self.anchors:
            self._flaw(f"the anchor &{event.anchor} is written twice; an alias could mean either", event)
            raise _Stop
        self.anchors[event.anchor] = meaning

    def _plain(self, text: str) -> Any:
        try:
            return self.scalars[text]
        except KeyError:
            value = self.scalars[text] = _value(text)
            return value

    def _tagged(self, event: Any, text: str) -> Any:
        if event.tag != _TEXT:
            self._flaw(f"the tag {quoted(event.tag)} is not used in fleet.yaml; leave it out", event)
        return text

    def _empty(self, event: Any) -> None:
        parent = self.stack[-1] if self.stack else None
        if parent is None:
            return  # an empty file is said once, for the whole
        if isinstance(parent.value, dict):
            place = parent.places.get(parent.key or "", event.start_mark.index)
            end = max(event.end_mark.index, place + len(parent.key or ""))
            summary = f"{quoted(parent.key)} has no value; write one, or leave the key out"
            self.document.flaws.append(Flaw(summary, place, end))
        else:
            self._flaw("an item of the list is empty; write a value, or leave it out", event)

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        self.written += 1
        self.counted += 1
        if len(self.stack) >= MAX_DEPTH:
            self._flaw(f"the file is nested more than {MAX_DEPTH} levels deep", event)
            raise _Stop
        if event.tag not in _TAGS[type(event)]:
            self._flaw(f"the tag {quoted(event.tag)} is not used in fleet.yaml; leave it out", event)
        self._no_key(event)
        self._anchor(event, None)
        self.stack.append(_Open(value, event.anchor, self.counted, event.start_mark.index))

    def _no_key(self, event: Any) -> None:
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self._flaw("a key is plain text, not a map, a list or an alias", event)
            raise _Stop

    def _close(self, event: Any) -> None:
        done = self.stack.pop()
        value = done.value
        if done.merged:
            merged: dict[str, Any] = {}
            for block in reversed(done.merged):
                merged.update(block)
            value = {**merged, **value}  # type: ignore[dict-item]
        if done.anchor is not None:
            self.anchors[done.anchor] = (value, self.counted - done.counted + 1)
        self._add(value, event)

    def _alias(self, event: Any) -> None:
        self.written += 1
        self._no_key(event)
        if event.anchor not in self.anchors:
            self._flaw(f"the alias *{event.anchor} has no anchor &{event.anchor} before it", event)
            raise _Stop
        target = self.anchors[event.anchor]
        if target is None:
            self._flaw(f"the alias *{event.anchor} stands inside what it repeats, so it would never end", event)
            raise _Stop
        value, size = target
        self.counted += size
        if self.counted > MAX_EXPANSION * self.written + FREE_EXPANSION:
            self._flaw("the aliases of this file repeat so much that it would not fit into memory", event)
            raise _Stop
        self._add(value, event)

    def _add(self, value: Any, event: Any) -> None:
        if not self.stack:
            self.document.data = value
            return
        parent = self.stack[-1]
        if type(parent.value) is list:
            parent.value.append(value)
            return
        key, parent.key = parent.key, None
        assert isinstance(parent.value, dict)
        assert key is not None
        if parent.merged is not None and key == "<<":
            self._merge(parent, value, event)
        else:
            parent.value.setdefault(key, value)

    def _merge(self, parent: _Open, value: Any, event: Any) -> None:
        blocks = value if isinstance(value, list) else [value]
        if all(isinstance(block, dict) for block in blocks):
            assert parent.merged is not None
            parent.merged.extend(blocks)
        else:
            self._flaw("<< merges a map or a list of maps, and this is something else", event)


def _value(text: str) -> Any:
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    match tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return text == "true" if text in ("true", "false") else Plain(text, "true/false")
        case "int":
            return int(text) if _WHOLE.fullmatch(text) else Plain(text, "number")
        case "float":
            return Plain(text, "number")
        case "timestamp":
            return Plain(text, "date")
        case _:
            return text
