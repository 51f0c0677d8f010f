"""A fleet repository at work: pull request, comment and check, merge, apply as reviewed, drift; every runner empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleet_in_ci import FleetInCI, fleet_in_ci


@pytest.fixture
def ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[FleetInCI]:
    with fleet_in_ci(tmp_path, monkeypatch, record_property) as made:
        yield made


def test_a_pull_request_is_shown_merged_and_has_happened(ci: FleetInCI) -> None:
    ci.with_an_image("one")
    pull = ci.propose("the-first-image")
    assert ci.job("plan").conclusion == "success", ci.shown()
    (comment,) = pull.comments
    assert "fleet plan" in comment.body
    ci.merge(pull)
    assert ci.job("apply").conclusion == "success", ci.shown()
    assert ci.tag() in ci.values()
    assert list(ci.quay.state.robots) == ["example+climate-image"]
    assert ci.drift().conclusion == "success", ci.shown()
