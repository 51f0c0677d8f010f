from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.config.base import SLOT
from fleet.values import paths

KEYS = st.lists(st.text(max_size=6), min_size=1, max_size=5)


@given(KEYS)
@example(["a.b", "[", "#", '"', "'", "", " ", "\n", "\\"])
def test_a_path_parses_back_to_its_keys(keys: list[str]) -> None:
    assert paths.parse("".join(paths.step(key) for key in keys).removeprefix(".")) == tuple(keys)
    with_entry = f"{paths.step(keys[0]).removeprefix('.')}{paths.entry(keys[-1])}"
    assert paths.parse(with_entry) == (keys[0], keys[-1])


@given(KEYS)
def test_a_path_is_one_printable_line(keys: list[str]) -> None:
    assert "".join(paths.step(key) for key in keys).isprintable()


def test_only_keys_that_need_it_are_quoted() -> None:
    assert paths.step("profileList") + paths.entry("gpu") + paths.step("4_4") == ".profileList[gpu].4_4"
    assert paths.step("x.y") == f"[{json.dumps('x.y')}]"


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a[", "a[]", "a]b", 'a["x]', "a[b]c", "a#b", 'a["x"]b'])
def test_what_is_no_path_does_not_parse(text: str) -> None:
    assert paths.parse(text) is None


@given(KEYS, st.text(max_size=6))
def test_fleet_yaml_takes_every_slot_that_a_values_file_can_have(keys: list[str], choice: str) -> None:
    profile, option = paths.step(keys[0]), paths.step(keys[-1])
    for slot in (
        f"choices{paths.step(choice)}",
        f"profiles{profile}",
        f"profiles{profile}{option}{paths.step(choice)}",
    ):
        assert re.search(SLOT, slot), slot


@pytest.mark.parametrize(
    "text",
    ["defautl", "choices", "choices.", "choices.v1.0", "choices[x]", "profiles.a.b", "profiles.a.b.c.d", "choices. x"],
)
def test_fleet_yaml_refuses_what_is_no_slot(text: str) -> None:
    assert not re.search(SLOT, text)
