from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fleet.each import one_by_one
from fleet.errors import ProviderError, TryAgain
from fleet.http import Http
from fleet.model import Secret
from fleet.oci import Credentials, Denied, LoginRefused, OciClient, registry_url
from fleet.oci_auth import access_claim, parse_challenge
from fleet.reference import ImageReference
from fleet.sandbox.http import Fault, Loopback, Request, Response
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
from tests.images import INDEX, Image, push, push_index
from tests.tls import server_context

ADA = Credentials("ada", Secret("s3cret-ada"))


@dataclass
class Tokened:
    """A registry with its token service; `shown` may change an answer on its way."""

    rights: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    lifetime: int = 300

    def __post_init__(self) -> None:
        self.tokens = TokenService(self._authenticate, lifetime=self.lifetime)
        self.registry = Registry(self.tokens, page=3)

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if username and (username, password) != (ADA.username, ADA.password.expose()):
            return None
        return lambda name: self.rights.get(username, {}).get(name, frozenset())

    def handle(self, request: Request) -> Response:
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)


class Changing:
    """A registry without login whose answers are changed on their way."""

    def __init__(self) -> None:
        self.registry = Registry(page=3)
        self.headers: dict[str, str | None] = {}
        self.body: bytes | None = None
        self.path = "nothing"

    def handle(self, request: Request) -> Response:
        answer = self.registry.handle(request)
        if self.path not in request.path:
            return answer
        headers = {**answer.headers, **self.headers}
        kept = {name: value for name, value in headers.items() if value is not None}
        return replace(answer, headers=kept, body=answer.body if self.body is None else self.body)


@pytest.fixture
def tokened() -> Tokened:
    return Tokened({"ada": {"a/own": frozenset({"pull", "push"})}, "": {"a/public": frozenset({"pull"})}})


@pytest.fixture
def guarded(tokened: Tokened) -> Iterator[Loopback]:
    with Loopback(tokened) as loopback:
        tokened.registry.tokens = None
        for name in ("own", "public", "neighbour"):
            push(f"{loopback.url}/v2/a/{name}", Image(), "1")
        tokened.registry.tokens = tokened.tokens
        loopback.records.clear()
        yield loopback


@pytest.fixture
def changing() -> Changing:
    return Changing()


@pytest.fixture
def open_registry(changing: Changing) -> Iterator[Loopback]:
    with Loopback(changing) as loopback:
        yield loopback


def client(loopback: Loopback, credentials: Credentials | None = None) -> OciClient:
    return OciClient(loopback.host, Http(lambda: None), credentials)


def test_the_digest_of_a_tag_is_that_of_its_manifest(open_registry: Loopback) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    assert client(open_registry).digest("a/b", "1") == Image().digest
    assert client(open_registry).digest("a/b", "2") is None
    assert client(open_registry).digest("a/nothing", "1") is None


def test_a_registry_that_tells_no_digest_is_asked_for_the_manifest(open_registry: Loopback, changing: Changing) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.headers = "/manifests/", {"docker-content-digest": None}
    assert client(open_registry).digest("a/b", "1") == Image().digest


def test_tags_come_page_by_page_as_they_are_needed(open_registry: Loopback) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), *"abcdefgh")
    tags = client(open_registry).tags("a/b")
    assert next(tags) == "a"
    assert open_registry.count(path=".*/tags/list") == 1
    assert "".join(tags) == "bcdefgh"
    assert open_registry.count(path=".*/tags/list") == 3


def test_a_next_page_on_another_host_is_refused(open_registry: Loopback, changing: Changing) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.headers = "/tags/list", {"link": '<http://elsewhere.example/x>; rel="next"'}
    with pytest.raises(ProviderError, match=r"another host: elsewhere\.example"):
        list(client(open_registry).tags("a/b"))


def test_labels_and_platform_come_from_the_configuration(open_registry: Loopback) -> None:
    push(f"{open_registry.url}/v2/a/b", Image({"repo2docker.ref": "main"}, "arm64"), "1")
    assert client(open_registry).labels("a/b", "1") == {"repo2docker.ref": "main"}
    assert client(open_registry).platforms("a/b", "1") == ("linux/arm64",)


