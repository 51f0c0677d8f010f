from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import ProviderError, TryAgain
from fleet.model import Address, Secret, SecretRef
from fleet.oci import Denied, LoginRefused, OciClient
from fleet.provider import Context, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.dockerhub import DockerHub as HubService
from fleet.sandbox.http import Loopback
from fleet_dockerhub import DockerHub, DockerHubSettings
from tests.images import Image, push

IMAGE = RegistryImage("climate", "climate-image")
LOGIN = {"username": "ada", "password": {"env": "PASSWORD"}}
REF = SecretRef(source=Address("hub", "login", "team/climate-image"), field="password")


@pytest.fixture
def hub() -> Iterator[tuple[HubService, Loopback]]:
    """A Docker Hub whose tokens another host gives out, with one image that all may see and one that ada may."""
    service = HubService()
    with Loopback(service.tokens) as tokens, Loopback(service) as loopback:
        service.registry.realm = tokens.url.replace("127.0.0.1", "localhost") + "/token"
        service.users["ada"] = "pw"
        service.namespaces["team"] = {"ada"}
        service.private.add("team/secret")
        service.registry.tokens = None
        for name in ("library/python", "team/secret"):
            push(f"{loopback.url}/v2/{name}", Image(), "1")
        service.registry.tokens = service.tokens
        yield service, loopback


def provider(url: str, password: str = "pw", **keys: Any) -> DockerHub:
    settings = DockerHubSettings.model_validate({"type": "dockerhub", "namespace": "team", "url": url, **keys})
    return DockerHub("hub", settings, Context("ours", Path(), lambda _: Secret(password), lambda: None))


def test_an_image_lives_in_the_namespace_with_an_own_login() -> None:
    home = provider("https://docker.io", push=LOGIN).home(IMAGE)
    assert home.name == "docker.io/team/climate-image"
    assert home.resources == ()
    assert home.login is not None
    assert home.login.secrets["DOCKER_PASSWORD"] == REF
    assert provider("https://registry-1.docker.io").host == "docker.io"


def test_a_bad_name_and_a_missing_login_are_sentences() -> None:
    with pytest.raises(ValueError, match="Docker Hub cannot take 'a/b' as the name of a repository"):
        provider("https://docker.io", push=LOGIN).home(RegistryImage("key", "a/b"))
    with pytest.raises(ValueError, match=r"issues no credentials in docker\.io: write `push: "):
        provider("https://docker.io").home(IMAGE)
    with pytest.raises(ValueError, match="no keyless push for Docker Hub"):
        provider("https://docker.io", push="keyless")


def test_a_private_image_needs_a_person_before_its_first_push() -> None:
    private = RegistryImage("climate", "climate-image", visibility="private")
    (note,) = provider("https://docker.io", push=LOGIN).home(private).notes
    assert "make team/climate-image as a private repository" in note
    assert provider("https://docker.io", push=LOGIN).home(IMAGE).notes == ()


def test_tags_are_looked_up_without_a_pull_at_two_hosts(hub: tuple[HubService, Loopback]) -> None:
    service, loopback = hub
    service.pulls = 0
    seen, hidden = (ImageReference(f"{loopback.host}/{name}", "1") for name in ("library/python", "team/secret"))
    assert provider(loopback.url).resolve([seen, hidden]) == {seen: Image().digest}
    service.pulls = 1
    frozen = seen._replace(digest=Image().digest)
    assert provider(loopback.url).platforms([frozen]) == {frozen: ("linux/amd64",)}
    assert provider(loopback.url, auth=LOGIN).resolve([seen, hidden]) == dict.fromkeys([seen, hidden], Image().digest)


def test_a_used_up_allowance_and_a_busy_hub_are_waited_for(hub: tuple[HubService, Loopback]) -> None:
    service, loopback = hub
    service.pulls = 1
    client = OciClient(loopback.url, provider(loopback.url).context.http())
    client.manifest("library/python", "1")
    with pytest.raises(TryAgain, match="is asked too often"):
        client.manifest("library/python", "1")
    service.busy_until = time.time() + 90
    with pytest.raises(TryAgain) as caught:
        provider(loopback.url).resolve([ImageReference(f"{loopback.host}/library/python", "1")])
    assert caught.value.after is not None
    assert 80 < caught.value.after <= 90


def test_tags_come_newest_first_and_no_further_than_they_are_asked_for(hub: tuple[HubService, Loopback]) -> None:
    service, loopback = hub
    service.page = 2
    for number in range(5):
        token = service.tokens.sign("", [{"type": "repository", "name": "team/secret", "actions": ["pull", "push"]}])
        headers = {"authorization": f"Bearer {token}"}
        push(f"{loopback.url}/v2/team/secret", Image(), f"v{number}", headers=headers)
    name = f"{loopback.host}/team/secret"
    tags = provider(loopback.url, auth=LOGIN, api=loopback.url).tags(name)
    newest, second = islice(tags, 2)
    assert (newest.name, newest.digest, second.name) == ("v4", Image().digest, "v3")
    assert newest.date > second.date
    assert loopback.count("GET", "/v2/namespaces/.*") == 1
    assert [tag.name for tag in tags] == ["v2", "v1", "v0", "1"]
    assert list(provider(loopback.url, api=loopback.url).tags(name)) == []
    with pytest.raises(ProviderError, match="refuses the login ada"):
        list(provider(loopback.url, "wrong", auth=LOGIN, api=loopback.url).tags(name))


def test_the_own_login_is_proved_before_it_leaves(hub: tuple[HubService, Loopback]) -> None:
    service, loopback = hub
    assert provider(loopback.url, push=LOGIN).reveal(REF).expose() == "pw"
    with pytest.raises(LoginRefused, match="refuses the login ada"):
        provider(loopback.url, "wrong", push=LOGIN).reveal(REF)
    service.namespaces["team"].clear()
    with pytest.raises(Denied, match="does not let ada push to team/climate-image"):
        provider(loopback.url, push=LOGIN).reveal(REF)
