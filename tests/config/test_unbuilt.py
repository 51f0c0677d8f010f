"""What validate knows and nothing carries out yet is refused by name, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load, unbuilt

FOLLOWING = """\
version: 1
name: example
images: {pangeo: {upstream: quay.io/pangeo/ml-notebook}}
hubs:
  one:
    url: https://one.example.org
    values: {path: ., files: [a.yaml]}
    slots: {default: {image: pangeo, track: v1}}
    hold: {reason: finals, until: 2026-12-18}
protect: ["*:*"]
limits: {remove: 0, hubs_per_run: 1}
"""


def refused(folder: Path, text: str) -> str:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return "\n".join(str(diagnostic).removeprefix(f"{path}:") for diagnostic in unbuilt(load(path)))


def test_following_upstream_images_in_a_local_checkout_is_built(tmp_path: Path) -> None:
    assert refused(tmp_path, FOLLOWING) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            FOLLOWING
            + "code_hosts: {g: {type: github, auth: {token: {env: T}}}}\n"
            + "removed: [{address: 'g:repository:a/b', then: archive}]\n",
            "to archive what has left the file is not built yet",
        ),
    ],
)
def test_what_is_not_built_yet_is_named(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text)
