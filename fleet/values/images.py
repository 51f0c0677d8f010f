"""One image as a values file spells it: a `name:tag` string, or a map with `name` and `tag`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from yaml.nodes import MappingNode, Node, ScalarNode

from fleet.errors import InputError
from fleet.reference import ImageReference, is_name, is_tag, same_image
from fleet.values import paths
from fleet.values.document import ValuesFile, is_null, string_of
from fleet.values.merge import Layer, descend, get


@dataclass(frozen=True, slots=True)
class Site:
    """Where one user image is written, and what is written there."""

    file: str
    path: str
    reference: ImageReference
    line: int
    column: int
    """Where the tag (of a map) or the string starts, counted from 1."""
    name_line: tuple[str, int] | None = None
    """File and line of a map's `name` where that is another file than the one with its `tag`."""
    is_map: bool = False

    def refusal(self, wanted: ImageReference) -> str | None:
        """Why `wanted` cannot be written here, as a sentence; None when it can."""
        if self.is_map and wanted.digest:
            return f"{self.file}:{self.line} is a map of name and tag, which has no room for the digest of {wanted}."
        if self.name_line and not same_image(self.reference.name, wanted.name):
            file, line = self.name_line
            return (
                f"{self.file}:{self.line} holds the tag only; its name {self.reference.name} stands in {file}:{line}, "
                f"so {wanted.name} must be written there by hand first."
            )
        return None


class Image(NamedTuple):
    """What an `image` key amounts to: whether it decides the image at all, and its site where fleet can edit it."""

    is_set: bool
    site: Site | None = None


def read_image(layers: Sequence[Layer], walked: str) -> Image:
    """The image at a path: one string, or maps of several files that merge (the strongest first).

    Raises InputError where it is neither a template (`'{value}'`) nor a reference.
    """
    file, node = layers[0]
    if isinstance(node, MappingNode):
        return _read_map(layers, walked)
    if not isinstance(node, ScalarNode):
        return Image(is_set=True)
    text = _string(file, node, "image")
    if "{" in text or not text:
        return Image(is_set=bool(text))
    reference = _parse(file, node, text)
    return Image(True, Site(file.name, paths.canonical(file, node, walked), reference, *file.place(node)))


def reference_at(file: ValuesFile, node: Node) -> ImageReference | None:
    """What one file says at a node: a string, or a map's tag and, if this file has it, name; None if no reference."""
    if isinstance(node, MappingNode):
        tag, name = string_of(get(file, node, "tag")), string_of(get(file, node, "name")) or ""
        if tag is None or (tag and not is_tag(tag)) or (name and not is_name(name)):
            return None
        return ImageReference(name, tag or None)
    text = string_of(node)
    if text is None:
        return None
    try:
        return ImageReference.parse(text.strip())
    except ValueError:
        return None


def _read_map(layers: Sequence[Layer], walked: str) -> Image:
    names, tags = descend(layers, "name"), descend(layers, "tag")
    if not names or not tags:
        return Image(is_set=bool(names))  # the chart's own default fills in the rest
    name, tag = names[0], tags[0]
    spelled = _string(name.file, name.node, "name")
    tag_text = _string(tag.file, tag.node, "tag")
    if "{" in spelled or "{" in tag_text or not spelled:
        return Image(is_set=True)
    reference = _parse(tag.file, tag.node, f"{spelled}:{tag_text}" if tag_text else spelled)
    own = next(layer.node for layer in layers if layer.file is tag.file)
    path = _path_of_map(name, tag, own, walked)
    name_line = None
    if name.file is not tag.file:
        name_line = (name.file.name, name.file.line(name.node))
        _refuse_overridden_name(tag, own, spelled, name_line)
    return Image(True, Site(tag.file.name, path, reference, *tag.file.place(tag.node), name_line, is_map=True))


def _path_of_map(name: Layer, tag: Layer, own: Node, walked: str) -> str:
    """The map in which the tag is defined, if its name is ours too; else the map that was walked to."""
    if not tag.file.parents:
        return walked
    parent = tag.file.parents[id(tag.node)]
    if parent.key == "tag" and isinstance(parent.node, MappingNode):
        beside = get(tag.file, parent.node, "name")
        if beside is name.node or (beside is None and name.file is not tag.file):
            return paths.canonical(tag.file, parent.node, walked)
    return paths.canonical(tag.file, own, walked)


def _refuse_overridden_name(tag: Layer, own: Node, spelled: str, name_line: tuple[str, int]) -> None:
    """A tag beside a name that another file replaces serves two images at once: no edit of it could be right."""
    beside = string_of(get(tag.file, own, "name"))
    if beside is not None and not same_image(beside, spelled):
        summary = (
            f"This tag stands beside the name {beside}, but {name_line[0]}:{name_line[1]} replaces it by {spelled}."
        )
        raise tag.file.fault(tag.node, summary, "Write name and tag in the same file.")


def _string(file: ValuesFile, node: Node, what: str) -> str:
    text = string_of(node)
    if text is None:
        raise _not_a_string(file, node, what)
    return text.strip()


def _not_a_string(file: ValuesFile, node: Node, what: str) -> InputError:
    if isinstance(node, ScalarNode) and not is_null(node):
        summary = f"The {what} {node.value} is not a string to every YAML reader (a number, a date or a yes/no)."
        return file.fault(node, summary, f"Write '{node.value}'.")
    return file.fault(node, f"The {what} is not a string.")


def _parse(file: ValuesFile, node: Node, text: str) -> ImageReference:
    try:
        return ImageReference.parse(text)
    except ValueError:
        raise file.fault(node, f"{text!r} is not an image reference; write name:tag.") from None
