"""A hub whose image is written in a values file: what a user's kernel sees follows the branch's head."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fleet.sandbox.http import Loopback
from fleet.sandbox.hub.client import SpawnFailed
from fleet.sandbox.hub.serving import SandboxHub
from fleet.sandbox.hub.settings import HubSettings, ValuesFiles
from fleet.sandbox.registry import Registry
from tests.hubs import commit, running
from tests.images import Image, push

PROFILES = """
    profileList:
      - display_name: Standard
        default: true
      - display_name: Machine learning
        profile_options:
          image:
            choices:
              new: {default: true, kubespawner_override: {image: "registry.example/team/ml:2"}}
              old: {kubespawner_override: {image: "registry.example/team/ml:1"}}
"""


@dataclass(frozen=True)
class World:
    """A running hub and the folder of its values repository."""

    hub: SandboxHub
    values: Path

    def write(self, tag: str) -> None:
        """Have the values file at the head of the branch name an image of this tag."""
        image = f"{{name: registry.example/team/base, tag: '{tag}'}}"
        commit(
            self.values, "hub.yaml", f"# {time.monotonic()}\njupyterhub:\n  singleuser:\n    image: {image}{PROFILES}"
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hub")
    files = ValuesFiles(repository=folder / "values", files=("hub.yaml",), branch="main")
    with Loopback(Registry()) as registry:
        for name in ("base", "ml"):
            push(f"{registry.url}/v2/team/{name}", Image(), "1", "2")
        settings = HubSettings(image=files, registries={"registry.example": registry.url})
        with running(folder / "hub", settings) as hub:
            yield World(hub, folder / "values")


def test_a_new_server_has_the_image_that_the_branch_names_when_it_starts(world: World) -> None:
    world.write("1")
    assert world.hub.client.image_of("ada") == "registry.example/team/base:1"
    world.write("2")
    assert world.hub.client.image_of("ada") == "registry.example/team/base:2"


def test_a_profile_and_its_choice_decide_the_image(world: World) -> None:
    world.write("1")
    chosen = {"profile": "machine-learning", "image": "old"}
    assert world.hub.client.image_of("emmy", chosen) == "registry.example/team/ml:1"


def test_a_missing_tag_starts_no_server_and_says_why(world: World) -> None:
    world.write("3")
    with pytest.raises(
        SpawnFailed, match=r'^Spawn failed: ErrImagePull: .*"registry\.example/team/base:3": not found$'
    ):
        world.hub.client.start("ada")


def test_what_is_wrong_with_the_values_is_said_to_who_starts_a_server(world: World) -> None:
    commit(world.values, "hub.yaml", "jupyterhub: [")
    with pytest.raises(SpawnFailed, match=r"hub\.yaml:1:"):
        world.hub.client.start("ada")
    world.write("1")
    with pytest.raises(SpawnFailed, match="No such profile: huge"):
        world.hub.client.start("ada", {"profile": "huge"})


def test_a_hub_ends_with_its_users_servers(tmp_path: Path, world: World) -> None:
    world.write("1")
    settings = world.hub.running.settings
    with running(tmp_path / "hub", settings) as hub:
        hub.client.start("ada")
        server = int(hub.client.run("ada", "import os; print(os.getppid())"))
        assert Path(f"/proc/{server}/cmdline").read_bytes()
    with pytest.raises(httpx.ConnectError):
        httpx.get(hub.url, trust_env=False)
    ended = Path(f"/proc/{server}/cmdline")
    assert not ended.exists() or not ended.read_bytes()
