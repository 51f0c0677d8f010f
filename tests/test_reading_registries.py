"""Registries where fleet makes nothing (`oci`, `dockerhub`, `ghcr`): what may go wrong when they are read, and when an
operator's own login is proved there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from fleet.errors import FleetError, ProviderError, TryAgain, Unsure
from fleet.oci import Denied, LoginRefused
from fleet.provider import ImageReference, Registry, SecretRef
from fleet.sandbox.http import Fault, Response
from fleet.testing import Subject
from fleet.testing.running import IMAGE, NEIGHBOUR, Rig, rig_of
from fleet.testing.subject import NAME
from tests.subjects.dockerhub import DockerHubSubject
from tests.subjects.ghcr import OwnLoginGhcrSubject
from tests.subjects.oci import OciSubject

SUBJECTS: dict[str, type[Subject]] = {"oci": OciSubject, "dockerhub": DockerHubSubject, "ghcr": OwnLoginGhcrSubject}
QUOTA = {"code": "DENIED", "message": "adding 1 of storage resource would exceed the quota."}


@pytest.fixture(params=SUBJECTS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_of(SUBJECTS[request.param]) as made:
        made.wants(NEIGHBOUR, IMAGE)
        yield made


def registry_of(rig: Rig) -> Registry:
    provider = rig.workshop()[NAME]
    assert isinstance(provider, Registry)
    return provider


def tag_of(rig: Rig) -> ImageReference:
    """A tag that is there."""
    name = rig.homes()[-1].name
    rig.subject.publish(name, "1")
    rig.server.records.clear()
    return ImageReference(name, "1")


def login_of(rig: Rig) -> SecretRef:
    login = rig.homes()[-1].login
    assert login is not None
    (ref,) = login.secrets.values()
    return ref


def reading(rig: Rig) -> Callable[[], object]:
    """Look a tag up, and what its image runs on."""
    tag = tag_of(rig)

    def read() -> object:
        digest = registry_of(rig).resolve([tag]).get(tag)
        return digest and registry_of(rig).platforms([tag._replace(digest=digest)])

    return read


def proving(rig: Rig) -> Callable[[], object]:
    ref = login_of(rig)
    return lambda: registry_of(rig).reveal(ref).expose()


def sentence(rig: Rig, attempt: Callable[[], object], *kinds: type[FleetError]) -> str:
    """The one sentence that an attempt is refused with, which holds no secret."""
    with pytest.raises(kinds or ProviderError) as refused:
        attempt()
    said = str(refused.value)
    assert "\n" not in said
    assert not any(value in said for value in rig.subject.environment.values())
    return said


def test_another_namespace_is_nothing_and_nobody_pushes_there(rig: Rig) -> None:
    tag, ref = tag_of(rig), login_of(rig)
    host, _, path = tag.name.partition("/")
    elsewhere = tag._replace(name=f"{host}/somebody/{path.partition('/')[2]}")
    assert registry_of(rig).resolve([elsewhere]) == {}
    rig.subject.disarm(IMAGE)
    other = SecretRef(source=ref.source._replace(name=elsewhere.name.partition("/")[2]), field=ref.field)
    said = sentence(rig, lambda: registry_of(rig).reveal(other), Denied)
    assert "ada" in said
    assert other.source.name in said


def test_a_dead_login_is_told_from_a_missing_right(rig: Rig) -> None:
    prove = proving(rig)
    rig.subject.expire()
    said = sentence(rig, prove, LoginRefused)
    assert "refuses the login ada: the user name or the password is wrong, or was revoked" in said


@pytest.mark.parametrize("doing", [reading, proving])
def test_a_denial_at_any_request_says_what_is_not_allowed(
    rig: Rig, doing: Callable[[Rig], Callable[[], object]]
) -> None:
    attempt = doing(rig)
    wanted = attempt()
    requests = [record for record in rig.server.records if record.method != "DELETE"]
    silent = 0
    for nth, record in enumerate(requests, 1):
        rig.server.faults = [Fault("status", nth=nth, response=Response(403))]
        try:
            found = attempt()
        except ProviderError as error:
            said = str(error)
            assert any(words in said for words in ("does not", "no access", "lets nobody in")), (record, said)
        else:
            silent += 1
            assert found in (wanted, None), record
        rig.server.faults = []
        assert attempt() == wanted
    assert silent <= (2 if doing is reading else 0), "a token for several at once, and a tag that is not shown"


def test_a_quota_is_told_in_the_registrys_own_words(rig: Rig) -> None:
    prove = proving(rig)
    answer = Response.of_json({"errors": [QUOTA]}, 403)
    rig.server.faults.append(Fault("status", path="/v2/.*/blobs/uploads/", response=answer))
    assert "(403, DENIED: adding 1 of storage resource would exceed the quota)" in sentence(rig, prove, Denied)


DIALECTS: dict[str, Callable[[], str]] = {
    "retry-after": lambda: "30",
    "x-retry-after": lambda: str(int(time.time()) + 30),
    "x-ratelimit-reset": lambda: str(int(time.time()) + 30),
}


@pytest.mark.parametrize("header", DIALECTS)
@pytest.mark.parametrize("doing", [reading, proving])
def test_throttling_is_waited_for_as_it_is_told(
    rig: Rig, doing: Callable[[Rig], Callable[[], object]], header: str
) -> None:
    attempt = doing(rig)
    answer = Response(429, b"", {header: DIALECTS[header]()})
    rig.server.faults.append(Fault("status", response=answer))
    with pytest.raises(TryAgain) as caught:
        attempt()
    assert caught.value.after is not None
    assert 25 < caught.value.after <= 30
    attempt()


@pytest.mark.parametrize(
    "fault",
    [Fault("drop"), Fault("drop", when="after"), Fault("status", response=Response(502)), Fault("truncate")],
    ids=lambda fault: f"{fault.kind} {fault.when}",
)
def test_a_proof_that_is_cut_off_hands_nothing_out_and_is_made_again(rig: Rig, fault: Fault) -> None:
    prove = proving(rig)
    rig.server.faults.append(replace(fault, method="POST", path="/v2/.*/blobs/uploads/", seen=0))
    sentence(rig, prove, TryAgain, Unsure)
    prove()


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"token": 1}', b'{"token": ""}', b"null"])
def test_a_token_that_is_none_is_no_login(rig: Rig, body: bytes) -> None:
    answer = Response(200, body, {"content-type": "application/json"})
    prove = proving(rig)
    rig.server.faults.append(Fault("status", path=".*(token|auth)", response=answer, times=None))
    assert "sends no token" in sentence(rig, prove)
