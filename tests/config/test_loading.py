"""A good fleet.yaml becomes a Fleet; the whole of the documented shape is good."""

from __future__ import annotations

import gc
from datetime import date
from pathlib import Path

import pytest

from fleet.config import BuiltImage, Loaded, UpstreamImage, load, validate
from fleet.config.docs import EXAMPLE
from fleet.errors import InputError


def loaded(folder: Path, text: str) -> Loaded:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return load(path)


HUB = """\
version: 1
name: example
images: {pangeo: {upstream: quay.io/pangeo/ml-notebook}}
hubs:
  one:
    url: https://one.example.org
    values: {path: ../infrastructure, files: [one.values.yaml]}
    slots: {default: {image: pangeo, track: TRACK}}
"""


def test_the_whole_shape_is_read(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, EXAMPLE).fleet
    assert fleet.name == "example"
    assert isinstance(fleet.images["climate"], BuiltImage)
    assert isinstance(fleet.images["pangeo-ml"], UpstreamImage)
    assert fleet.registries["quay"].settings.model_dump()["namespace"] == "example"
    assert fleet.registries["ecr"].push == "keyless"
    assert list(fleet.hubs["climate-prod"].slots) == ["default", "choices.ml"]


def test_validate_finds_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(EXAMPLE)
    assert validate(tmp_path / "fleet.yaml") == []


@pytest.mark.parametrize("track", ["178819e05792", '"4.3"', "'2026-06-29'", "2026.04.29", "5115e56", "v5.2.0"])
def test_a_track_that_yaml_reads_as_text_needs_no_quotes(tmp_path: Path, track: str) -> None:
    fleet = loaded(tmp_path, HUB.replace("TRACK", track)).fleet
    assert fleet.hubs["one"].slots["default"].track == track.strip("'\"")


@pytest.mark.parametrize("until", ["2026-12-18", '"2026-12-18"'])
def test_a_hold_ends_on_a_day_with_or_without_quotes(tmp_path: Path, until: str) -> None:
    text = HUB.replace("TRACK", "v1") + f"    hold: {{reason: finals, until: {until}}}\n"
    hold = loaded(tmp_path, text).fleet.hubs["one"].hold
    assert hold is not None
    assert hold.until == date(2026, 12, 18)


def test_anchors_aliases_and_merges_are_followed(tmp_path: Path) -> None:
    text = (
        HUB.replace("TRACK", "v1").replace("  one:\n", "  one: &one\n")
        + "  two:\n    <<: *one\n    platform: linux/arm64\n"
    )
    hubs = loaded(tmp_path, text).fleet.hubs
    assert hubs["two"].slots == hubs["one"].slots
    assert (hubs["one"].platform, hubs["two"].platform) == ("linux/amd64", "linux/arm64")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HUB.replace("TRACK", "v1").replace("\n", "\r\n").encode())
    assert load(path).fleet.name == "example"


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    gc.disable()
    try:
        loaded(tmp_path, EXAMPLE)
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(InputError):
        loaded(tmp_path, "[]")
    assert gc.isenabled()


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    [diagnostic] = validate(tmp_path / "fleet.yaml")
    assert "cannot be read: No such file or directory" in str(diagnostic)


def test_a_slot_may_follow_latest_of_somebody_else(tmp_path: Path) -> None:
    assert loaded(tmp_path, HUB.replace("TRACK", "latest")).fleet.hubs["one"].slots["default"].track == "latest"


@pytest.mark.parametrize(
    ("repository", "host"),
    [("example-org/a", "ours"), ("Example-Org/a", "ours"), ("somebody/a", "any")],
)
def test_a_repository_is_served_by_its_owners_code_host(tmp_path: Path, repository: str, host: str) -> None:
    entry = "{type: github, auth: {token: {env: T}}"
    text = f"version: 1\nname: a\ncode_hosts:\n  any: {entry}}}\n  ours: {entry}, owner: example-org}}\n"
    assert loaded(tmp_path, text).fleet.code_host_of(repository) == host


@pytest.mark.parametrize(("limit", "hubs", "allowed"), [("20%", 10, 2), ("20%", 14, 2), ("100%", 3, 3), ("7", 3, 7)])
def test_a_percentage_of_hubs_is_rounded_down(tmp_path: Path, limit: str, hubs: int, allowed: int) -> None:
    fleet = loaded(tmp_path, f"version: 1\nname: a\nlimits: {{hubs_per_run: {limit}}}\n").fleet
    assert fleet.limits.hubs_allowed(hubs) == allowed


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("repository: o/Climate-Image", "climate-image"),
        ("repository: o/a, name: b/c", "b/c"),
        ("visibility: private", "x"),
    ],
)
def test_a_built_image_is_named_in_its_registry(tmp_path: Path, image: str, name: str) -> None:
    text = (
        "version: 1\nname: a\ncode_hosts: {g: {type: github, auth: {token: {env: T}}}}\n"
        f"registries: {{r: {{type: oci, url: https://r}}}}\nimages: {{x: {{registry: r, {image}}}}}\n"
    )
    found = loaded(tmp_path, text).fleet.images["x"]
    assert isinstance(found, BuiltImage)
    assert found.registry_name("x") == name


def test_a_fleet_has_a_json_form(tmp_path: Path) -> None:
    document = loaded(tmp_path, EXAMPLE).fleet.model_dump(mode="json", by_alias=True)
    assert document["registries"]["quay"]["auth"]["token"]["env"] == "QUAY_TOKEN"
    assert document["templates"]["user-image"]["from"] == "builtin:user-image"
    assert document["hubs"]["climate-prod"]["hold"]["until"] == "2026-12-18"
