from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.model import Address, Secret
from fleet.oci import Denied, LoginRefused
from fleet.provider import Context, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.http import Loopback, Request, Response
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
from fleet_oci import Oci, OciSettings
from tests.debian import programs
from tests.images import Image, push

IMAGE = RegistryImage("climate", "climate-image")
LOGIN = {"username": "ada", "password": {"env": "PASSWORD"}}


class Guarded:
    """A registry where `ada` may push to team/climate-image, and anybody may pull team/open."""

    def __init__(self) -> None:
        self.tokens = TokenService(self._authenticate)
        self.registry = Registry()

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if username and password != "pw":
            return None
        rights = {"team/open": frozenset({"pull"})}
        if username:
            rights["team/climate-image"] = frozenset({"pull", "push"})
        return lambda name: rights.get(name, frozenset())

    def handle(self, request: Request) -> Response:
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)


@pytest.fixture
def guarded() -> Iterator[Loopback]:
    service = Guarded()
    with Loopback(service) as loopback:
        for name in ("climate-image", "open"):
            push(f"{loopback.url}/v2/team/{name}", Image(), "1")
        service.registry.tokens = service.tokens
        yield loopback


def provider(url: str, password: str = "pw", **keys: Any) -> Oci:
    settings = OciSettings.model_validate({"type": "oci", "url": url, "namespace": "team", **keys})
    return Oci("own", settings, Context("ours", Path(), lambda _: Secret(password), lambda: None))


def test_an_image_lives_under_host_and_namespace_with_the_own_login() -> None:
    home = provider("https://registry.example/", push=LOGIN).home(IMAGE)
    assert home.name == "registry.example/team/climate-image"
    assert home.resources == ()
    assert home.login is not None
    assert home.login.username == "ada"
    assert home.login.secrets["DOCKER_PASSWORD"].source == Address("own", "login", "team/climate-image")
    assert provider("https://index.docker.io", push=LOGIN).home(IMAGE).name == "docker.io/team/climate-image"


def test_a_bad_name_and_a_missing_login_are_sentences() -> None:
    with pytest.raises(ValueError, match="'team/Big' cannot be the name of an image"):
        provider("https://registry.example", push=LOGIN).home(RegistryImage("key", "Big"))
    with pytest.raises(ValueError, match=r"cannot issue credentials in registry\.example: write `push: "):
        provider("https://registry.example").home(IMAGE)
    with pytest.raises(ValueError, match="no keyless push for this registry"):
        provider("https://registry.example", push="keyless")


def test_the_own_login_is_proved_before_it_leaves(guarded: Loopback) -> None:
    ours = provider(guarded.url, push=LOGIN)
    login = ours.home(IMAGE).login
    other = ours.home(RegistryImage("open", "open")).login
    assert login is not None
    assert other is not None
    assert ours.reveal(*login.secrets.values()).expose() == "pw"
    with pytest.raises(Denied, match="does not let ada push to team/open"):
        ours.reveal(*other.secrets.values())
    with pytest.raises(LoginRefused, match="refuses the login ada"):
        provider(guarded.url, "wrong", push=LOGIN).reveal(*login.secrets.values())


def test_a_skopeo_with_the_proved_login_pushes_here_and_nowhere_else(guarded: Loopback, tmp_path: Path) -> None:
    ours, source = provider(guarded.url, push=LOGIN), Image().lay_out(tmp_path / "layout")
    login = ours.home(IMAGE).login
    assert login is not None
    password = ours.reveal(*login.secrets.values()).expose()

    def copy(name: str) -> int:
        options = ["--preserve-digests", "--dest-tls-verify=false", f"--dest-creds={login.username}:{password}"]
        return programs().skopeo("copy", *options, source, f"docker://{guarded.host}/team/{name}:2").returncode

    assert copy("climate-image") == 0
    assert copy("open") != 0


def test_tags_are_resolved_with_the_login_or_without(guarded: Loopback) -> None:
    own, opened = (ImageReference(f"{guarded.host}/team/{name}", "1") for name in ("climate-image", "open"))
    assert provider(guarded.url).resolve([own, opened]) == {opened: Image().digest}
    assert provider(guarded.url, auth=LOGIN).resolve([own]) == {own: Image().digest}
    assert provider(guarded.url, push=LOGIN).resolve([own]) == {own: Image().digest}
