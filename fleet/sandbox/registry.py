"""A small OCI registry: push, pull, tags and uploads, in memory or in a folder, with token auth that is enforced.

Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md. Where the specification leaves room, it
does as Debian's docker-registry 2.8 does, above all: an OCI manifest is shown only to a client that says it takes one.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from fleet.sandbox.http import Request, Response
from fleet.sandbox.store import Content, replace_text
from fleet.sandbox.token import TokenService

TOKEN_PATH = "/v2/auth"

_NAME = r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
_ROUTES = (
    (re.compile(rf"/v2/{_NAME}/tags/list"), "tags"),
    (re.compile(rf"/v2/{_NAME}/manifests/(?P<key>[^/]+)"), "manifest"),
    (re.compile(rf"/v2/{_NAME}/blobs/uploads/?"), "uploads"),
    (re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<key>[0-9a-f]+)"), "upload"),
    (re.compile(rf"/v2/{_NAME}/blobs/(?P<key>[^/]+)"), "blob"),
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_READS = ("GET", "HEAD")


class _Refused(Exception):
    """An answer in the specification's error shape."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        document = {"errors": [{"code": code, "message": message or code.lower().replace("_", " ")}]}
        self.response = Response.of_json(document, status)


class _Call(NamedTuple):
    """One request to one repository; `key` is its tag, digest or upload."""

    request: Request
    name: str
    key: str


