from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.http import Http
from fleet.model import Address, Secret, SecretRef
from fleet.oci import Denied, OciClient
from fleet.provider import Context, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.ghcr import SOURCE
from fleet.sandbox.ghcr import Ghcr as GhcrService
from fleet.sandbox.github import State, serve_github
from fleet.sandbox.http import Loopback
from fleet.sandbox.push import Login, Pusher, PushRefused, Registries, build
from fleet.secrets import SecretSource
from fleet_ghcr import LABELS, Ghcr, GhcrSettings
from tests.little_fleet import LittleFleet

IMAGE = RegistryImage("climate", "climate-image", source="Example-Org/climate-image")
OWN_LOGIN = {"username": "ada", "password": {"env": "PASSWORD"}}


@dataclass
class Service:
    """A ghcr.io on loopback, beside a GitHub where ada administers example-org and its two repositories."""

    ghcr: GhcrService
    loopback: Loopback

    def run_token(self, repository: str, **rights: Any) -> str:
        """The token of a run in a repository."""
        return self.ghcr.state.create_token("ada", {"contents": "read", **rights}, repositories=[repository])

    def push(self, name: str, password: str, tag: str = "1", day: int = 1, source: str = "") -> str:
        """Push an image as a build does on a day of January, and return its digest; raises PushRefused."""
        labels = {SOURCE: f"{self.ghcr.state.url}/{source}"} if source else {}
        image = build({"/srv/a": name.encode()}, labels, f"2026-01-{day:02}T00:00:00Z")
        with Pusher(Registries(), self.loopback.host, Login("ada", password)) as pusher:
            pusher.push(name, image, [tag])
        return image.digest


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    state = State(tmp_path / "github")
    state.create_user("ada")
    state.create_organization("example-org", admins=["ada"])
    for name in ("climate-image", "neighbour"):
        state.create_repository(f"example-org/{name}", {"README.md": name})
    ghcr = GhcrService(state)
    with Loopback(ghcr) as loopback:
        yield Service(ghcr, loopback)
    state.close()


def provider(url: str = "https://ghcr.io", secret: str = "", **keys: Any) -> Ghcr:
    def read(source: SecretSource) -> Secret:
        return Secret(secret)

    settings = GhcrSettings.model_validate({"type": "ghcr", "owner": "Example-Org", "url": url, **keys})
    return Ghcr("ghcr", settings, Context("ours", Path(), read, lambda: None))


def client(loopback: Loopback) -> OciClient:
    """What reads a registry as nobody."""
    return OciClient(loopback.url, Http(lambda: None))


def test_builds_push_with_the_token_of_their_run_and_nothing_is_made_or_kept() -> None:
    home = provider().home(IMAGE)
    assert home.name == "ghcr.io/example-org/climate-image"
    assert home.resources == ()
    assert home.login is not None
    assert home.login.username == "${{ github.actor }}"
    assert home.login.password == "${{ secrets.GITHUB_TOKEN }}"
    assert home.login.permissions == {"packages": "write"}
    assert home.login.secrets == {}
    assert home.labels == provider(push=OWN_LOGIN).home(IMAGE).labels == LABELS
    assert provider(push="keyless").home(IMAGE) == home


def test_what_only_a_person_can_do_is_named_where_it_is_done() -> None:
    (note,) = provider().home(IMAGE).notes
    assert "https://github.com/Example-Org/climate-image/pkgs/container/climate-image" in note
    (note,) = provider("https://containers.github.example").home(IMAGE).notes
    assert "https://github.example/Example-Org/climate-image/pkgs/" in note
    private = RegistryImage("climate", "climate-image", source="example-org/climate-image", visibility="private")
    assert provider().home(private).notes == ()


def test_a_source_that_could_not_push_and_a_bad_name_are_sentences() -> None:
    stranger = RegistryImage("climate", "climate-image", source="somebody/climate-image")
    with pytest.raises(ValueError, match=r"can push to packages of somebody only, .*`owner: somebody` for ghcr"):
        provider().home(stranger)
    assert provider(push=OWN_LOGIN).home(stranger).login is not None
    with pytest.raises(ValueError, match="'example-org/Big' cannot be the name of an image"):
        provider().home(RegistryImage("key", "Big"))


