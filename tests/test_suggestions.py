"""What a refused tag's message suggests instead, and what finding that may cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.http import Fault, Loopback, Response
from fleet.sandbox.quay import serve_quay
from fleet.sandbox.registry import Registry
from tests.images import Image, push
from tests.little_fleet import LittleFleet
from tests.subjects.common import publish

USED = "aaaaaaaaaaaa"


@pytest.fixture
def dated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LittleFleet, Loopback]]:
    """A little fleet whose registry has images of four days, the one in use being the second oldest."""
    monkeypatch.chdir(tmp_path)
    with Loopback(Registry()) as loopback:
        for day, tag in enumerate(("oldest", USED, "newer", "newest"), 1):
            image = Image(labels={"tag": tag}, created=f"2026-01-{day:02}T00:00:00Z")
            push(f"{loopback.url}/v2/example/climate", image, tag)
        loopback.records.clear()
        yield LittleFleet(tmp_path, loopback.host), loopback


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """What a plan says that is refused, in one line."""
    assert main(["plan"]) == ExitCode.ERROR
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_the_newest_tags_are_suggested(dated: tuple[LittleFleet, Loopback], capsys: pytest.CaptureFixture[str]) -> None:
    dated[0].track("nowhere")
    said = refused(capsys)
    assert "has no tag nowhere of example/climate" in said
    assert f"; the newest tags there are newest, newer and {USED}" in said
    assert dated[1].count("GET", ".*/tags/list") == 2


def test_quay_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve_quay() as quay:
        monkeypatch.setenv("QUAY_TOKEN", quay.token)
        name = f"{quay.registry_host}/example/climate"
        repository = {"description": "", "is_public": True, "last_modified": 0, "permissions": {}}
        quay.state.repositories["example/climate"] = repository
        for tag in (USED, "newest"):
            publish(quay.quay.tokens, name, tag)
        quay.state.pushed["example/climate"] = {USED: 1, "newest": 2}
        little = LittleFleet(tmp_path, quay.registry_host)
        entry = {"type": "quay", "url": quay.url, "namespace": "example", "auth": {"token": {"env": "QUAY_TOKEN"}}}
        little.document["registries"] = {"quay": entry}
        little.track("nowhere")
        assert f"; the newest tags there are newest and {USED}" in refused(capsys)
        assert quay.loopback.count("GET", "/api/.*/tag/") == 1


def test_a_plan_without_mistakes_lists_no_tags(dated: tuple[LittleFleet, Loopback]) -> None:
    dated[0].track("newest")
    assert main(["plan"]) == ExitCode.OK
    assert dated[1].count("GET") == 1 + 2  # a look at `/v2/`, and what the image that hubs move to runs on


@pytest.mark.parametrize("answer", [Response(500), Response(403), Response.of_json([])])
def test_a_listing_that_fails_hides_nothing(
    dated: tuple[LittleFleet, Loopback], capsys: pytest.CaptureFixture[str], answer: Response
) -> None:
    dated[1].faults.append(Fault("status", path=".*/tags/list", response=answer, times=None))
    dated[0].track("nowhere")
    said = refused(capsys)
    assert "has no tag nowhere of example/climate" in said
    assert "the newest" not in said


def test_where_tags_are_many_or_say_no_date_none_are_dated(
    dated: tuple[LittleFleet, Loopback], capsys: pytest.CaptureFixture[str]
) -> None:
    little, loopback = dated
    push(f"{loopback.url}/v2/example/undated", Image(), USED)
    push(f"{loopback.url}/v2/example/climate", Image(), *map(str, range(20)))
    loopback.records.clear()
    little.document["images"]["undated"] = {"upstream": f"{little.host}/example/undated"}
    little.track("nowhere")
    little.track("nowhere", "three", image="undated")
    assert "the newest" not in refused(capsys)
    assert loopback.count("GET", ".*/example/climate/(manifests|blobs)/.*") == 0


def test_a_few_images_are_looked_up_and_no_more(
    dated: tuple[LittleFleet, Loopback], capsys: pytest.CaptureFixture[str]
) -> None:
    little, loopback = dated
    for number in range(5):
        push(f"{loopback.url}/v2/example/image-{number}", Image(created="2026-01-01T00:00:00Z"), "only")
        little.document["images"][f"image-{number}"] = {"upstream": f"{little.host}/example/image-{number}"}
        little.document["hubs"][f"hub-{number}"] = {
            "url": f"https://hub-{number}.example.org",
            "values": {"path": "infrastructure", "files": [f"{number}.yaml"]},
            "slots": {"default": {"image": f"image-{number}", "track": "nowhere"}},
        }
        text = f"jupyterhub: {{singleuser: {{image: {{name: HOST/example/image-{number}, tag: only}}}}}}\n"
        little.write_files({f"{number}.yaml": text})
    little.commit("Five more hubs")
    little.save()
    said = refused(capsys)
    assert said.count("; the newest tag there is only") == 3
    assert said.count("has no tag nowhere") == 5
