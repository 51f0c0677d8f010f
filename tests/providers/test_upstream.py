"""Images that somebody else builds, read as nobody in each registry's own way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.config import load
from fleet.model import Secret
from fleet.oci import OciClient, registry_url
from fleet.pace import Pace
from fleet.provider import Context, ImageReference
from fleet.resolution import resolve
from fleet.sandbox.http import Loopback
from fleet.sandbox.upstream import ECR_PUBLIC, GITLAB, Upstream
from fleet.services import Workshop
from tests.images import Image, push

NAMES = ("group/project/image", "docker/library/python")


@pytest.fixture(params=[ECR_PUBLIC, GITLAB], ids=lambda dialect: dialect.service)
def upstream(request: pytest.FixtureRequest) -> Iterator[tuple[Upstream, Loopback]]:
    service = Upstream(request.param)
    with Loopback(service) as loopback:
        service.registry.tokens = None
        for name in (*NAMES, "group/secret"):
            push(f"{loopback.url}/v2/{name}", Image(), "1")
        service.registry.tokens = service.tokens
        service.private.add("group/secret")
        yield service, loopback


def test_an_image_that_no_entry_serves_is_read_as_nobody(upstream: tuple[Upstream, Loopback], tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("version: 1\nname: ours\n")
    workshop = Workshop(load(tmp_path / "fleet.yaml").fleet, tmp_path, Pace())
    host = upstream[1].host
    seen = [ImageReference(f"{host}/{name}", "1") for name in NAMES]
    absent = [ImageReference(f"{host}/{name}", "2") for name in NAMES]
    hidden = ImageReference(f"{host}/group/secret", "1")
    found = resolve([*seen, *absent, hidden], workshop.registry_at, workshop.pace)
    assert found.digests == dict.fromkeys(seen, Image().digest)
    assert "does not show it to this login" in (found.trouble(hidden) or "")


def test_tags_and_labels_are_read_as_nobody(upstream: tuple[Upstream, Loopback]) -> None:
    context = Context("ours", Path(), lambda _: Secret(""), lambda: None)
    client = OciClient(upstream[1].url, context.http())
    assert list(client.tags(NAMES[0])) == ["1"]
    (tag,) = client.newest(NAMES[0], context.each)
    assert (tag.name, tag.digest) == ("1", Image().digest)
    assert client.labels(NAMES[0], "1") == {}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("index.docker.io", "https://registry-1.docker.io"),
        ("public.ecr.aws", "https://public.ecr.aws"),
        ("registry.gitlab.com", "https://registry.gitlab.com"),
        ("ghcr.io", "https://ghcr.io"),
    ],
)
def test_a_host_in_a_name_is_reached_where_it_answers(name: str, url: str) -> None:
    assert registry_url(name) == url
