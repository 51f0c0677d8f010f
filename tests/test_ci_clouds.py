"""The loop of a fleet repository whose registry is in a cloud: jobs log in because GitHub vouches for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.workflow_file import WORKFLOW
from tests.ci_clouds import CLOUDS
from tests.fleet_in_ci import FLEET, FleetInCI


@pytest.fixture(params=list(CLOUDS))
def ci(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> Iterator[FleetInCI]:
    (tmp_path / "start").mkdir()
    monkeypatch.chdir(tmp_path / "start")
    with CLOUDS[request.param](tmp_path, record_property) as made:
        made.with_an_image("one")
        yield made


def test_what_a_pull_request_showed_is_applied_and_no_login_is_stored(ci: FleetInCI) -> None:
    assert all(set(one.secrets) == {"FLEET_GITHUB_TOKEN"} for one in ci.repository.environments.values())
    pull = ci.propose("the-first-image")
    assert ci.job("plan").conclusion == "success", ci.shown()
    ci.merge(pull)
    assert ci.job("apply").conclusion == "success", ci.shown()
    assert ci.tag() in ci.values()
    assert ci.drift().conclusion == "success", ci.shown()


@pytest.mark.parametrize("environment", ["", "environment: fleet-apply"])
def test_a_workflow_that_a_pull_request_brings_is_nobody_to_the_cloud(ci: FleetInCI, environment: str) -> None:
    text = ci.file(FLEET, WORKFLOW).replace("environment: fleet-plan", environment)
    for name, value in ci.place.variables["fleet-apply"].items():
        text = text.replace(f"${{{{ vars.{name} }}}}", value)
    ci.propose("as-somebody-else", {"fleet.yaml": ci.text(), WORKFLOW: text})
    assert ci.job("plan").conclusion == "failure"
    assert not ci.place.has_let_in()
    ci.propose("as-it-is")
    assert ci.job("plan").conclusion == "success", ci.shown()
    assert ci.place.has_let_in()
