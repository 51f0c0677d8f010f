from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fleet.values.quoting import can_stand_plain, is_plain_string

TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,15}", fullmatch=True)
NUMBERLIKE = st.text(alphabet="0123456789abefoxEXy_.-+:tTzZ ", min_size=1, max_size=14)

NOT_STRINGS = (
    "178819e05792 949086545647 5115e56 017 0o17 0b11 0x1f 1:30 190:20:30.15 +1 -1 1. 1_000 1_0e5 .5 .inf -.INF .NaN "
    "2026-06-29 2026-6-9 2001-12-14t21:59:43.10-05:00 y N yes No ON off True FALSE null Null ~ << ="
)


def _yaml_1_1(text: str) -> object:
    return yaml.safe_load(f"[{text}]")[0]


def _yaml_1_2(text: str) -> object:
    return YAML(typ="safe", pure=True).load(f"[{text}]")[0]


@given(st.one_of(TAGS, NUMBERLIKE))
def test_a_text_that_may_stand_plain_is_this_string_to_every_reader(text: str) -> None:
    if can_stand_plain(text):
        assert _yaml_1_1(text) == text
        assert _yaml_1_2(text) == text


@given(st.text(alphabet="0123456789abcdef", min_size=7, max_size=12))
def test_a_commit_hash_is_quoted_only_where_it_looks_like_a_number(text: str) -> None:
    looks_like_a_number = text.isdigit() or (text.replace("e", "", 1).isdigit() and text[0] != "e" and text[-1] != "e")
    assert can_stand_plain(text) is not looks_like_a_number


@pytest.mark.parametrize("text", NOT_STRINGS.split())
def test_what_any_reader_takes_for_something_else_is_no_plain_string(text: str) -> None:
    assert not is_plain_string(text)
    assert not can_stand_plain(text)


@pytest.mark.parametrize(
    "text", ["", "a: b", "a #b", "a,b", "a]", "{a", "-a", "*a", "&a", "!a", "@a", "a:", " a", "a\n", "%a"]
)
def test_what_yaml_gives_a_meaning_is_quoted(text: str) -> None:
    assert not can_stand_plain(text)


@pytest.mark.parametrize(
    "text", ["2026.04.29", "bde8b3293fd2", "v1", "4.4.1", "_12", "quay.io/a/b:1.0", "host:5000/a:1"]
)
def test_ordinary_tags_and_references_stay_plain(text: str) -> None:
    assert can_stand_plain(text)
