"""What speaks against writing an image to a hub is said by plan, with its place, and nothing is written."""

from __future__ import annotations

import pytest

from fleet.cli import main
from fleet.commit_message import trailer_of
from fleet.errors import ExitCode
from tests.images import Image, push
from tests.little_fleet import LittleFleet


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).split())


def test_a_line_that_another_fleet_wrote_last_is_refused(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    text = little.at_head("three.yaml").replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    little.write_files({"three.yaml": text})
    little.commit("Set climate:bbbbbbbbbbbb on three\n\nFleet: elsewhere")
    little.track("cccccccccccc", "three")
    code, text = said(capsys, "apply", "-auto-approve")
    assert code == ExitCode.ERROR
    assert "three.yaml:3 of ./infrastructure was last set by the fleet elsewhere" in text
    assert "fleet.yaml:" in text
    assert "bbbbbbbbbbbb" in little.at_head("three.yaml")


def test_a_line_that_a_person_or_this_fleet_wrote_last_is_moved(little: LittleFleet) -> None:
    little.write_files({"three.yaml": "# by elsewhere\n" + little.at_head("three.yaml")})
    little.commit("A comment beside the line\n\nFleet: elsewhere")
    for tag in ("bbbbbbbbbbbb", "cccccccccccc"):
        little.track(tag, "three")
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        assert tag in little.at_head("three.yaml")


def test_an_image_that_the_nodes_of_a_hub_cannot_run_is_refused(
    little: LittleFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    push(f"http://{little.host}/v2/example/climate", Image(architecture="arm64"), "eeeeeeeeeeee")
    little.track("eeeeeeeeeeee", "three")
    code, text = said(capsys, "apply", "-auto-approve")
    assert code == ExitCode.ERROR
    assert "example/climate:eeeeeeeeeeee is for linux/arm64, and the nodes of three need linux/amd64" in text
    assert "aaaaaaaaaaaa" in little.at_head("three.yaml")
    little.document["hubs"]["three"]["platform"] = "linux/arm64"
    little.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert "eeeeeeeeeeee" in little.at_head("three.yaml")


@pytest.mark.parametrize(
    ("message", "fleet"),
    [
        ("Set a tag\n\nFleet: one\n", "one"),
        ("Set a tag\n\nFleet: one\nSigned-off-by: Ada\n", "one"),
        ("Fleet: in the subject only\n\nA body", None),
        ("A tag\n\nFleet: not in the last paragraph\n\nThe end", None),
        ("", None),
    ],
)
def test_the_fleet_of_a_commit_is_in_its_trailers(message: str, fleet: str | None) -> None:
    assert trailer_of(message) == fleet
