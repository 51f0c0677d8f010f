"""A registry for builds to push to: one login for one repository, asked for by Basic or by a token."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import tarfile
from typing import Any, Literal

from fleet.sandbox.http import Request, Response
from fleet.sandbox.push import digest

_PATH = re.compile(r"/v2/(.+)/(blobs/uploads/.*|blobs/sha256:.*|manifests/.*)")


class Registry:
    """Takes pushes to `repository` from `username` with `password`, and anonymous pulls if `public`."""

    def __init__(self, auth: Literal["basic", "bearer"] = "basic") -> None:
        self.auth = auth
        self.username, self.password, self.repository = "hub+push", "s3cret", "hub/image"
        self.public = False
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}

    @property
    def tags(self) -> set[str]:
        """What has been pushed."""
        return {name for name in self.manifests if ":" not in name}

    def configuration(self, tag: str) -> bytes:
        """A pushed image's configuration."""
        return self.blobs[json.loads(self.manifests[tag])["config"]["digest"]]

    def labels(self, tag: str) -> dict[str, str]:
        """The labels of a pushed image."""
        labels: dict[str, str] = json.loads(self.configuration(tag))["config"]["Labels"]
        return labels

    def files(self, tag: str) -> dict[str, bytes]:
        """The files in a pushed image's layer."""
        (layer,) = json.loads(self.manifests[tag])["layers"]
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blobs[layer["digest"]]))) as archive:
            return {one.name: file.read() for one in archive if (file := archive.extractfile(one))}

    def handle(self, request: Request) -> Response:
        """The distribution API as far as a push needs it."""
        if request.path == "/token":
            return self._token(request)
        match = _PATH.fullmatch(request.path)
        if not self._allowed(request, match[1] if match else None):
            return Response(401, b"", {"www-authenticate": self._challenge(request)})
        if match is None:
            return Response(200)
        return self._store(request, match[1], match[2])

    def _store(self, request: Request, name: str, rest: str) -> Response:
        last = rest.rpartition("/")[2]
        if request.method == "HEAD":
            return Response(200 if last in self.blobs or last in self.manifests else 404)
        if request.method == "POST":
            return Response(202, b"", {"location": f"/v2/{name}/blobs/uploads/one?state=x"})
        if rest.startswith("blobs/uploads/"):
            if digest(request.body) != request.first("digest"):
                return Response(400, b"DIGEST_INVALID")
            self.blobs[digest(request.body)] = request.body
            return Response(201)
        manifest = json.loads(request.body)
        if not {manifest["config"]["digest"], manifest["layers"][0]["digest"]} <= self.blobs.keys():
            return Response(404, b"BLOB_UNKNOWN")
        self.manifests[last] = self.manifests[digest(request.body)] = request.body
        return Response(201)

    def _knows(self, request: Request) -> bool:
        expected = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {expected}"

    def _allowed(self, request: Request, name: str | None) -> bool:
        if self.public and request.method == "HEAD":
            return True
        if self.auth == "basic":
            return self._knows(request) and name in (None, self.repository)
        granted = request.headers.get("authorization", "").removeprefix("Bearer granted:")
        return granted == "login" or granted == name

    def _challenge(self, request: Request) -> str:
        if self.auth == "basic":
            return 'Basic realm="registry"'
        return f'Bearer realm="{request.base_url}/token",service="registry"'

    def _token(self, request: Request) -> Response:
        scope = request.first("scope")
        if not self._knows(request):
            return Response(401)
        granted: Any = "login" if not scope else self.repository if f":{self.repository}:" in scope else "nothing"
        return Response.of_json({"token": f"granted:{granted}"})
