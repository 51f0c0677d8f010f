"""Makes small OCI images and pushes them to a registry, as `docker build`, `docker login` and `docker push` would.

https://github.com/opencontainers/image-spec, https://github.com/opencontainers/distribution-spec,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class PushRefused(Exception):
    """The registry, or the way to it, refused; the text says what and never holds a password."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one layer: its manifest names its configuration and the layer by digest."""

    config: bytes
    layer: bytes

    @property
    def manifest(self) -> bytes:
        """The manifest's bytes, always the same for the same image."""
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described(CONFIG, self.config),
            "layers": [_described(LAYER, self.layer)],
        }
        return json.dumps(document).encode()

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest(self.manifest)


def digest(data: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def build(files: Mapping[str, bytes], labels: Mapping[str, str], created: str) -> Image:
    """An image that holds `files` by their absolute path; `created` is a moment in RFC 3339."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    config = {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]},
    }
    return Image(json.dumps(config).encode(), gzip.compress(tar.getvalue(), mtime=0))


@dataclass(frozen=True, slots=True)
class Registries:
    """Where registries answer: loopback addresses over plain HTTP, other hosts where `addresses` says."""

    addresses: Mapping[str, str] = field(default_factory=dict)

    def address(self, host: str) -> str:
        """The base URL of a registry's host; raises PushRefused for one outside, since nothing is pushed there."""
        if host in self.addresses:
            return self.addresses[host].rstrip("/")
        if urlsplit(f"//{host}").hostname in _LOOPBACK:
            return f"http://{host}"
        raise PushRefused(f"the sandbox knows no registry for {host}")


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password."""

    username: str
    password: str = field(repr=False)


class Pusher:
    """A connection to one registry with an optional login; a context manager."""

    def __init__(self, registries: Registries, host: str, login: Login | None = None) -> None:
        self._registries = registries
        self._login = login
        self._client = httpx.Client(base_url=registries.address(host), timeout=10, trust_env=False)
        self._authorization: dict[str, str] = {}

    def __enter__(self) -> Pusher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def log_in(self) -> None:
        """Prove the login, as `docker login` does; raises PushRefused."""
        self._authorize(None)
        answer = self._send("GET", "/v2/")
        if answer.status_code != 200:
            raise PushRefused(f"login was refused with {answer.status_code}")

    def push(self, repository: str, image: Image, tags: Iterable[str]) -> None:
        """Upload an image and name it by each tag; raises PushRefused."""
        self._authorize(f"repository:{repository}:pull,push")
        for data in (image.config, image.layer):
            self._upload(repository, data)
        for tag in tags:
            path, headers = f"/v2/{repository}/manifests/{tag}", {"content-type": MANIFEST}
            self._expect(201, "PUT", path, content=image.manifest, headers=headers)

    def exists(self, repository: str, tag: str) -> bool:
        """Whether a tag can be pulled."""
        self._authorize(f"repository:{repository}:pull")
        return self._send("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"accept": MANIFEST}).status_code == 200

    def _upload(self, repository: str, data: bytes) -> None:
        if self._send("HEAD", f"/v2/{repository}/blobs/{digest(data)}").status_code == 200:
            return
        started = self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/")
        location = urlsplit(urljoin(str(started.url), started.headers["location"]))
        query = f"{location.query}&" if location.query else ""
        target = f"{location.path}?{query}digest={digest(data)}"
        self._expect(201, "PUT", target, content=data, headers={"content-type": "application/octet-stream"})

    def _authorize(self, scope: str | None) -> None:
        """Answer the registry's challenge: nothing, Basic, or a token from where it says."""
        self._authorization = {}
        challenge = self._send("GET", "/v2/").headers.get("www-authenticate", "")
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic" and self._login:
            basic = httpx.BasicAuth(self._login.username, self._login.password)
            self._authorization = {"authorization": next(basic.auth_flow(self._blank())).headers["authorization"]}
        elif kind == "bearer":
            self._authorization = {"authorization": f"Bearer {self._token(challenge, scope)}"}

    def _blank(self) -> httpx.Request:
        return self._client.build_request("GET", "/v2/")

    def _token(self, challenge: str, scope: str | None) -> str:
        asked = dict(_CHALLENGE.findall(challenge))
        realm = urlsplit(asked.get("realm", ""))
        query = {"service": asked.get("service", ""), **({"scope": scope} if scope else {})}
        auth = httpx.BasicAuth(self._login.username, self._login.password) if self._login else None
        answer = self._send("GET", f"{self._registries.address(realm.netloc)}{realm.path}", params=query, auth=auth)
        if answer.status_code != 200:
            raise PushRefused(f"login was refused with {answer.status_code}")
        document = answer.json()
        token = document.get("token") or document.get("access_token")
        if not token:
            raise PushRefused("the token service answered without a token")
        return str(token)

    def _expect(self, status: int, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._send(method, path, **options)
        if answer.status_code != status:
            raise PushRefused(f"{method} {path} was refused with {answer.status_code}: {answer.text[:200]}")
        return answer

    def _send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """One request; the login goes only where this registry is."""
        own = self._authorization if path.startswith("/") else {}
        try:
            return self._client.request(method, path, headers={**own, **(headers or {})}, **options)
        except httpx.HTTPError as error:
            raise PushRefused(f"{method} {path} failed: {type(error).__name__}") from None
