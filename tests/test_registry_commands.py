"""Plan and apply with a Quay: what they ask, what they make, and how budgets end a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.quay import RunningQuay, serve_quay


class QuayFleet:
    """A fleet of images in a Quay, in the current folder; `document` is fleet.yaml as data."""

    def __init__(self, quay: RunningQuay, images: int) -> None:
        self.quay = quay
        entry = {"type": "quay", "url": quay.url, "namespace": "example", "auth": {"token": {"env": "QUAY_TOKEN"}}}
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "ours",
            "registries": {"quay": entry},
            "images": {f"image-{number}": {"registry": "quay"} for number in range(images)},
        }
        self.save()

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        Path("fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuayFleet]:
    """Four images, none of which exists yet."""
    monkeypatch.chdir(tmp_path)
    with serve_quay() as quay:
        monkeypatch.setenv("QUAY_TOKEN", quay.token)
        yield QuayFleet(quay, 4)


def test_apply_makes_a_repository_and_a_robot_for_each_image_and_the_second_plan_is_empty(fleet: QuayFleet) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    state = fleet.quay.state
    assert sorted(state.repositories) == [f"example/image-{number}" for number in range(4)]
    for number in range(4):
        permissions = state.repositories[f"example/image-{number}"]["permissions"]
        assert permissions == {f"example+image-{number}": "write"}
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_what_is_excluded_is_not_asked_about(fleet: QuayFleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-exclude=image:*"]) == ExitCode.OK
    assert fleet.quay.loopback.count() == 0
    assert main(["plan", "-target=image:image-2"]) == ExitCode.OK
    assert "2 to add" in capsys.readouterr().out


def test_an_offline_plan_asks_nobody_and_names_what_it_did_not_read(
    fleet: QuayFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-refresh=false"]) == ExitCode.OK
    assert "Not read (offline): quay:repository:example/image-0" in capsys.readouterr().out
    assert fleet.quay.loopback.count() == 0


@pytest.mark.parametrize("option", ["-max-requests=1", "-deadline=0"])
def test_a_plan_that_may_not_ask_enough_ends_with_7(
    fleet: QuayFleet, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert main(["plan", option]) == ExitCode.BUDGET
    assert "budget" in (said := capsys.readouterr().err) or "deadline" in said


def test_an_apply_whose_requests_run_out_stops_cleanly_and_the_next_one_goes_on(
    fleet: QuayFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    while len(codes) < 12:
        before = fleet.quay.loopback.count()
        codes.append(main(["apply", "-auto-approve", "-max-requests=22"]))
        assert fleet.quay.loopback.count() - before <= 22
        if codes[-1] == ExitCode.OK:
            break
        assert "Go on with: fleet apply" in capsys.readouterr().out
    assert codes[-1] == ExitCode.OK
    assert set(codes[:-1]) == {ExitCode.BUDGET}
    assert len(fleet.quay.state.robots) == 4


def test_requests_are_told_before_and_after(fleet: QuayFleet, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan"])
    shown = capsys.readouterr().out
    assert "requests used" in shown
    assert "Applying it takes about" in shown


def test_what_leaves_the_file_is_forgotten_and_limits_count_it(
    fleet: QuayFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    del fleet.document["images"]["image-3"]
    fleet.document["limits"] = {"remove": 0}
    fleet.save()
    assert main(["plan"]) == ExitCode.REFUSED
    assert "limits.remove allows 0 and the plan removes 2" in capsys.readouterr().err
    del fleet.document["limits"]
    fleet.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert "! repository example/image-3  forgotten: it left the file" in capsys.readouterr().out
    assert "example+image-3" not in fleet.quay.state.robots
    assert fleet.quay.state.repositories["example/image-3"]["description"] == ""
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def test_two_images_that_would_live_in_one_repository_are_refused(
    fleet: QuayFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.document["registries"]["again"] = fleet.document["registries"]["quay"]
    fleet.document["images"]["twin"] = {"registry": "again", "name": "image-1"}
    fleet.save()
    assert main(["plan"]) == ExitCode.ERROR
    assert "the images image-1 and twin would both live in" in capsys.readouterr().err