def test_an_index_shows_its_platforms_and_the_labels_of_linux_amd64(open_registry: Loopback) -> None:
    images = {"linux/arm64": Image({"on": "arm"}, "arm64"), "linux/amd64": Image({"on": "amd"})}
    images["unknown/unknown"] = Image({"on": "attestation"})
    digest = push_index(f"{open_registry.url}/v2/a/b", images, "1")
    found = client(open_registry)
    assert found.digest("a/b", "1") == digest
    assert found.platforms("a/b", "1") == ("linux/arm64", "linux/amd64")
    assert found.labels("a/b", "1") == {"on": "amd"}


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_content_with_another_digest_is_an_error(open_registry: Loopback, changing: Changing, path: str) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.body = path, b'{"config": {"Labels": {}}}'
    with pytest.raises(ProviderError, match=r"content for a/b@sha256:\w+ that has another digest"):
        client(open_registry).labels("a/b", "1")


def test_a_digest_that_is_none_is_an_error(open_registry: Loopback, changing: Changing) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.headers = "/manifests/", {"docker-content-digest": "sha256:short"}
    with pytest.raises(ProviderError, match="sends a digest for a/b:1 that is none"):
        client(open_registry).digest("a/b", "1")


@pytest.mark.parametrize("body", [b'{"tags": 1}', b'{"tags": "1"}', b'{"tags": {"1": 1}}'])
def test_what_is_no_list_of_tags_is_not_taken_for_one(open_registry: Loopback, changing: Changing, body: bytes) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.body = "/tags/list", body
    with pytest.raises(ProviderError, match="is no list of the tags of a/b"):
        list(client(open_registry).tags("a/b"))


ODD = [1, "x", [1], [{"platform": "linux", "digest": "sha256:0"}]]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_index_of_another_shape_names_no_platform(open_registry: Loopback, changing: Changing, odd: object) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    changing.path, changing.headers = "/manifests/", {"docker-content-digest": None}
    changing.body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": odd}).encode()
    assert client(open_registry).platforms("a/b", "1") == ()
    with pytest.raises(ProviderError, match="is an index of no image"):
        client(open_registry).labels("a/b", "1")


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_labels_of_another_shape_are_none(open_registry: Loopback, odd: object) -> None:
    class Odd(Image):
        @property
        def config(self) -> bytes:
            return json.dumps({"config": {"Labels": odd}}).encode()

    push(f"{open_registry.url}/v2/a/b", Odd(), "1")
    assert client(open_registry).labels("a/b", "1") == {}


def test_a_host_that_is_no_registry_is_named(open_registry: Loopback, changing: Changing) -> None:
    changing.path = "/v2/"
    open_registry.faults.append(Fault("status", path="/v2/", response=Response(404)))
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:\d+ is no OCI registry: it answers 404"):
        client(open_registry).digest("a/b", "1")


def test_a_token_is_fetched_once_and_used_again(guarded: Loopback) -> None:
    found = client(guarded, ADA)
    assert [found.digest("a/own", tag) for tag in ("1", "1", "2")] == [Image().digest, Image().digest, None]
    assert guarded.count(path=TOKEN_PATH) == 1


def test_many_repositories_share_a_token(guarded: Loopback, tokened: Tokened) -> None:
    tokened.rights["ada"] = {f"a/{name}": frozenset({"pull"}) for name in ("own", "public", "neighbour")}
    references = [ImageReference(f"{guarded.host}/{name}", "1") for name in tokened.rights["ada"]]
    found = client(guarded, ADA).digests(references, one_by_one)
    assert found == dict.fromkeys(references, Image().digest)
    assert guarded.count(path=TOKEN_PATH) == 1


def test_what_is_missing_or_hidden_has_no_digest(guarded: Loopback) -> None:
    own, hidden, missing = (ImageReference(f"{guarded.host}/a/{name}", "1") for name in ("own", "neighbour", "none"))
    untagged = own._replace(tag="2")
    found = client(guarded, ADA).digests([own, hidden, missing, untagged], one_by_one)
    assert found == {own: Image().digest}


def test_one_repository_that_spoils_a_shared_token_spoils_no_other(guarded: Loopback) -> None:
    guarded.faults.append(Fault("status", path=TOKEN_PATH, response=Response(403)))
    own = ImageReference(f"{guarded.host}/a/own", "1")
    assert client(guarded, ADA).digests([own], one_by_one) == {own: Image().digest}


def test_an_expired_token_is_renewed(guarded: Loopback, tokened: Tokened) -> None:
    tokened.tokens.lifetime = -1
    found = client(guarded, ADA)
    with pytest.raises(Denied):
        found.digest("a/own", "1")
    tokened.tokens.lifetime = 300
    assert found.digest("a/own", "1") == Image().digest


