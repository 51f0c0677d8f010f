"""Changes the references in a values file, and not one byte more.

A scalar is replaced at the parser's marks, in its old style. Then the result is parsed again and compared, event by
event, with what was meant; an edit that comes out as anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.reference import ImageReference, same_image
from fleet.values import paths
from fleet.values.document import Source, ValuesFile, parse_values, string_of, value_start
from fleet.values.images import reference_at
from fleet.values.merge import get
from fleet.values.quoting import is_plain_string, restyle


class _Write(NamedTuple):
    """One scalar and the text that it shall hold."""

    node: ScalarNode
    value: str
    path: str


def read_site(file: ValuesFile, path: str) -> ImageReference | None:
    """What stands at a canonical path of this one file; None when there is no site.

    A map whose `name` stands in another file gives a reference with the name "".
    """
    node = paths.locate(file, path)
    return reference_at(file, node) if node is not None else None


def edit(name: str, data: bytes, edits: Mapping[str, ImageReference]) -> bytes:
    """Write the wanted reference at each canonical path.

    A name that means the same image keeps its spelling. Raises InputError, and changes nothing, where there is no site,
    where the reference does not fit it, or where the result would not read as intended.
    """
    file = parse_values(name, data)
    writes: dict[int, _Write] = {}
    for path, wanted in edits.items():
        for write in _writes(file, path, wanted):
            other = writes.setdefault(write.node.start_mark.index, write)
            if other.value != write.value:
                summary = f"{other.path} and {path} are one line, but {other.value!r} and {write.value!r} are wanted."
                raise file.fault(write.node, summary)
    changed = {start: write for start, write in writes.items() if write.value != write.node.value}
    if not changed:
        return data
    text = _splice(file.source, [changed[start] for start in sorted(changed)])
    prove(file.source, text, {start: write.value for start, write in changed.items()})
    return data[: file.source.bom] + text.encode()


def prove(before: Source, after: str, values: Mapping[int, str]) -> None:
    """Compare two texts of a file: they may differ only in the scalars whose old start is a key of `values`.

    Comparing events rather than what they construct takes linear time however the aliases multiply.
    """
    old: Iterator[Any] = yaml.parse(before.text, Loader=yaml.CSafeLoader)
    new: Iterator[Any] = yaml.parse(after, Loader=yaml.CSafeLoader)
    left = dict(values)
    try:
        for one, other in zip(old, new, strict=True):  # both end with the event of a stream's end
            kind = type(one)
            value = left.pop(one.start_mark.index, None) if kind is yaml.ScalarEvent else None
            if kind is not type(other):
                raise _not_as_meant(before.name, f"line {other.start_mark.line + 1} holds other nodes")
            if value is None:
                if _meaning(one) != _meaning(other):
                    raise _not_as_meant(before.name, f"line {other.start_mark.line + 1} changes too")
            elif not _is_string(other, value) or (one.anchor, one.tag) != (other.anchor, other.tag):
                raise _not_as_meant(before.name, f"line {other.start_mark.line + 1} does not read as {value!r}")
    except yaml.YAMLError as error:
        raise _not_as_meant(before.name, f"the result is not YAML: {error}") from None
    if left:
        raise _not_as_meant(before.name, "a scalar to change was not found again")


def _writes(file: ValuesFile, path: str, wanted: ImageReference) -> Iterator[_Write]:
    node = paths.locate(file, path)
    current = reference_at(file, node) if node is not None else None
    if node is None or current is None:
        raise InputError([Diagnostic(f"{file.name} holds no image reference at {path}.")])
    nameless = not (wanted.name or current.name)  # the name stands in another file
    _check(file, node, path, wanted._replace(name="image") if nameless else wanted)
    if isinstance(node, MappingNode):
        yield from _writes_to_map(file, node, path, wanted)
    elif isinstance(node, ScalarNode):
        meant = wanted._replace(name=current.name) if same_image(current.name, wanted.name) else wanted
        yield _Write(node, node.value if meant == current else str(meant), path)


def _writes_to_map(file: ValuesFile, image: MappingNode, path: str, wanted: ImageReference) -> Iterator[_Write]:
    if wanted.digest:
        raise file.fault(image, f"A map of name and tag has no room for the digest of {wanted}.")
    tag, name = get(file, image, "tag"), get(file, image, "name")
    assert isinstance(tag, ScalarNode)
    yield _Write(tag, tag.value if tag.value.strip() == (wanted.tag or "") else wanted.tag or "", path)
    spelled = string_of(name)
    if spelled is None or same_image(spelled.strip(), wanted.name):
        return
    if not isinstance(name, ScalarNode) or not _stands_in(image, name):
        line = file.line(name) if name is not None else 0
        raise file.fault(
            image, f"The name {spelled} of this image stands on line {line}, outside this map; change it there by hand."
        )
    yield _Write(name, wanted.name, path)


def _check(file: ValuesFile, node: Node, path: str, wanted: ImageReference) -> None:
    try:
        sound = ImageReference.parse(str(wanted)) == wanted
    except ValueError:
        sound = False
    if not sound:
        raise file.fault(node, f"{str(wanted)!r}, wanted at {path}, is not an image reference.")


def _stands_in(mapping: MappingNode, node: Node) -> bool:
    start: int = node.start_mark.index
    inside: bool = mapping.start_mark.index <= start < mapping.end_mark.index
    return inside and any(value is node for _, value in mapping.value)


def _splice(source: Source, writes: list[_Write]) -> str:
    """The text with each scalar replaced; `writes` in the order of the text."""
    parts: list[str] = []
    at = 0
    for node, value, _ in writes:
        start, end = value_start(source, node), node.end_mark.index
        old = source.text[start:end]
        if node.style in ("|", ">"):  # its mark lies behind the line break, and behind blank lines
            old = old.rstrip()
        blank = " " if start == end and start > node.start_mark.index else ""  # behind a bare anchor or tag
        parts += source.text[at:start], blank, restyle(old, value)
        at = start + len(old)
    return "".join(parts) + source.text[at:]


def _meaning(event: Any) -> tuple[Any, ...]:
    """All that an event says, except where it stands."""
    return (
        type(event),
        getattr(event, "anchor", None),
        getattr(event, "tag", None),
        getattr(event, "value", None),
        getattr(event, "style", None),
        getattr(event, "flow_style", None),
    )


def _is_string(event: Any, value: str) -> bool:
    if not isinstance(event, yaml.ScalarEvent) or event.value != value:
        return False
    return bool(event.style) or event.tag is not None or is_plain_string(value)


def _not_as_meant(name: str, why: str) -> InputError:
    return InputError([Diagnostic(f"{name} was left as it is, since an edit would not come out as meant: {why}.")])
