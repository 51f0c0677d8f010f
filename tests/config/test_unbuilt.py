"""What validate knows and nothing carries out yet is refused by name, with its place."""

from __future__ import annotations

from pathlib import Path

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


def test_images_that_share_a_secret_of_their_organisation_are_built(tmp_path: Path) -> None:
    image = "own: {repository: a/b, registry: g, secrets: {organization: a, shared: true}}"
    text = (
        FOLLOWING.replace("images: {", f"images: {{{image}, ")
        + "registries: {g: {type: ghcr, owner: a}}\ncode_hosts: {g2: {type: github, auth: {token: {env: T}}}}\n"
    )
    assert refused(tmp_path, text) == ""