def test_nobody_sees_what_is_public_and_nothing_else(guarded: Loopback) -> None:
    assert client(guarded).digest("a/public", "1") == Image().digest
    with pytest.raises(Denied, match=r"does not show a/own to nobody without a login .* it is private"):
        client(guarded).digest("a/own", "1")


def test_a_wrong_password_is_told_apart_from_a_missing_right(guarded: Loopback) -> None:
    wrong = client(guarded, Credentials("ada", Secret("canary-7731")))
    with pytest.raises(LoginRefused, match="refuses the login ada: the user name or the password is wrong") as refused:
        wrong.digest("a/own", "1")
    assert "canary" not in repr(refused.value)
    with pytest.raises(Denied, match="does not show a/neighbour to the login ada"):
        client(guarded, ADA).digest("a/neighbour", "1")


def test_push_is_proved_and_leaves_nothing_behind(guarded: Loopback, tokened: Tokened) -> None:
    client(guarded).prove_push("a/own", ADA)
    assert guarded.count("POST") == guarded.count("DELETE") == 1
    assert tokened.registry.uploads == 0
    with pytest.raises(Denied, match="does not let ada push to a/neighbour"):
        client(guarded).prove_push("a/neighbour", ADA)


def test_what_is_granted_is_read_without_touching_the_repository(guarded: Loopback) -> None:
    found = client(guarded)
    assert found.granted("a/own", ADA) == frozenset({"pull", "push"})
    assert found.granted("a/neighbour", ADA) == frozenset()
    assert guarded.count(path=".*(own|neighbour).*") == 0


def test_a_basic_login_is_sent_and_cannot_tell_what_it_grants(open_registry: Loopback, changing: Changing) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    challenge = Response(401, headers={"www-authenticate": 'Basic realm="here"'})
    open_registry.faults.append(Fault("status", path="/v2/", times=None, response=challenge))
    found = client(open_registry, ADA)
    assert found.digest("a/b", "1") == Image().digest
    assert found.granted("a/b", ADA) is None
    open_registry.faults.append(Fault("status", path=".*/manifests/.*", response=challenge))
    with pytest.raises(LoginRefused):
        found.digest("a/b", "1")


def test_a_password_never_goes_to_a_token_service_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    challenge = {"www-authenticate": 'Bearer realm="http://tokens.example/auth",service="x"'}
    with Loopback(Registry(), tls=context) as loopback:
        loopback.faults.append(Fault("status", response=Response(401, headers=challenge)))
        found = OciClient(loopback.url, Http(lambda: None), ADA)
        with pytest.raises(ProviderError, match=r"a token service without https \(tokens\.example\)"):
            found.digest("a/b", "1")


def test_garbage_is_a_passing_trouble(open_registry: Loopback) -> None:
    push(f"{open_registry.url}/v2/a/b", Image(), "1")
    open_registry.faults.append(Fault("garbage", path=".*/tags/list"))
    with pytest.raises(TryAgain, match="not JSON in answer to GET /v2/a/b/tags/list"):
        list(client(open_registry).tags("a/b"))
    assert list(client(open_registry).tags("a/b")) == ["1"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("https://index.docker.io/v1/", "https://registry-1.docker.io"),
        ("quay.io", "https://quay.io"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://127.0.0.1:5000", "https://127.0.0.1:5000"),
        ("http://registry.internal:5000", "http://registry.internal:5000"),
    ],
)
def test_plain_http_is_for_loopback_and_on_demand(host: str, url: str) -> None:
    assert registry_url(host) == url


@pytest.mark.parametrize(
    ("header", "scheme", "realm", "service"),
    [
        ('Bearer realm="https://a/t",service="a b",scope="repository:x:pull,push"', "bearer", "https://a/t", "a b"),
        ('Basic realm="x, Bearer y"', "basic", "x, Bearer y", ""),
        ('Basic realm="x", Bearer realm="https://a/t"', "bearer", "https://a/t", ""),
        ('Bearer error="",realm="https://a/\\"t",service=s', "bearer", 'https://a/"t', "s"),
        ("bearer realm=https://a/t, service=s", "bearer", "https://a/t", "s"),
    ],
)
def test_challenges_are_read_as_they_are_written(header: str, scheme: str, realm: str, service: str) -> None:
    found = parse_challenge(header)
    assert found is not None
    assert (found.scheme, found.realm, found.service) == (scheme, realm, service)
    assert parse_challenge("Negotiate") is None


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", f"a.{base64.b64encode(b'[]').decode()}.c"])
def test_a_token_that_says_nothing_grants_nothing_that_we_know_of(token: str) -> None:
    assert access_claim(token, "a/b") is None