class Registry:
    """A registry as a service; without `tokens` everybody may do everything.

    `realm` is where its challenges send clients for a token: a path here, or the URL of another host. `repositories` is
    what it holds: per name the `tags`, the media type of each of the `manifests`, and the `blobs`.
    """

    def __init__(
        self,
        tokens: TokenService | None = None,
        folder: Path | None = None,
        page: int = 100,
        realm: str = TOKEN_PATH,
    ) -> None:
        self.tokens = tokens
        self.page = page
        self.realm = realm
        self.repositories: dict[str, dict[str, Any]] = {}
        self._uploads: dict[str, tuple[str, bytearray]] = {}
        self._content = Content(folder)
        self._index = folder / "repositories.json" if folder else None
        self._lock = threading.RLock()
        if self._index is not None and self._index.exists():
            self.repositories = json.loads(self._index.read_text(encoding="utf-8"))

    def handle(self, request: Request) -> Response:
        """Answer one request under `/v2/`."""
        try:
            with self._lock:
                return self._answer(request)
        except _Refused as refused:
            return refused.response

    def _answer(self, request: Request) -> Response:
        if request.path in ("/v2", "/v2/"):
            if self.tokens and not request.headers.get("authorization", "").startswith("Bearer "):
                return self._challenge(request, "")
            return Response.of_json({}, headers={"docker-distribution-api-version": "registry/2.0"})
        for pattern, route in _ROUTES:
            if match := pattern.fullmatch(request.path):
                call = _Call(request, match["name"], match.groupdict().get("key") or "")
                action = _action(request.method, route)
                if not self._allowed(request, call.name, action):
                    return self._challenge(request, f"repository:{call.name}:{action}")
                return self._route(route)(call)
        raise _Refused(404, "NAME_UNKNOWN" if request.method in _READS else "NAME_INVALID")

    def _route(self, route: str) -> Callable[[_Call], Response]:
        handlers: dict[str, Callable[[_Call], Response]] = {
            "tags": self._tags,
            "manifest": self._manifest,
            "uploads": self._begin,
            "upload": self._upload,
            "blob": self._blob,
        }
        return handlers[route]

    def _allowed(self, request: Request, name: str, action: str) -> bool:
        if self.tokens is None:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and all(self.tokens.allows(token, name, part) for part in action.split(","))

    def _challenge(self, request: Request, scope: str) -> Response:
        assert self.tokens is not None
        realm = f"{request.base_url}{self.realm}" if self.realm.startswith("/") else self.realm
        challenge = f'Bearer realm="{realm}",service="{self.tokens.service}"'
        if scope:
            challenge += f',scope="{scope}"'
            if "authorization" in request.headers:
                challenge += ',error="insufficient_scope"'
        refused = _Refused(401, "UNAUTHORIZED", "authentication required").response
        return Response(401, refused.body, {**refused.headers, "www-authenticate": challenge})

    def _repository(self, name: str) -> dict[str, Any]:
        if name not in self.repositories:
            raise _Refused(404, "NAME_UNKNOWN")
        return self.repositories[name]

    def _tags(self, call: _Call) -> Response:
        _only(call, *_READS)
        last, size = call.request.first("last"), min(int(call.request.first("n") or self.page), self.page)
        tags = sorted(tag for tag in self._repository(call.name)["tags"] if tag > last)
        headers = {}
        if len(tags) > size:
            tags = tags[:size]
            headers["link"] = f'</v2/{call.name}/tags/list?last={quote(tags[-1])}&n={size}>; rel="next"'
        return Response.of_json({"name": call.name, "tags": tags}, headers=headers)

    def _manifest(self, call: _Call) -> Response:
        _only(call, *_READS, "PUT", "DELETE")
        if call.request.method == "PUT":
            return self._put_manifest(call)
        repository = self._repository(call.name)
        digest = repository["tags"].get(call.key, call.key)
        media_type = repository["manifests"].get(digest)
        if media_type is None:
            raise _Refused(404, "MANIFEST_UNKNOWN")
        if call.request.method == "DELETE":
            kept = {tag: held for tag, held in repository["tags"].items() if call.key != tag and call.key != held}
            repository["tags"] = kept
            if call.key == digest:
                del repository["manifests"][digest]
            self._save()
            return Response(202)
        if media_type.startswith("application/vnd.oci.") and media_type not in call.request.headers.get("accept", ""):
            raise _Refused(
                404, "MANIFEST_UNKNOWN", "OCI manifest found but accept header does not support OCI manifests"
            )
        if digest in call.request.headers.get("if-none-match", ""):
            return Response(304)
        headers = {"content-type": media_type, "docker-content-digest": digest, "etag": f'"{digest}"'}
        return Response(200, self._content.read(digest), headers)

    def _put_manifest(self, call: _Call) -> Response:
        body = call.request.body
        digest = _digest(body, call.key if _DIGEST.fullmatch(call.key) else "sha256:")
        if call.key != digest and not _TAG.fullmatch(call.key):
            raise _Refused(400, "DIGEST_INVALID" if ":" in call.key else "TAG_INVALID")
        try:
            document = json.loads(body)
            media_type = document.get("mediaType") or call.request.headers["content-type"]
            blobs = [document["config"], *document["layers"]] if "config" in document else []
            wanted = [entry["digest"] for entry in blobs]
            listed = [entry["digest"] for entry in document.get("manifests", [])]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _Refused(400, "MANIFEST_INVALID") from None
        repository = self._create(call.name)
        if set(wanted) - set(repository["blobs"]) or set(listed) - set(repository["manifests"]):
            raise _Refused(400, "MANIFEST_BLOB_UNKNOWN")
        self._content.write(digest, body)
        repository["manifests"][digest] = media_type
        if call.key != digest:
            repository["tags"][call.key] = digest
        self._save()
        return _created(f"/v2/{call.name}/manifests/{digest}", digest)

    def _blob(self, call: _Call) -> Response:
        _only(call, *_READS, "DELETE")
        repository = self._repository(call.name)
        if call.key not in repository["blobs"]:
            raise _Refused(404, "BLOB_UNKNOWN")
        if call.request.method == "DELETE":
            repository["blobs"].remove(call.key)
            self._save()
            return Response(202)
        headers = {"content-type": "application/octet-stream", "docker-content-digest": call.key}
        return Response(200, self._content.read(call.key), headers)

    def _begin(self, call: _Call) -> Response:
        _only(call, "POST")
        mounted, source = call.request.first("mount"), call.request.first("from")
        if mounted and self._may_mount(call.request, mounted, source):
            self._add_blob(call.name, mounted)
            return _created(f"/v2/{call.name}/blobs/{mounted}", mounted)
        if digest := call.request.first("digest"):
            return self._finish(call, call.request.body, digest)
        key = secrets.token_hex(16)
        self._uploads[key] = (call.name, bytearray())
        return self._progress(call.name, key)

    def _may_mount(self, request: Request, digest: str, source: str) -> bool:
        held = self.repositories.get(source, {"blobs": []})["blobs"]
        return digest in held and self._allowed(request, source, "pull")

    def _upload(self, call: _Call) -> Response:
        _only(call, "GET", "PATCH", "PUT", "DELETE")
        name, received = self._uploads.get(call.key, ("", bytearray()))
        if name != call.name:
            raise _Refused(404, "BLOB_UPLOAD_UNKNOWN")
        if call.request.method == "DELETE":
            del self._uploads[call.key]
            return Response(204)
        if call.request.method == "GET":
            return self._progress(name, call.key, 204)
        start = call.request.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start and int(start) != len(received):
            raise _Refused(416, "BLOB_UPLOAD_INVALID", "the chunk does not begin where the last one ended")
        received += call.request.body
        if call.request.method == "PATCH":
            return self._progress(name, call.key)
        answer = self._finish(call, bytes(received), call.request.first("digest"))
        del self._uploads[call.key]
        return answer

    def _finish(self, call: _Call, content: bytes, digest: str) -> Response:
        if not _DIGEST.fullmatch(digest) or _digest(content, digest) != digest:
            raise _Refused(400, "DIGEST_INVALID")
        self._content.write(digest, content)
        self._add_blob(call.name, digest)
        return _created(f"/v2/{call.name}/blobs/{digest}", digest)

    def _progress(self, name: str, key: str, status: int = 202) -> Response:
        size = len(self._uploads[key][1])
        headers = {
            "location": f"/v2/{name}/blobs/uploads/{key}",
            "docker-upload-uuid": key,
            "range": f"0-{max(size - 1, 0)}",
        }
        return Response(status, b"", headers)

    def _create(self, name: str) -> dict[str, Any]:
        return self.repositories.setdefault(name, {"tags": {}, "manifests": {}, "blobs": []})

    def _add_blob(self, name: str, digest: str) -> None:
        blobs = self._create(name)["blobs"]
        if digest not in blobs:
            blobs.append(digest)
        self._save()

    @property
    def uploads(self) -> int:
        """How many uploads were begun and neither finished nor cancelled."""
        with self._lock:
            return len(self._uploads)

    def labels(self, name: str, manifest: bytes) -> dict[str, str]:
        """The labels of an image that it holds; none of an index."""
        config = json.loads(manifest).get("config")
        settings = json.loads(self._content.read(config["digest"])).get("config") if config else None
        return dict((settings or {}).get("Labels") or {})

    def _save(self) -> None:
        if self._index is not None:
            replace_text(self._index, json.dumps(self.repositories))


def _action(method: str, route: str) -> str:
    if method in _READS and route != "upload":
        return "pull"
    return "delete" if method == "DELETE" and route != "upload" else "pull,push"


def _only(call: _Call, *methods: str) -> None:
    if call.request.method not in methods:
        raise _Refused(405, "UNSUPPORTED")


def _digest(content: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def _created(location: str, digest: str) -> Response:
    return Response(201, b"", {"location": location, "docker-content-digest": digest})
