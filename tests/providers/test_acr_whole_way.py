"""From a template to a tag in an Azure registry: one password, stored once, and kept nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.acr import Acr
from fleet.sandbox.azure import AzureState, Client
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.http import Fault, Loopback, Response
from tests.little_fleet import LittleFleet
from tests.rotations import Rotating
from tests.subjects.acr import AUTHORITY, server_context

SOURCE = "example-org/climate-image"
TOKEN = "fleet-climate-image"


@dataclass
class WholeFleet:
    """One image that is built from fleet's own template and pushed to Azure."""

    github: Sandbox
    acr: Acr
    builds: Loopback
    """The registry as builds see it."""
    document: dict[str, Any]

    def save(self) -> None:
        """Write fleet.yaml from the document."""
        Path("fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))

    @property
    def stored(self) -> str:
        """The value of the secret that the build logs in with."""
        return self.github.state.repository(SOURCE).secrets["ACR_PASSWORD"].value

    @property
    def passwords(self) -> set[str]:
        """The passwords that work."""
        return {held["value"] for held in self.acr.state.tokens[TOKEN]["passwords"].values()}

    def built(self) -> bool:
        """Whether the newest commit's image lies in the registry."""
        self.github.actions.wait(20)
        head = self.github.state.repository(SOURCE).head or ""
        return head[:12] in self.acr.registry.repositories.get("climate-image", {"tags": {}})["tags"]


@pytest.fixture
def whole(little: LittleFleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[WholeFleet]:
    state = AzureState()
    state.clients["the-application"] = Client("s3cret")
    acr = Acr(state)
    monkeypatch.setenv("SSL_CERT_FILE", AUTHORITY)
    monkeypatch.setenv("AZURE_SECRET", "s3cret")
    with (
        Loopback(acr, tls=server_context()) as azure,
        Loopback(acr) as plain,  # for the builds, which know nothing of this machine's authority
        serve_github(little.folder / "github", registries={azure.host: plain.url}) as github,
    ):
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
        login = {"tenant": state.tenant, "client_id": "the-application", "authority": azure.url}
        registry = {
            "type": "acr",
            "registry": "example",
            "url": azure.url,
            "manager": azure.url,
            "subscription": state.subscription,
            "resource_group": state.group,
            "auth": {**login, "client_secret": {"env": "AZURE_SECRET"}},
        }
        auth = {"token": {"env": "GITHUB_TOKEN"}}
        document: dict[str, Any] = {
            "version": 1,
            "name": "example",
            "code_hosts": {"github": {"type": "github", "base_url": github.url, "auth": auth}},
            "registries": {"azure": registry},
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml"]}},
            "images": {"climate": {"repository": SOURCE, "template": "user-image", "registry": "azure"}},
        }
        made = WholeFleet(github, acr, plain, document)
        made.save()
        yield made


def test_an_image_is_made_and_its_build_pushes_with_the_password_that_was_stored(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.passwords == {whole.stored}
    assert whole.built()
    written = [path.read_bytes() for path in Path(".fleet").rglob("*") if path.is_file()]
    assert written
    assert not any(whole.stored.encode() in data for data in written)
    assert whole.stored not in "".join(capsys.readouterr())
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK, capsys.readouterr().out


def test_what_is_true_of_the_whole_registry_is_said_once(whole: WholeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    whole.document["images"] = {name: {"registry": "azure"} for name in ("one", "two")}
    whole.save()
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    assert capsys.readouterr().out.count("shows images to logins only") == 1


def test_a_password_that_could_not_be_stored_does_not_outlive_the_next_run(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.github.loopback.faults.append(Fault("status", "PUT", ".*/secrets/.*", response=Response(400, b"{}")))
    assert main(["apply", "-auto-approve"]) == ExitCode.PARTIAL
    (lost,) = whole.passwords
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.passwords == {whole.stored}
    assert whole.stored != lost
    assert whole.built()


def test_a_secret_that_was_changed_by_hand_gets_the_other_slot_and_the_old_password_dies(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    old = whole.stored
    del whole.github.state.repository(SOURCE).secrets["ACR_PASSWORD"]
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.stored != old
    assert whole.passwords == {whole.stored}
    assert [*whole.acr.state.tokens[TOKEN]["passwords"]] == ["password2"]


def test_an_image_that_leaves_takes_its_token_and_its_secret_with_it(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.built()
    del whole.document["images"]["climate"]
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.acr.state.tokens == {}
    assert whole.acr.state.scope_maps == {}
    assert "climate-image" in whole.acr.registry.repositories


def test_a_password_is_replaced_while_a_build_pushes(whole: WholeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def stored() -> str:
        return whole.stored

    rotating = Rotating(whole.github, whole.builds, shows=stored, live=lambda: whole.passwords, stored=stored)
    rotating.goes_well_during_a_build(monkeypatch)
