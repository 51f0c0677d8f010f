from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fleet.http import Http
from fleet.model import Secret
from fleet.oci import Credentials, Denied, OciClient
from fleet.sandbox.debian_registry import DebianRegistry
from fleet.sandbox.http import Loopback, Request, Response, Service
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
from tests.debian import programs
from tests.images import MANIFEST, Image, digest_of, push

BUILDER = Credentials("builder", Secret("pw"))


class Front:
    """A token service and a registry behind one address; `builder` may push to a/own and pull a/public."""

    def __init__(self) -> None:
        self.tokens = TokenService(self._authenticate)
        self.registry: Service = Registry(self.tokens)

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if username and password != BUILDER.password.expose():
            return None
        rights = {"a/public": frozenset({"pull"})}
        if username:
            rights["a/own"] = frozenset({"pull", "push"})
        return lambda name: rights.get(name, frozenset())

    def handle(self, request: Request) -> Response:
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)


@pytest.fixture(params=["built in", "Debian's"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Loopback]:
    front = Front()
    with Loopback(front) as loopback:
        if request.param == "built in":
            yield loopback
            return
        with DebianRegistry(programs().registry, tmp_path / "registry", front.tokens, loopback.url) as real:
            front.registry = real
            yield loopback


@pytest.fixture
def registry() -> Registry:
    return Registry(page=2)


@pytest.fixture
def loopback(registry: Registry) -> Iterator[Loopback]:
    with Loopback(registry) as served:
        yield served


def skopeo_copy(loopback: Loopback, source: str, name: str, login: str = "builder:pw") -> tuple[int, str]:
    arguments = [
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        f"--dest-creds={login}",
        source,
        f"docker://{loopback.host}/{name}",
    ]
    done = programs().skopeo(*arguments)
    return done.returncode, done.stderr


def test_skopeo_pushes_where_it_may_and_nowhere_else(guarded: Loopback, tmp_path: Path) -> None:
    source = Image({"made": "by hand"}).lay_out(tmp_path / "layout")
    assert skopeo_copy(guarded, source, "a/own:1") == (0, "")
    for name, login in (("a/public:1", "builder:pw"), ("a/neighbour:1", "builder:pw"), ("a/own:1", "builder:no")):
        code, said = skopeo_copy(guarded, source, name, login)
        assert code != 0
        assert "unauthorized" in said or "denied" in said


def test_our_client_reads_what_skopeo_pushed(guarded: Loopback, tmp_path: Path) -> None:
    image = Image({"made": "by hand"})
    skopeo_copy(guarded, image.lay_out(tmp_path / "layout"), "a/own:1")
    ours = OciClient(guarded.host, Http(lambda: None), BUILDER)
    assert ours.digest("a/own", "1") == image.digest
    assert list(ours.tags("a/own")) == ["1"]
    assert ours.labels("a/own", "1") == {"made": "by hand"}
    assert ours.platforms("a/own", "1") == ("linux/amd64",)


def test_push_is_proved_by_both_registries(guarded: Loopback) -> None:
    ours = OciClient(guarded.host, Http(lambda: None))
    ours.prove_push("a/own", BUILDER)
    assert guarded.count("DELETE", "/v2/a/own/blobs/uploads/.*") == 1
    with pytest.raises(Denied):
        ours.prove_push("a/neighbour", BUILDER)
    assert ours.granted("a/own", BUILDER) == frozenset({"pull", "push"})
    assert ours.granted("a/public", BUILDER) == frozenset({"pull"})


def test_an_oci_manifest_is_shown_only_to_whom_asks_for_one(guarded: Loopback, tmp_path: Path) -> None:
    skopeo_copy(guarded, Image().lay_out(tmp_path / "layout"), "a/own:1")
    asked = {"service": "registry", "scope": "repository:a/own:pull"}
    token = httpx.get(f"{guarded.url}{TOKEN_PATH}", params=asked, auth=("builder", "pw")).json()["token"]
    url, login = f"{guarded.url}/v2/a/own/manifests/1", {"authorization": f"Bearer {token}"}
    assert httpx.get(url, headers=login).status_code == 404
    assert httpx.get(url, headers={**login, "accept": MANIFEST}).status_code == 200


def test_chunks_must_follow_one_another(loopback: Loopback) -> None:
    location = httpx.post(f"{loopback.url}/v2/a/b/blobs/uploads/").headers["location"]
    url = f"{loopback.url}{location}"
    assert httpx.patch(url, content=b"one", headers={"content-range": "0-2"}).headers["range"] == "0-2"
    assert httpx.patch(url, content=b"two", headers={"content-range": "9-11"}).status_code == 416
    assert httpx.patch(url, content=b"two", headers={"content-range": "3-5"}).headers["range"] == "0-5"
    assert httpx.put(url, params={"digest": digest_of(b"one")}).status_code == 400
    assert httpx.put(url, params={"digest": digest_of(b"onetwo")}).status_code == 201
    assert httpx.get(f"{loopback.url}/v2/a/b/blobs/{digest_of(b'onetwo')}").content == b"onetwo"


def test_a_blob_is_mounted_from_a_neighbour_that_has_it(loopback: Loopback) -> None:
    digest = digest_of(b"x")
    httpx.post(f"{loopback.url}/v2/a/b/blobs/uploads/", params={"digest": digest}, content=b"x")
    mount = {"mount": digest, "from": "a/b"}
    assert httpx.post(f"{loopback.url}/v2/a/c/blobs/uploads/", params=mount).status_code == 201
    assert httpx.head(f"{loopback.url}/v2/a/c/blobs/{digest}").status_code == 200
    mount["from"] = "a/nothing"
    assert httpx.post(f"{loopback.url}/v2/a/d/blobs/uploads/", params=mount).status_code == 202


def test_a_cancelled_upload_is_gone(loopback: Loopback, registry: Registry) -> None:
    url = loopback.url + httpx.post(f"{loopback.url}/v2/a/b/blobs/uploads/").headers["location"]
    assert httpx.get(url).status_code == httpx.delete(url).status_code == 204
    assert httpx.patch(url, content=b"x").status_code == 404
    assert registry.uploads == 0


def test_a_manifest_needs_its_blobs_and_its_digest(loopback: Loopback) -> None:
    url, headers = f"{loopback.url}/v2/a/b/manifests", {"content-type": MANIFEST}
    missing = httpx.put(f"{url}/1", content=Image().manifest, headers=headers)
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")
    push(f"{loopback.url}/v2/a/b", Image(), "1")
    other = httpx.put(f"{url}/{digest_of(b'other')}", content=Image().manifest, headers=headers)
    assert (other.status_code, other.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert httpx.put(f"{url}/1", content=b"{", headers=headers).json()["errors"][0]["code"] == "MANIFEST_INVALID"


def test_deleting_a_digest_deletes_its_tags(loopback: Loopback) -> None:
    digest = push(f"{loopback.url}/v2/a/b", Image(), "1", "2", "3")
    url = f"{loopback.url}/v2/a/b"
    assert httpx.delete(f"{url}/manifests/3").status_code == 202
    assert httpx.get(f"{url}/tags/list").json()["tags"] == ["1", "2"]
    assert httpx.delete(f"{url}/manifests/{digest}").status_code == 202
    assert httpx.get(f"{url}/tags/list").json()["tags"] == []


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with Loopback(Registry(folder=tmp_path)) as first:
        push(f"{first.url}/v2/a/b", Image(), "1")
    with Loopback(Registry(folder=tmp_path)) as second:
        ours = OciClient(second.host, Http(lambda: None))
        assert ours.manifest("a/b", "1").digest == Image().digest
        assert ours.labels("a/b", "1") == {}
