"""Pull requests that mean harm: they gain nothing, and break nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.errors import ExitCode
from fleet.plan import canonical_json
from fleet.posting import marker, plan_marker
from fleet.sandbox.github.model_actions import Artifact
from fleet.sandbox.github.model_pulls import Comment
from tests.fleet_in_ci import FLEET, SOURCE, FleetInCI, exit_code, fleet_in_ci
from tests.test_markdown import check_harmless

ENVIRONMENT = "/proc/self/environ"
"""Where a process finds its own secrets as a file."""


@pytest.fixture
def ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[FleetInCI]:
    with fleet_in_ci(tmp_path, monkeypatch, record_property) as made:
        made.with_an_image("one")
        yield made


def world(ci: FleetInCI) -> Any:
    """All that a pull request could want to change: branches but its own, secrets, the registry, files of its host."""
    repositories = {repository.full_name: repository for repository in ci.github.state.repositories.values()}
    return (
        {name: (of.refs.get("refs/heads/main"), of.refs.get("refs/heads/fleet-state"), len(of.secrets))
         for name, of in repositories.items()},
        dict(ci.quay.state.repositories), dict(ci.quay.state.robots), sorted(Path.cwd().iterdir()),
    )  # fmt: skip


def gains_nothing(ci: FleetInCI, before: Any) -> None:
    """Nothing was written, no secret is to be seen, and none had to be hidden by the runner."""
    assert world(ci) == before
    shown = ci.shown()
    assert not [secret for secret in ci.secrets if secret in shown]
    assert "***" not in shown
    assert "\x1b" not in shown
    assert "Traceback" not in shown


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
EVIL = (
    "</code></details><img src=x onerror=alert(1)> [a](javascript:b) `` @ada \x1b[31m\n::add-mask::e\n##[error]gained"
)


def with_template(document: dict[str, Any], **template: Any) -> str:
    document["templates"]["user-image"] = template
    return yaml.safe_dump(document)


def with_key(document: dict[str, Any], key: str) -> str:
    document["hubs"][key] = document["hubs"]["one"]
    return yaml.safe_dump(document)


def with_reason(document: dict[str, Any], reason: str) -> str:
    document["hubs"]["one"]["hold"] = {"reason": reason, "until": "2999-01-01"}
    return yaml.safe_dump(document)


SEED = "templates/evil/environment.yml"
EVIL_TEMPLATE: Mapping[str, Any] = {"from": "./templates/evil", "seed": ["environment.yml"]}
HOSTILE: Mapping[str, Callable[[dict[str, Any]], Mapping[str, str]]] = {
    "an anchor bomb": lambda fleet: {"fleet.yaml": BOMB},
    "markup in a name": lambda fleet: {"fleet.yaml": with_key(fleet, EVIL)},
    "markup in a text": lambda fleet: {"fleet.yaml": with_reason(fleet, EVIL)},
    "a folder outside": lambda fleet: {
        "fleet.yaml": with_template(fleet, **{"from": f"{'../' * 30}proc/self", "seed": ["environ"]})
    },
    "a folder that is a link": lambda fleet: {
        "fleet.yaml": with_template(fleet, **{"from": "./evil", "seed": ["environ"]}), "evil": "-> /proc/self"
    },
    "a file outside": lambda fleet: {"fleet.yaml": with_template(fleet, **{**EVIL_TEMPLATE, "seed": [ENVIRONMENT]})},
    "a path that climbs": lambda fleet: {
        "fleet.yaml": with_template(fleet, **{**EVIL_TEMPLATE, "seed": [f"../../../../../../../..{ENVIRONMENT}"]})
    },
    "a link to the environment": lambda fleet: {
        "fleet.yaml": with_template(fleet, **EVIL_TEMPLATE), SEED: f"-> {ENVIRONMENT}"
    },
    "fleet.yaml is the environment": lambda fleet: {"fleet.yaml": f"-> {ENVIRONMENT}"},
    "a template that prints secrets": lambda fleet: {
        "fleet.yaml": with_template(fleet, **{**EVIL_TEMPLATE, "manage": [".github/workflows/build.yaml"]}),
        SEED: "${QUAY_TOKEN} << QUAY_TOKEN >> $(env)\n",
        "templates/evil/.github/workflows/build.yaml":
            "on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo << secrets.QUAY_TOKEN >> << env.QUAY_TOKEN >>'}]}}\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_pull_request_gains_nothing(ci: FleetInCI, how: str) -> None:
    files, before = HOSTILE[how](ci.document), world(ci)
    pull = ci.propose("hostile", files)
    gains_nothing(ci, before)
    assert exit_code(ci.job("plan")) == (ExitCode.OK if how == "markup in a text" else ExitCode.ERROR)
    assert "gained" not in [note.message for note in ci.job("plan").annotations]
    for comment in pull.comments:
        check_harmless(re.sub(r"( · )?\[run\]\([^)]*\)|^<!--.*-->$", "", comment.body, flags=re.MULTILINE))


def test_a_pull_request_from_a_fork_is_validated_and_planned_without_network(ci: FleetInCI, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = {"token": {"exec": ["touch", str(trace)]}}
    ci.document["registries"]["quay"]["auth"] = ci.document["code_hosts"]["github"]["auth"] = command
    before, asked = world(ci), ci.github.loopback.count() + ci.quay.loopback.count()
    pull = ci.github.propose_from_fork(FLEET, {"fleet.yaml": ci.text()}, "mallory")
    ci.wait()
    assert ci.github.loopback.count() + ci.quay.loopback.count() == asked
    assert [job.conclusion for job in ci.repository.runs[-1].jobs] == ["skipped", "success", "skipped", "skipped"]
    assert "Not read (offline): values:repository:example-org/infrastructure" in ci.job("fork").log
    assert (pull.comments, ci.repository.checks, trace.exists()) == ([], [], False)
    gains_nothing(ci, before)


def forged(kept: Artifact) -> tuple[Artifact, str]:
    """The plan's file with another place for the image, and the hash that would fit it."""
    ((name, data),) = kept.files.items()
    document = json.loads(data)
    document["plan"]["changes"] = [
        {**change, "address": change["address"].replace("climate-image", "mallory-image")}
        for change in document["plan"]["changes"]
    ]
    document["hash"] = hashlib.sha256(canonical_json(document["plan"]).encode()).hexdigest()
    return Artifact(kept.id, kept.name, {name: json.dumps(document).encode()}, kept.created_at), document["hash"]


