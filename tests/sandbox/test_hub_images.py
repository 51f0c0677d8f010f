"""Which image a user of a sandbox hub would get, and whether a node could pull it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

import pytest

from fleet.sandbox.http import Loopback
from fleet.sandbox.hub.choosing import NoSuchChoice, chosen_image
from fleet.sandbox.hub.pulling import PullFailed, pull
from fleet.sandbox.hub.settings import Node
from fleet.sandbox.registry import Registry
from fleet.values import parse_values
from tests.images import Image, push

COMMON = """
    basehub:
      jupyterhub:
        singleuser:
          image: {name: team/base, tag: '1'}
          profileList:
            - display_name: Small
            - display_name: Large
              default: true
              kubespawner_override: {image: team/large:1}
              profile_options:
                image:
                  unlisted_choice:
                    enabled: true
                    kubespawner_override: {image: '{value}'}
                  choices:
                    a: {kubespawner_override: {image: team/a:1}}
                    b: {default: true, kubespawner_override: {image: team/b:1}}
                    size: {kubespawner_override: {mem_limit: 2G}}
"""


def image(options: dict[str, object], *texts: str) -> str:
    files = [parse_values(f"{n}.yaml", dedent(text).encode()) for n, text in enumerate(texts)]
    return chosen_image(files, options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "team/b:1"),
        ({"profile": "small"}, "team/base:1"),
        ({"profile": "large", "image": "a"}, "team/a:1"),
        ({"profile": "large", "image": "size"}, "team/large:1"),
        ({"image--unlisted-choice": "other/image:7"}, "other/image:7"),
    ],
)
def test_the_image_is_the_one_that_kubespawner_would_start(options: dict[str, object], expected: str) -> None:
    assert image(options, COMMON) == expected


def test_later_files_win_and_their_lists_replace() -> None:
    tag = "basehub: {jupyterhub: {singleuser: {image: {tag: '2'}}}}"
    assert image({"profile": "small"}, COMMON, tag) == "team/base:2"
    assert image({}, COMMON, "basehub: {jupyterhub: {singleuser: {profileList: []}}}") == "team/base:1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "huge"}, "No such profile: huge"),
        ({"image": "c"}, "The option image has no choice c"),
    ],
)
def test_what_is_not_offered_cannot_be_chosen(options: dict[str, object], message: str) -> None:
    with pytest.raises(NoSuchChoice, match=message):
        image(options, COMMON)
    with pytest.raises(NoSuchChoice, match="set no user image"):
        image({}, "jupyterhub: {}")


@pytest.fixture(scope="module")
def registry() -> Iterator[Loopback]:
    with Loopback(Registry()) as loopback:
        push(f"{loopback.url}/v2/team/image", Image(), "1")
        yield loopback


@pytest.mark.parametrize(
    ("image", "platform", "reason"),
    [
        ("registry.example/team/image:2", "linux/amd64", 'ErrImagePull: .*image:2": not found'),
        ("registry.example/team/image:1", "linux/arm64", "ErrImagePull: no match for platform linux/arm64"),
        ("registry.example/Team:1", "linux/amd64", 'InvalidImageName: .* "registry.example/Team:1"'),
        ("127.0.0.1:9/team/image:1", "linux/amd64", r"ErrImagePull: .* 127\.0\.0\.1:9 refuses the connection"),
    ],
)
def test_what_a_node_could_not_start_fails_in_its_words(
    registry: Loopback, image: str, platform: str, reason: str
) -> None:
    registries = {"registry.example": registry.url}
    pull("registry.example/team/image:1", Node(registries=registries))
    with pytest.raises(PullFailed, match=reason):
        pull(image, Node(registries=registries, platform=platform))
