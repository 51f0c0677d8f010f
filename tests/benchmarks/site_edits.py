"""Site edits per second, and how many of them are right: fleet, a ruamel.yaml round trip, and the sed recipe.

    python -m tests.benchmarks.site_edits

Every user image of the generated fleet (and of the one that FLEET_REAL_FLEET names) gets a new tag, one at a time.
An edit is *right* when the lines of this site changed and no others did, and the file still reads as it did but for
this tag. ruamel.yaml gets the indentation that changes the fewest lines of real files. The sed recipe is the one that
operators share: replace whatever follows `image-name:` in a file that names the image; here it knows maps as well.
Besides: how long it takes to read 2,000 small files and find their 10,000 sites.
"""

from __future__ import annotations

import difflib
import gc
import io
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ruamel.yaml import YAML

from fleet.values import Site, edit, find_sites, parse_values, paths
from fleet.values.document import slug_of
from tests.benchmarks.measure import row
from tests.corpus import real_fleet, sites_of, write_corpus

TAG = "0123456789ab"

Editor = Callable[[bytes, Site], bytes]


class Result(NamedTuple):
    """How one editor did on one fleet."""

    right: int
    edits: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.edits / self.seconds


def edit_with_fleet(data: bytes, site: Site) -> bytes:
    """The edit under test, parsing and proof included."""
    return edit(site.file, data, {site.path: site.reference._replace(tag=TAG)})


def edit_with_ruamel(data: bytes, site: Site, sequence: int = 2, offset: int = 0) -> bytes:
    """Load, set, dump, without wrapping, with quotes preserved; the indentation decides which files stay as is."""
    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 2**31
    parser.indent(mapping=2, sequence=sequence, offset=offset)
    document = parser.load(data)
    *way, last = paths.parse(site.path) or ()
    holder = document
    for key in way:
        holder = _below(holder, key)
    target = _below(holder, last)
    if isinstance(target, dict):
        target["tag"] = TAG
    else:
        holder[last] = f"{site.reference.name}:{TAG}"
    out = io.BytesIO()
    parser.dump(document, out)
    return out.getvalue()


def edit_with_sed(data: bytes, site: Site) -> bytes:
    """`image-name:.*` becomes `image-name:TAG`; a map's tag is the line below its name."""
    name = re.escape(site.reference.name.encode())
    data = re.sub(rb"(%s):[^\r\n]*" % name, rb"\1:" + TAG.encode(), data)
    return re.sub(rb"(name: %s\r?\n\s+tag:)[^\r\n]*" % name, rb"\1 " + TAG.encode(), data)


EDITORS: dict[str, Editor] = {
    "fleet": edit_with_fleet,
    "ruamel, indent 2/2/0": edit_with_ruamel,
    "ruamel, indent 2/4/2": partial(edit_with_ruamel, sequence=4, offset=2),
    "sed": edit_with_sed,
}


def main() -> None:
    """Print a table of what was measured."""
    row("one tag, one site at a time", "right", "edits", "edits/s", "x ruamel")
    for fleet, results in _run():
        peer = results["ruamel, indent 2/2/0"].per_second
        for editor, result in results.items():
            speed = (f"{result.per_second:,.0f}", f"{result.per_second / peer:.1f}")
            row(f"{fleet}: {editor}", str(result.right), str(result.edits), *speed)
    row("2,000 small files read, 10,000 sites found", f"{_read_small_files():.2f} s")


def _read_small_files() -> float:
    choices = "".join(
        f"            c{n}:\n              display_name: Choice {n}\n"
        f"              kubespawner_override:\n                image: quay.io/example/image:2026.01.0{n}\n"
        for n in range(1, 6)
    )
    head = "jupyterhub:\n  singleuser:\n    profileList:\n    - display_name: CPU\n"
    data = f"{head}      profile_options:\n        image:\n          choices:\n{choices}".encode()
    gc.disable()
    try:
        started = time.perf_counter()
        for number in range(2000):
            find_sites([parse_values(f"{number}.yaml", data)])
        return time.perf_counter() - started
    finally:
        gc.enable()


def _run() -> Iterator[tuple[str, dict[str, Result]]]:
    with tempfile.TemporaryDirectory() as folder:
        generated = write_corpus(Path(folder))
        yield "generated", {name: _measure(editor, generated) for name, editor in EDITORS.items()}
    real = real_fleet()
    if real:
        yield "real", {name: _measure(editor, real) for name, editor in EDITORS.items()}


def _measure(editor: Editor, fleet: Path) -> Result:
    sites = list(sites_of(fleet).values())
    before = {site.file: (fleet / site.file).read_bytes() for site in sites}
    started = time.perf_counter()
    after = [_attempt(editor, before[site.file], site) for site in sites]
    seconds = time.perf_counter() - started
    right = sum(_is_right(before[site.file], new, site) for site, new in zip(sites, after, strict=True))
    return Result(right, len(sites), seconds)


def _attempt(editor: Editor, data: bytes, site: Site) -> bytes | None:
    try:
        return editor(data, site)
    except (LookupError, TypeError, ValueError):  # an editor that finds no such place has not made the edit
        return None


def _is_right(before: bytes, after: bytes | None, site: Site) -> bool:
    """Whether the site's own lines changed, nothing else did, and the file reads as meant."""
    if after is None:
        return False
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    blocks = [opcode for opcode in matcher.get_opcodes() if opcode[0] != "equal"]
    if len(blocks) != 1 or blocks[0][1] != site.line - 1:
        return False
    return _scalars_that_differ(before, after) == 1 and _comments(before) == _comments(after)


def _scalars_that_differ(before: bytes, after: bytes) -> int:
    try:
        old, new = (list(yaml.parse(data, Loader=yaml.CSafeLoader)) for data in (before, after))
    except yaml.YAMLError:
        return -1
    if len(old) != len(new):
        return -1
    return sum(_meaning(one) != _meaning(other) for one, other in zip(old, new, strict=True))


def _meaning(event: Any) -> tuple[object, ...]:
    return type(event), getattr(event, "value", None), getattr(event, "anchor", None)


def _comments(data: bytes) -> int:
    return data.count(b" #")


def _below(node: Any, key: str) -> Any:
    if isinstance(node, list):
        return next(entry for entry in node if (entry.get("slug") or slug_of(str(entry["display_name"]))) == key)
    return node[key]


if __name__ == "__main__":
    main()
