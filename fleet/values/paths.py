"""The YAML path of a site as text: `jupyterhub.singleuser.profileList[gpu].kubespawner_override.image`.

Keys are joined by dots; an entry of a list stands in brackets under its slug. A key that would not parse back is
written as a JSON string in brackets: `a["x.y"].b`. A path leads to where a node is *defined*: all aliases of one line
share one path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from yaml.nodes import MappingNode, Node, SequenceNode

from fleet.values.document import ValuesFile, slug_of, text_of
from fleet.values.merge import get

_SPECIAL = frozenset(".[]#\"'")
_STEP = re.compile(r"""\[(?P<json>"(?:[^"\\]|\\.)*")\]|\[(?P<entry>[^.\[\]#"']+)\]|\.?(?P<bare>[^.\[\]#"']+)""")


def step(key: str) -> str:
    """One key of a mapping, ready to be put behind a path."""
    return f".{key}" if _is_bare(key) else f"[{_quoted(key)}]"


def entry(slug: str) -> str:
    """One entry of a list, ready to be put behind a path."""
    return f"[{slug}]" if _is_bare(slug) else f"[{_quoted(slug)}]"


def parse(path: str) -> tuple[str, ...] | None:
    """The keys and slugs that a path is made of; None when it is no path."""
    keys: list[str] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        # a dot stands between two keys: never at the start, and never left out
        if match is None or (match["bare"] is not None and (path[at] == ".") != bool(keys)):
            return None
        keys.append(json.loads(match["json"]) if match["json"] else match["entry"] or match["bare"])
        at = match.end()
    return tuple(keys) or None


def slug_of_entry(file: ValuesFile, node: Node) -> str | None:
    """What names an entry of a list: its slug, or KubeSpawner's slug of its display name."""
    if not isinstance(node, MappingNode):
        return None
    slug = text_of(get(file, node, "slug"))
    if slug is not None:
        return slug
    display_name = text_of(get(file, node, "display_name"))
    return slug_of(display_name) if display_name is not None else None


def canonical(file: ValuesFile, node: Node, walked: str) -> str:
    """The path at which a node is defined; `walked` is the path by which it was reached."""
    if not file.parents:
        return walked
    steps: list[str] = []
    at = node
    while at is not file.root:
        parent = file.parents[id(at)]
        if isinstance(parent.node, SequenceNode):
            steps.append(entry(_unique_slug(file, parent.node, at)))
        elif parent.key is None:
            raise file.fault(
                node, "This image stands in a key, or below one that is no plain text: no path leads to it."
            )
        else:
            steps.append(step(parent.key))
        at = parent.node
    return "".join(reversed(steps)).removeprefix(".")


def locate(file: ValuesFile, path: str) -> Node | None:
    """The node at a canonical path; None when nothing stands there or the path was not canonical."""
    at: Node | None = file.root
    for key in parse(path) or (None,):
        if isinstance(at, MappingNode):
            found = [value for name, value in at.value if name.value == key]
        elif isinstance(at, SequenceNode):
            found = _entries(file, at).get(key, []) if key is not None else []
        else:
            return None
        if len(found) != 1:
            return None
        at = found[0]
    if at is not None and file.parents and not _is_defined_at(file, at, path):
        return None
    return at


def no_name(file: ValuesFile, node: Node) -> str:
    """Why an entry of a list cannot be addressed, and what would help."""
    return f"The list entry on line {file.line(node)} has neither slug nor display_name; add `slug: <name>` to it."


def _is_defined_at(file: ValuesFile, node: Node, path: str) -> bool:
    return parse(canonical(file, node, path)) == parse(path)


def _unique_slug(file: ValuesFile, entries: SequenceNode, node: Node) -> str:
    slug = slug_of_entry(file, node)
    if slug is None:
        raise file.fault(node, no_name(file, node))
    same = _entries(file, entries)[slug]
    if len(same) > 1:
        lines = " and ".join(str(file.line(other)) for other in same)
        raise file.fault(node, f"Lines {lines} both have the slug {slug!r}; give each its own.")
    return slug


def _entries(file: ValuesFile, entries: SequenceNode) -> Mapping[str | None, list[Node]]:
    found = file.entries.get(id(entries))
    if found is None:
        by_slug: dict[str | None, list[Node]] = {}
        for node in entries.value:
            by_slug.setdefault(slug_of_entry(file, node), []).append(node)
        found = file.entries[id(entries)] = by_slug
    return found


def _is_bare(key: str) -> bool:
    return key != "" and key == key.strip() and key.isprintable() and _SPECIAL.isdisjoint(key)


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=not key.isprintable())
