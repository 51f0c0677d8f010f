"""Where something stands is worked out only when asked, down to the nearest ancestor that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import Source

TEXT = """\
hubs:
  one: &one
    slots:
      default: {image: a, track: v1}
    files: [x, y]
  two:
    <<: *one
"""
SOURCE = Source("fleet.yaml", TEXT.encode(), Path())


@pytest.mark.parametrize(
    ("keys", "of", "place", "text"),
    [
        (("hubs",), "key", "1:1", "hubs"),
        (("hubs",), "value", "1:1", "hubs"),
        (("hubs", "one", "slots", "default"), "value", "4:16", "{image: a, track: v1}"),
        (("hubs", "one", "slots", "default"), "key", "4:7", "default"),
        (("hubs", "one", "slots", "default", "track"), "value", "4:34", "v1"),
        (("hubs", "one", "files", 1), "value", "5:16", "y"),
        (("hubs", "two", "files", 0), "value", "5:13", "x"),
        (("hubs", "one", "nothing", "below"), "value", "2:3", "one"),
        (("hubs", "one", "files", 9), "value", "5:5", "files"),
        ((), "value", "1:1", "hubs:"),
    ],
)
def test_a_range_covers_what_it_names(keys: tuple[str | int, ...], of: str, place: str, text: str) -> None:
    found = SOURCE.range(keys, of="key" if of == "key" else "value")
    assert str(found) == f"fleet.yaml:{place}"
    assert TEXT.encode()[found.start.byte : found.end.byte] == text.encode()


def test_a_diagnostic_shows_its_line() -> None:
    diagnostic = SOURCE.diagnostic(("hubs", "one", "slots", "default", "image"), "wrong", "Write b.", "warning")
    assert str(diagnostic) == "fleet.yaml:4:24: wrong. Write b."
    document = diagnostic.to_json()
    assert document["snippet"]["code"] == "      default: {image: a, track: v1}"
    start, end = document["snippet"]["highlight_start_offset"], document["snippet"]["highlight_end_offset"]
    assert document["snippet"]["code"][start:end] == "a"


def test_a_snippet_shows_hidden_characters_and_keeps_columns() -> None:
    source = Source("f", "a: \x1b\u202ex\nb: 1\n".encode(), Path())
    assert source.at((3, 4), "wrong").snippet == "a: \u241b\ufffdx"
