"""What an organisation can keep for several images, and every mistake with its place in fleet.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load
from fleet.images import find_homes
from fleet.pace import Pace
from fleet.services import Workshop

HEAD = """\
version: 1
name: example
code_hosts: {github: {type: github, auth: {token: {env: T}}}}
registries:
  my-oci: {type: oci, url: https://r, push: {username: ada, password: {env: P}}}
  quay: {type: quay, namespace: example, auth: {token: {env: T}}}
  aws: {type: ecr, account: "123456789012", region: us-west-2, push: {username: AKIAEXAMPLE, password: {env: P}}}
  ghcr: {type: ghcr, owner: example-org}
images:
"""
SHARED = "secrets: {organization: Example-Org, shared: true}"


def found(folder: Path, *images: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What each image's build logs in with, and what is wrong with them, by line and column."""
    path = folder / "fleet.yaml"
    text = "".join(f"  i{n}: {{repository: example-org/i{n}, {SHARED}, {more}}}\n" for n, more in enumerate(images))
    path.write_text(HEAD + text)
    loaded = load(path)
    homes, wrong = find_homes(loaded, Workshop(loaded.fleet, folder, Pace()))
    logins = {
        key: {"password": home.login.password, **{step.id: str(step.inputs) for step in home.login.steps}}
        for key, home in homes.homes.items()
        if home.login
    }
    return logins, [str(one).removeprefix(f"{path}:") for one in wrong]


def test_secrets_are_named_after_their_registries(tmp_path: Path) -> None:
    logins, wrong = found(tmp_path, "registry: my-oci", "registry: aws")
    assert wrong == []
    assert logins["i0"]["password"] == "${{ secrets.DOCKER_PASSWORD_MY_OCI }}"
    assert "${{ secrets.AWS_SECRET_ACCESS_KEY_AWS }}" in logins["i1"]["aws"]


def test_builds_that_store_no_secret_may_share_variables(tmp_path: Path) -> None:
    assert found(tmp_path, "registry: ghcr, variables: {CHANNEL: stable}")[1] == []


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (["registry: ghcr"], ["10:60: the image i0: its builds log in without a stored secret, and it has no"]),
        (["registry: quay"], ["10:60: the image i0: the credential that fleet issues for quay.io/example/i0 can push"]),
        (
            ["registry: my-oci, variables: {A: '1'}", "registry: aws, variables: {B: '1', A: '2'}"],
            ["11:126: the images i0 and i1 share the variable A of Example-Org, and want another value of it: '1' and "
             "'2'. The other stands in line 10."],
        ),
        (
            ["registry: my-oci, adopt_secrets: replace", "registry: my-oci"],
            ["want another adopt_secrets of it: 'replace' and 'keep'"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_said_at_its_line(tmp_path: Path, images: list[str], words: list[str]) -> None:
    wrong = found(tmp_path, *images)[1]
    assert len(wrong) == len(words), wrong
    for one, expected in zip(wrong, words, strict=True):
        assert expected in one