def test_a_forged_plan_file_is_not_applied(ci: FleetInCI) -> None:
    pull = ci.propose("reviewed")
    run = ci.repository.runs[-1]
    run.artifacts["fleet-plan"], _ = forged(run.artifacts["fleet-plan"])
    before = world(ci)[1:]
    ci.merge(pull)
    assert exit_code(ci.job("apply")) in (ExitCode.ERROR, ExitCode.STALE)
    assert world(ci)[1:] == before
    assert SOURCE not in [of.full_name for of in ci.github.state.repositories.values()]


def test_a_strangers_comment_with_a_forged_plan_is_not_read(ci: FleetInCI) -> None:
    pull = ci.propose("reviewed")
    run, now = ci.repository.runs[-1], ci.github.state.clock.now()
    run.artifacts["fleet-plan-2"], hash_ = forged(run.artifacts["fleet-plan"])
    body = f"{marker('fleet.yaml')}\n{plan_marker(hash_, str(run.id))}\nreviewed"
    stranger = Comment(1, ci.github.state.account("mallory"), body, now, now)
    pull.comments.insert(0, stranger)
    ci.merge(pull)
    assert exit_code(ci.job("apply")) == ExitCode.OK, ci.shown()
    assert (stranger.body, len(pull.comments)) == (body, 2)
    assert list(ci.quay.state.robots) == ["example+climate-image"]
