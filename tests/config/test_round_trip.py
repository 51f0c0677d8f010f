"""A fleet's configuration travels in a plan file and comes back the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.config import Fleet, load
from fleet.config.docs import EXAMPLE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", [EXAMPLE, (ROOT / "fleet.yaml").read_text()], ids=["reference", "demo"])
def test_a_configuration_comes_back_from_json_as_it_was(tmp_path: Path, text: str) -> None:
    (tmp_path / "fleet.yaml").write_text(text)
    fleet = load(tmp_path / "fleet.yaml").fleet
    document = json.dumps(fleet.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert Fleet.model_validate_json(document) == fleet
