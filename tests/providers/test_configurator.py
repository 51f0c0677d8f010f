"""A hub's configurator is read, merged with, written and read back; every refusal is a sentence and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import Conflict, ProviderError, TryAgain, Unsure
from fleet.model import Address, Change, Secret, SecretRef, Spec
from fleet.provider import Context
from fleet.reference import ImageReference
from fleet.sandbox.http import Fault, Loopback, Request, Response
from fleet.sandbox.hub.configurator import FIELDS, PREFIX, Configurator
from fleet.site import SiteReference
from fleet_configurator import Configurator as Target
from fleet_configurator import ConfiguratorSettings

ACCESS = ["access:services!service=configurator"]
WHO = {
    "admin-token": {"admin": True, "scopes": ACCESS},
    "user-token": {"admin": False, "scopes": ACCESS},
    "other-token": {"admin": True, "scopes": ["read:users"]},
}
AT = Address("configurator/old-hub", "image", "default")
DIGEST = f"sha256:{'0' * 64}"
WANTED = ImageReference("quay.io/example/climate-image", "2")


@dataclass(frozen=True)
class Served:
    """A configurator on loopback."""

    service: Configurator
    loopback: Loopback

    @property
    def settings(self) -> Any:
        """What it holds."""
        return json.loads(self.service.data.read_text()) if self.service.data.exists() else {}

    def hold(self, document: Any) -> None:
        """Somebody has written this."""
        self.service.data.write_text(json.dumps(document))

    def target(self, token: str = "admin-token") -> Target:
        """The provider that serves it."""
        settings = {"type": "configurator", "url": f"{self.loopback.url}{PREFIX}", "auth": {"token": {"env": "TOKEN"}}}
        context = Context("ours", Path(), lambda _: Secret(token), lambda: None)
        return Target("configurator/old-hub", ConfiguratorSettings.model_validate(settings), context)

    def set(self, reference: ImageReference = WANTED, token: str = "admin-token") -> None:
        """Bring an image about, from whatever state the service is in."""
        self.target(token).apply([Change(AT, None, SiteReference.of(reference))], no_reveal)

    @property
    def read(self) -> Spec | None:
        """What the provider sees."""
        return self.target().read([AT]).get(AT)


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    service = Configurator(tmp_path / "data.json", WHO.get)
    with Loopback(service) as loopback:
        yield Served(service, loopback)


def test_the_image_is_set_and_everything_else_stays(served: Served) -> None:
    served.hold({"z2jh.default_interface": "/rstudio", "z2jh.image": "example/old:1"})
    served.set()
    assert served.settings == {"z2jh.default_interface": "/rstudio", "z2jh.image": "quay.io/example/climate-image:2"}
    assert served.read == SiteReference.of(WANTED)


def test_what_stands_already_is_not_written_again(served: Served) -> None:
    served.hold({"z2jh.image": "library/image:1"})
    served.set(ImageReference("docker.io/library/image", "1"))
    assert served.settings == {"z2jh.image": "library/image:1"}
    assert served.loopback.count("POST") == 0


@pytest.mark.parametrize(
    ("document", "seen"),
    [
        ({}, None),
        ({"z2jh.image": ""}, None),
        ({"z2jh.image": " image:1\n"}, SiteReference(image="docker.io/library/image", tag="1")),
        ({"z2jh.image": "Not An Image"}, SiteReference(image="Not An Image", tag="")),
        ({"z2jh.image": "image"}, SiteReference(image="image", tag="")),
        ({"z2jh.image": f"image:1@{DIGEST}"}, SiteReference(image=f"image:1@{DIGEST}", tag="")),
        ({"z2jh.image": ["image:1"]}, SiteReference(image="['image:1']", tag="")),
    ],
)
def test_whatever_was_typed_can_be_read_and_replaced(served: Served, document: Any, seen: Spec | None) -> None:
    served.hold(document)
    assert served.read == seen
    served.set()
    assert served.settings == {"z2jh.image": "quay.io/example/climate-image:2"}


def test_one_slot_is_set_here(served: Served) -> None:
    assert served.target().slots() == {"default": AT}


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("user-token", r"does not let the token in the environment variable TOKEN see its schema \(403\): it takes an"),
        ("other-token", r"an admin's token .* that may access the configurator"),
        ("revoked", "does not know the token in the environment variable TOKEN: it asks for a login instead"),
    ],
)
def test_a_token_without_rights_is_a_sentence(served: Served, token: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message) as refused:
        served.set(token=token)
    assert token not in str(refused.value)
    assert served.settings == {}


def test_a_token_whose_right_to_write_is_taken_meanwhile_is_a_sentence(served: Served) -> None:
    served.loopback.faults.append(Fault("status", "POST", response=Response(403)))
    with pytest.raises(ProviderError, match=r"does not let the token .* change its settings \(403\)"):
        served.set()


def test_a_key_that_the_schema_lacks_is_neither_written_nor_left_unsaid(served: Served) -> None:
    served.service.fields = {"z2jh.default_interface": FIELDS["z2jh.default_interface"]}
    with pytest.raises(ProviderError, match=r"offers no setting for the image .* has z2jh\.default_interface"):
        served.set()
    served.service.fields = FIELDS
    served.hold({"typo": 1})
    with pytest.raises(ProviderError, match="holds typo, which its schema lacks: no server of the hub can start"):
        served.set()
    assert served.settings == {"typo": 1}


def test_the_setting_is_the_one_whose_trait_is_the_image(served: Served) -> None:
    served.service.fields = {"KubeSpawner.image": {"type": "string"}, "z2jh.image": {"traitlet": "Other.image"}}
    served.set()
    assert served.settings == {"KubeSpawner.image": "quay.io/example/climate-image:2"}


LOGIN_PAGE = Response(200, b"<html>Sign in</html>", {"content-type": "text/html"})
LOGIN = Response(302, b"", {"location": "/hub/login?next=%2Fservices%2Fconfigurator"})


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("config", LOGIN, "is behind a login"),
        ("config", LOGIN_PAGE, "is behind a login"),
        ("schema", LOGIN, "does not know the token"),
        ("config", Response(404), r"there is no configurator at http\S+configurator \(404\)"),
        ("config", Response(418), r"answers 418 to GET /services/configurator/config"),
        ("config", Response(200, b"[]"), "settings that are no object"),
        ("schema", Response(200, b"{}"), "sends no schema"),
        ("schema", Response(200, b"null"), "a schema that are no object"),
    ],
)
def test_what_is_no_configurator_is_a_sentence_and_nothing_is_written(
    served: Served, path: str, answer: Response, message: str
) -> None:
    served.loopback.faults.append(Fault("status", "GET", f".*/{path}", times=None, response=answer))
    with pytest.raises(ProviderError, match=message):
        assert served.read is None
    with pytest.raises(ProviderError, match=message):
        served.set()
    assert served.loopback.count("POST") == 0


@pytest.mark.parametrize("kind", ["drop", "truncate", "garbage", "status"])
@pytest.mark.parametrize("nth", [1, 2])
def test_trouble_while_reading_passes(served: Served, kind: Any, nth: int) -> None:
    served.loopback.faults.append(Fault(kind, nth=nth))
    with pytest.raises(TryAgain):
        served.set()
    served.set()
    assert served.settings == {"z2jh.image": "quay.io/example/climate-image:2"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_the_write_is_looked_up_by_the_core(served: Served, when: Any) -> None:
    served.loopback.faults.append(Fault("drop", "POST", when=when))
    with pytest.raises(Unsure):
        served.set()
    assert (served.read is None) == (when == "before")
    served.set()
    assert served.loopback.count("POST") == (2 if when == "before" else 1)


class Overwritten:
    """A configurator to which somebody else writes right after us."""

    def __init__(self, service: Configurator, document: Any) -> None:
        self.service = service
        self.document = document

    def handle(self, request: Request) -> Response:
        answer = self.service.handle(request)
        if request.method == "POST":
            self.service.data.write_text(json.dumps(self.document))
        return answer


def test_what_somebody_writes_right_after_is_found_by_reading_back(served: Served) -> None:
    served.loopback.service = Overwritten(served.service, {"z2jh.image": "example/theirs:1"})
    with pytest.raises(
        Conflict, match=r"says example/theirs:1 right after quay\.io/example/climate-image:2 was written"
    ):
        served.set()
    ours = {"z2jh.image": "quay.io/example/climate-image:2", "z2jh.default_interface": "/lab"}
    served.loopback.service = Overwritten(served.service, ours)
    served.set()
    assert served.settings == ours


def test_a_hub_that_does_not_answer_is_tried_again(served: Served) -> None:
    target = served.target()
    served.loopback.close()
    with pytest.raises(TryAgain, match="refuses the connection"):
        target.read([AT])
