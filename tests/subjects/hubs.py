"""The two hub targets as the contract suite must be told of them: each image of a case is the default one of a hub."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from fleet import plugins
from fleet.images import Homes
from fleet.model import Action, Address, Resource
from fleet.provider import Provider
from fleet.sandbox.http import Loopback, Request, Response
from fleet.sandbox.hub.configurator import Configurator
from fleet.sandbox.registry import Registry
from fleet.services import Workshop
from fleet.site import PROVIDER, SiteAddress, SiteReference
from fleet.sites import Values
from fleet.testing import FLEET, NAME, NONSENSE, Subject
from tests.images import Image, push
from tests.subjects.common import (
    NO_CODE_HOST,
    NO_REGISTRY,
    OF_CODE_HOSTS,
    OF_FORGETTING,
    OF_ISSUERS,
    OF_OWNED_THINGS,
    OF_REGISTRIES,
    Row,
)
from tests.subjects.github import GitHubSubject

BEFORE, AFTER, BY_HAND = "2026.01.30", "2026.04.29", "2025.12.24"
"""The tags that a hub has at first, that fleet.yaml wants, and that somebody sets behind fleet's back."""

HUBS = ("neighbour", "image", *(f"image-{number}" for number in range(13)))
"""The names that the suite gives to images, and so to hubs."""

_OF_THINGS = {
    "occupy": "a hub's image is nobody's",
    "forgetting": "a hub that leaves fleet.yaml keeps its image",
}


class _Hubs:
    """A registry with the image that all hubs have, and the fleet.yaml of such hubs."""

    def __init__(self) -> None:
        self.registry = Loopback(Registry())
        self.image = f"{self.registry.host}/team/base"
        push(f"{self.registry.url}/v2/team/base", Image(), BEFORE, AFTER, BY_HAND)

    def document(self, hubs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Each hub by its name, with where its image is set."""
        common = {"url": "https://hub.example.org", "slots": {"default": {"image": "base", "track": AFTER}}}
        return {
            "version": 1,
            "name": FLEET,
            "images": {"base": {"upstream": self.image}},
            "hubs": {name: {**common, **set_by} for name, set_by in hubs.items()},
        }


class ConfiguratorSubject(Subject):
    """The configurators of many hubs, each below its hub's name."""

    type = "configurator"
    environment: ClassVar[Mapping[str, str]] = {"HUB_TOKEN": "canary-hub-token"}
    without: ClassVar[Mapping[str, str]] = _OF_THINGS
    reads_per_image = 2
    nonsense = tuple(body for body in NONSENSE if body != b"{}")  # a hub where nothing is set yet

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hubs = _Hubs()
        self.known: dict[str, Any] = {}
        self.renew()
        self.services = {name: Configurator(folder / f"{name}.json", self.known.get) for name in HUBS}
        self.wanted: Sequence[str] = ()
        self.service = self

    def close(self) -> None:
        self.hubs.registry.close()

    def handle(self, request: Request) -> Response:
        hub, _, rest = request.path.lstrip("/").partition("/")
        return self.services[hub].handle(replace(request, path=f"/{rest}", raw_path=f"/{rest}"))

    @classmethod
    def provider(cls) -> builtins.type[Provider]:
        found = plugins.load_hub_target(cls.type)
        assert found is not None
        return found

    def open(self, workshop: Workshop) -> Provider:
        return workshop.target(self.wanted[0])

    def resources(self, homes: Homes) -> list[Resource]:
        wanted = SiteReference(image=self.hubs.image, tag=AFTER)
        return [Resource(Address(f"configurator/{hub}", "image", "default"), wanted) for hub in self.wanted]

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"auth": {"token": {"env": "HUB_TOKEN"}}}

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        self.wanted = images
        entries = {hub: {**self.entry(url), "url": f"{url}/{hub}/services/configurator"} for hub in images}
        return self.hubs.document({hub: {"configurator": entry} for hub, entry in entries.items()})

    def snapshot(self) -> object:
        files = sorted(self.folder.glob("*.json"))
        return str([(file.stem, json.loads(file.read_text())) for file in files if file.stem in HUBS]).replace(
            self.hubs.registry.host, "registry"
        )

    def drift(self, image: str) -> None:
        changed = {"z2jh.image": f"{self.hubs.image}:{BY_HAND}", "z2jh.default_interface": "/tree"}
        self.services[image].data.write_text(json.dumps(changed))

    def expire(self) -> None:
        self.known.clear()

    def renew(self) -> None:
        self.known["canary-hub-token"] = {"admin": True, "scopes": ["access:services"]}

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        return {"admin": lambda: self.known["canary-hub-token"].update(admin=False)}


class ValuesSubject(GitHubSubject):
    """Values files of many hubs in one repository on GitHub."""

    without: ClassVar[Mapping[str, str]] = {
        **_OF_THINGS,
        "any state": "a site that says neither what was found nor what is wanted is left alone",
    }
    environment: ClassVar[Mapping[str, str]] = {}
    makes = Action.UPDATE
    reads_per_image = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hubs = _Hubs()
        self.wanted: Sequence[str] = ()
        self.commit({f"{hub}.yaml": self._file(BEFORE) for hub in HUBS})

    def _file(self, tag: str) -> bytes:
        image = f"image: {{name: {self.hubs.image}, tag: {tag}}}"
        return f"jupyterhub:\n  singleuser:\n    # kept\n    {image}\n".encode()

    def close(self) -> None:
        super().close()
        self.hubs.registry.close()

    @classmethod
    def provider(cls) -> builtins.type[Provider]:
        return Values

    def open(self, workshop: Workshop) -> Provider:
        return workshop[PROVIDER]

    def resources(self, homes: Homes) -> list[Resource]:
        wanted = SiteReference(image=self.hubs.image, tag=AFTER)
        path = "jupyterhub.singleuser.image.tag"
        sites = [SiteAddress(self.repository, "main", f"{hub}.yaml", path) for hub in self.wanted]
        return [Resource(site.address, wanted) for site in sites]

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        self.wanted = images
        values = {hub: {"repository": self.repository, "files": [f"{hub}.yaml"]} for hub in images}
        hosts = {"code_hosts": {NAME: {"type": "github", **self.entry(url)}}}
        return {**self.hubs.document({hub: {"values": entry} for hub, entry in values.items()}), **hosts}

    def snapshot(self) -> object:
        files = self.history()[-1]
        return {name: data.replace(self.hubs.registry.host.encode(), b"registry") for name, data in files.items()}

    def drift(self, image: str) -> None:
        self.commit({f"{image}.yaml": self._file(BY_HAND)})

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        kept = {**self.known.rights, "contents": "read"}
        return {"contents": lambda: self.state.tokens.update({self.token: replace(self.known, rights=kept)})}


_WITHOUT = {
    NO_REGISTRY: sorted([*OF_REGISTRIES, *OF_ISSUERS]),
    NO_CODE_HOST: OF_CODE_HOSTS,
    _OF_THINGS["occupy"]: OF_OWNED_THINGS,
    _OF_THINGS["forgetting"]: OF_FORGETTING,
}

ROWS: Mapping[str, Row] = {
    "configurator": Row(ConfiguratorSubject, _WITHOUT),
    "values": Row(
        ValuesSubject,
        {
            **_WITHOUT,
            "a site that says neither what was found nor what is wanted is left alone": ["apply works from any state"],
        },
    ),
}
