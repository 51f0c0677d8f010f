"""Whatever the bytes are: a fleet, or InputError with places inside the file; never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.config import load, validate
from fleet.config.docs import EXAMPLE
from fleet.diagnostics import Diagnostic
from fleet.errors import InputError

QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=8)
words = st.sampled_from(
    [
        "version",
        "name",
        "state",
        "code_hosts",
        "registries",
        "templates",
        "images",
        "hubs",
        "protect",
        "limits",
        "removed",
        "type",
        "quay",
        "github",
        "auth",
        "token",
        "env",
        "push",
        "rotate",
        "from",
        "manage",
        "seed",
        "repository",
        "upstream",
        "registry",
        "url",
        "labels",
        "values",
        "path",
        "files",
        "slots",
        "default",
        "image",
        "track",
        "hold",
        "reason",
        "until",
        "configurator",
        "keyless",
        "newest-build",
        "settings",
    ]
)
keys = words | st.text(max_size=6)
documents = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)


def refusals(path: Path) -> list[Diagnostic]:
    try:
        load(path)
    except InputError as error:
        return list(error.diagnostics)
    return []


def outcome(folder: Path, data: bytes) -> None:
    path = folder / "fleet.yaml"
    path.write_bytes(data)
    found = refusals(path)
    assert found == validate(path)
    for diagnostic in found:
        assert diagnostic.range is not None
        assert 0 <= diagnostic.range.start.byte <= diagnostic.range.end.byte <= len(data) + 1
        assert "\x1b" not in str(diagnostic)
        assert diagnostic.to_json()["summary"]


@QUICK
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path, data)


@QUICK
@given(text=st.text(alphabet=":-{}[]&*!|>'\"%@`#,?<~ \n\tab01.\x1b\u202e", max_size=60))
def test_any_punctuation(tmp_path: Path, text: str) -> None:
    outcome(tmp_path, text.encode())


@QUICK
@given(document=st.dictionaries(words, documents, max_size=8))
def test_any_document(tmp_path: Path, document: dict[str, object]) -> None:
    text = yaml.safe_dump({"version": 1, "name": "a", **document}, allow_unicode=True)
    outcome(tmp_path, text.encode("utf-8", errors="replace"))


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_to_a_good_file(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(EXAMPLE.encode())
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = chance.choice(
            [b"", b" ", b"\n", b"{", b"'", b"*a", b"&a ", b": ", b"1", b"\xff"]
        )
    outcome(tmp_path, bytes(data))