def test_a_run_pushes_to_its_own_package_and_to_no_neighbour(service: Service) -> None:
    own, neighbour = "example-org/climate-image", "example-org/neighbour"
    service.push(neighbour, service.run_token(neighbour, packages="write"))
    token = service.run_token(own, packages="write")
    digest = service.push(own, token)
    assert service.ghcr.packages == {own: own, neighbour: neighbour}
    for name in (neighbour, "somebody/else"):
        with pytest.raises(PushRefused):
            service.push(name, token)
    with pytest.raises(PushRefused):
        service.push(own, service.run_token(own))
    reference = ImageReference(f"{service.loopback.host}/{own}", "1")
    assert provider(service.loopback.url).resolve([reference]) == {reference: digest}
    frozen = reference._replace(digest=digest)
    assert provider(service.loopback.url).platforms([frozen]) == {frozen: ("linux/amd64",)}


def test_what_a_person_pushes_is_linked_by_its_label_and_not_otherwise(service: Service) -> None:
    own, other = "example-org/climate-image", "example-org/neighbour"
    service.ghcr.state.url = "https://github.example.org"
    password = service.ghcr.state.create_token("ada", scopes=["write:packages"])
    for source in ("", "somebody/climate-image", "example-org/nowhere"):
        service.push(own, password, source=source)
        assert service.ghcr.packages == {own: None}
        with pytest.raises(PushRefused):
            service.push(own, service.run_token(own, packages="write"))
    service.push(own, password, source=own)
    assert service.ghcr.packages == {own: own}
    service.push(own, service.run_token(own, packages="write"), source=other)
    assert service.ghcr.packages == {own: own}


def test_tags_are_dated_by_their_images(service: Service) -> None:
    own = "example-org/climate-image"
    token = service.run_token(own, packages="write")
    for tag, day in (("a", 2), ("b", 3), ("c", 1)):
        service.push(own, token, tag, day)
    found = list(provider(service.loopback.url).tags(f"{service.loopback.host}/{own}"))
    assert [(tag.name, tag.date.day) for tag in found] == [("b", 3), ("a", 2), ("c", 1)]
    with pytest.raises(Denied, match="to nobody without a login that may see it"):
        list(provider(service.loopback.url).tags(f"{service.loopback.host}/{own}-nowhere"))


def test_a_private_package_is_read_with_a_token_and_not_without(service: Service) -> None:
    own = "example-org/climate-image"
    digest = service.push(own, service.run_token(own, packages="write"))
    service.ghcr.state.repository(own).visibility = "private"
    reference = ImageReference(f"{service.loopback.host}/{own}", "1")
    token = service.ghcr.state.create_token("ada", scopes=["read:packages"])
    auth = {"token": {"env": "TOKEN"}}
    assert provider(service.loopback.url).resolve([reference]) == {}
    assert provider(service.loopback.url, token, auth=auth).resolve([reference]) == {reference: digest}


def test_an_own_login_is_proved_before_it_leaves(service: Service) -> None:
    ref = SecretRef(source=Address("ghcr", "login", "example-org/climate-image"), field="password")
    state, url = service.ghcr.state, service.loopback.url
    good = state.create_token("ada", scopes=["write:packages"])
    assert provider(url, good, push=OWN_LOGIN).reveal(ref).expose() == good
    with pytest.raises(Denied, match="gives the login ada no access to example-org/climate-image"):
        provider(url, state.create_token("ada", scopes=["repo"]), push=OWN_LOGIN).reveal(ref)


def test_from_nothing_to_a_pushed_package_with_no_secret_anywhere(
    little: LittleFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_github(little.folder / "github") as github, Loopback(GhcrService(github.state)) as registry:
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
        auth = {"token": {"env": "GITHUB_TOKEN"}}
        source = {"repository": "example-org/climate-image", "template": "user-image"}
        document = {
            "version": 1,
            "name": "example",
            "code_hosts": {"github": {"type": "github", "base_url": github.url, "auth": auth}},
            "registries": {"ghcr": {"type": "ghcr", "owner": "example-org", "url": registry.url}},
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml"]}},
            "images": {"climate": {**source, "registry": "ghcr"}},
        }
        Path("fleet.yaml").write_text(yaml.safe_dump(document))
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
        assert "Notice: the package climate-image may be private" in capsys.readouterr().out
        assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
        capsys.readouterr()
        github.actions.wait(20)
        made = github.state.repository("example-org/climate-image")
        assert made.secrets == {}
        label = client(registry).labels("example-org/climate-image", "latest")[SOURCE]
        assert label == f"{github.url}/example-org/climate-image"
        tag = ImageReference(f"{registry.host}/example-org/climate-image", (made.head or "")[:12])
        assert [*provider(registry.url).resolve([tag])] == [tag]
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK
        assert "Notice" not in capsys.readouterr().out
