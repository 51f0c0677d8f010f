"""The example's whole way, stage by stage: from nothing to a server with the new image, on three real hubs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox import example
from fleet.sandbox.control import options_of
from fleet.sandbox.registry import Registry
from fleet.sandbox.serving import World, serve
from tests.examples import free_ports
from tests.github_judge import Judge
from tests.hubs import CACHE

SOURCE, IMAGE = "example-org/climate-image", "example/climate-image"
HUBS = ("climate-staging", "climate-prod", "seminar")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world of the example; every exchange with GitHub is judged by GitHub's published descriptions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEET_CACHE", str(CACHE))
    port = free_ports()
    Path("fleet.yaml").write_text(example.fleet_file(port))
    with serve(Path(".demo").absolute(), port) as world:
        judge = Judge(world.github.loopback.service)
        world.github.loopback.service = judge
        yield world
    assert judge.disagreements == []


@pytest.mark.timeout(400)
def test_the_example_goes_the_whole_way_stage_by_stage(world: World) -> None:
    from_nothing_to_a_server_with_the_image_on_every_hub(world)
    a_package_that_somebody_pushes_reaches_every_hub(world)
    a_tag_that_somebody_deletes_between_plan_and_apply_reaches_no_hub(world)
    no_secret_of_the_sandbox_is_in_what_fleet_wrote(world)


@pytest.mark.parametrize(
    ("name", "secrets"), [("ecr", set()), ("gar", set()), ("acr", {"ACR_PASSWORD"})], ids=["ecr", "gar", "acr"]
)
def test_the_example_in_another_registry_reaches_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, secrets: set[str]
) -> None:
    monkeypatch.setenv("FLEET_CACHE", str(CACHE))
    with serve(tmp_path, free_ports(), name) as world:
        assert world.registry is not None
        monkeypatch.chdir(tmp_path)
        for variable, value in world.registry.environment.items():
            monkeypatch.setenv(variable, value)
        assert main(["apply", "-auto-approve"]) == ExitCode.OK
        assert set(world.github.state.repository(SOURCE).secrets) == secrets
        host = world.registry.url.partition("://")[2]
        image = seen(world, "climate-prod")
        assert image.startswith(f"{host}/")
        assert image.endswith(f":{head(world)}")
        assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def head(world: World) -> str:
    """The tag of the source repository's newest commit."""
    found = world.github.state.repository(SOURCE).head
    assert found is not None
    return found[:12]


def seen(world: World, hub: str, choice: str | None = None) -> str:
    """The image that a kernel in a fresh server of a hub sees."""
    return world.hubs[hub].client.image_of("ada", options_of(choice))


def from_nothing_to_a_server_with_the_image_on_every_hub(world: World) -> None:
    host = world.quay.registry_host
    assert seen(world, "climate-prod") == f"{host}/climate/climate-image:9be04c1f77aa"
    assert main(["plan", "-out=plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    assert main(["apply", "plan"]) == ExitCode.OK
    tag = head(world)
    assert tag in world.quay.quay.tags(IMAGE)
    assert list(world.quay.state.robots) == ["example+climate-image"]
    assert world.github.state.repository(SOURCE).topics == ("fleet-example",)
    assert {hub: seen(world, hub) for hub in HUBS} == dict.fromkeys(HUBS, f"{host}/{IMAGE}:{tag}")
    assert seen(world, "climate-staging", "ml") == f"{host}/pangeo/ml-notebook:2026.04.29"
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def a_package_that_somebody_pushes_reaches_every_hub(world: World) -> None:
    credentials = f"credential.helper=store --file={Path('.demo/git-credentials').absolute()}"
    clone = ["git", "clone", "--quiet", "-c", credentials, f"{world.github.url}/{SOURCE}.git", "checkout"]
    subprocess.run(clone, check=True, capture_output=True)
    environment = Path("checkout/environment.yml")
    environment.write_text(f"{environment.read_text().rstrip()}\n  - xarray\n")
    git = ["git", "-C", "checkout", "-c", "user.name=Grace", "-c", "user.email=grace@example.org"]
    subprocess.run([*git, "commit", "--quiet", "--all", "--message=Add xarray"], check=True)
    subprocess.run([*git, "push", "--quiet"], check=True, capture_output=True)
    world.github.actions.wait(20)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    expected = f"{world.quay.registry_host}/{IMAGE}:{head(world)}"
    assert {hub: seen(world, hub) for hub in HUBS} == dict.fromkeys(HUBS, expected)
    assert main(["plan", "-detailed-exitcode"]) == ExitCode.OK


def a_tag_that_somebody_deletes_between_plan_and_apply_reaches_no_hub(world: World) -> None:
    world.github.commit(SOURCE, {"apt.txt": "gdal-bin\n"}, "Add gdal")
    world.github.actions.wait(20)
    before = {hub: seen(world, hub) for hub in HUBS}
    assert main(["plan", "-out=plan", "-detailed-exitcode"]) == ExitCode.CHANGES
    registry = world.quay.quay.registry
    assert isinstance(registry, Registry)
    del registry.repositories[IMAGE]["tags"][head(world)]
    assert main(["apply", "plan"]) == ExitCode.STALE
    assert {hub: seen(world, hub) for hub in HUBS} == before


def no_secret_of_the_sandbox_is_in_what_fleet_wrote(world: World) -> None:
    secrets = {robot["token"] for robot in world.quay.state.robots.values()}
    secrets |= {hub.token for hub in world.hubs.values()} | set(world.github.state.tokens) | {world.quay.token}
    written = [path for path in Path(".demo/state").rglob("*") if path.is_file()] + [Path("plan")]
    assert json.loads(Path(".demo/state/state.json").read_text())
    for path in written:
        assert not [secret for secret in secrets if secret.encode() in path.read_bytes()], path
