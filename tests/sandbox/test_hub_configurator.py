"""A hub whose image is set by its configurator, with fleet as one of those who set it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fleet.errors import ProviderError
from fleet.model import Address, Change, Secret
from fleet.provider import Context
from fleet.sandbox.http import Loopback
from fleet.sandbox.hub.client import SpawnFailed
from fleet.sandbox.hub.configurator import DATA
from fleet.sandbox.hub.serving import SandboxHub
from fleet.sandbox.hub.settings import ConfiguratorService, HubSettings
from fleet.sandbox.registry import Registry
from fleet.site import SiteReference
from fleet_configurator import Configurator, ConfiguratorSettings
from tests.hubs import running
from tests.images import Image, push

ACCESS = "access:services!service=configurator"
AT = Address("configurator/old-hub", "image", "default")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHub]:
    with Loopback(Registry()) as registry:
        push(f"{registry.url}/v2/team/image", Image(), "1", "2")
        settings = HubSettings(
            image=ConfiguratorService(default_image="registry.example/team/image:1"),
            registries={"registry.example": registry.url},
            users=("ada",),
        )
        with running(tmp_path_factory.mktemp("hub"), settings) as hub:
            yield hub


def token_of(hub: SandboxHub, user: str, *scopes: str) -> str:
    """A new token of a user of the hub."""
    url = f"{hub.url}/hub/api/users/{user}/tokens"
    headers = {"authorization": f"token {hub.token}"}
    answer = httpx.post(url, headers=headers, json={"scopes": scopes}, trust_env=False)
    return str(answer.raise_for_status().json()["token"])


def target(hub: SandboxHub, token: str) -> Configurator:
    url = f"{hub.url}/services/configurator"
    settings = {"type": "configurator", "url": url, "auth": {"token": {"env": "TOKEN"}}}
    context = Context("ours", Path(), lambda _: Secret(token), lambda: None)
    return Configurator("configurator/old-hub", ConfiguratorSettings.model_validate(settings), context)


def set_tag(target: Configurator, tag: str) -> None:
    wanted = SiteReference(image="registry.example/team/image", tag=tag)
    target.apply([Change(AT, None, wanted)], lambda ref: pytest.fail(f"nobody reveals {ref}"))
    assert target.read([AT]) == {AT: wanted}


def hold(hub: SandboxHub, document: object) -> None:
    (hub.folder / DATA).write_text(json.dumps(document))


def test_a_new_server_has_what_fleet_wrote_and_the_hubs_default_before_that(hub: SandboxHub) -> None:
    hold(hub, {})
    assert hub.client.image_of("ada") == "registry.example/team/image:1"
    set_tag(target(hub, token_of(hub, "admin", ACCESS)), "2")
    assert hub.client.image_of("ada") == "registry.example/team/image:2"


def test_the_token_of_an_admin_service_may_write_too(hub: SandboxHub) -> None:
    hold(hub, {"z2jh.default_interface": "/lab"})
    set_tag(target(hub, hub.token), "2")
    held = {"z2jh.default_interface": "/lab", "z2jh.image": "registry.example/team/image:2"}
    assert json.loads((hub.folder / DATA).read_text()) == held


def test_nobody_else_may(hub: SandboxHub) -> None:
    hold(hub, {})
    with pytest.raises(ProviderError, match=r"does not let the token .* see its schema \(403\)"):
        set_tag(target(hub, token_of(hub, "ada", "inherit")), "2")
    with pytest.raises(ProviderError, match=r"does not let the token .* see its schema \(403\)"):
        set_tag(target(hub, token_of(hub, "admin", "read:users!user=admin")), "2")
    with pytest.raises(ProviderError, match="does not know the token"):
        set_tag(target(hub, "nobody's"), "2")
    assert json.loads((hub.folder / DATA).read_text()) == {}


def test_one_unknown_key_breaks_every_start(hub: SandboxHub) -> None:
    hold(hub, {"z2jh.image": "registry.example/team/image:1", "z2jh.imgae": "registry.example/team/image:2"})
    with pytest.raises(SpawnFailed, match=r"z2jh\.imgae"):
        hub.client.start("ada")


def test_a_tag_that_is_gone_is_found_when_a_server_starts(hub: SandboxHub) -> None:
    hold(hub, {"z2jh.image": "registry.example/team/image:3"})
    with pytest.raises(SpawnFailed, match=r'ErrImagePull: .*image:3": not found'):
        hub.client.start("ada")
