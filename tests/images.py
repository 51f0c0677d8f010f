"""Small images for tests: pushed by plain HTTP, or laid out in a folder for skopeo."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    """The sha256 digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Image:
    """One image with one small layer."""

    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"
    layer: bytes = b"\0" * 1024
    created: str | None = None

    @property
    def config(self) -> bytes:
        """The image's configuration."""
        rootfs = {"type": "layers", "diff_ids": [digest_of(self.layer)]}
        labels = {"config": {"Labels": dict(self.labels)}}
        made = {"created": self.created} if self.created else {}
        return json.dumps(
            {"architecture": self.architecture, "os": "linux", "rootfs": rootfs, **labels, **made}
        ).encode()

    @property
    def manifest(self) -> bytes:
        """The image's manifest."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", self.config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", self.layer)],
        }
        return json.dumps(document).encode()

    @property
    def digest(self) -> str:
        """What a tag of this image means."""
        return digest_of(self.manifest)

    def lay_out(self, folder: Path) -> str:
        """Write an OCI image layout, and return how skopeo names it."""
        blobs = folder / "blobs/sha256"
        blobs.mkdir(parents=True)
        for content in (self.config, self.layer, self.manifest):
            (blobs / digest_of(content).partition(":")[2]).write_bytes(content)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        entry = _descriptor(MANIFEST, self.manifest)
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return f"oci:{folder}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def unpacked(layer: bytes) -> dict[str, bytes]:
    """The files of a layer by their path, whether or not it is compressed."""
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:*") as archive:
        return {one.name: file.read() for one in archive if (file := archive.extractfile(one))}


def push(repository_url: str, image: Image, *tags: str, headers: Mapping[str, str] | None = None) -> str:
    """Push an image under tags (`repository_url` is `http://host/v2/name`), and return its digest."""
    with httpx.Client(headers=headers, base_url=repository_url) as client:
        for content in (image.config, image.layer):
            client.post("/blobs/uploads/", params={"digest": digest_of(content)}, content=content).raise_for_status()
        for reference in tags or (image.digest,):
            _put_manifest(client, reference, MANIFEST, image.manifest)
    return image.digest


def push_index(repository_url: str, images: Mapping[str, Image], tag: str) -> str:
    """Push an index of images by platform (`linux/arm64`), and return its digest."""
    entries = []
    for platform, image in images.items():
        push(repository_url, image)
        system, architecture = platform.split("/")
        described = {"platform": {"os": system, "architecture": architecture}}
        entries.append({**_descriptor(MANIFEST, image.manifest), **described})
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    with httpx.Client(base_url=repository_url) as client:
        _put_manifest(client, tag, INDEX, body)
    return digest_of(body)


def _put_manifest(client: httpx.Client, reference: str, media_type: str, body: bytes) -> None:
    answer = client.put(f"/manifests/{reference}", content=body, headers={"content-type": media_type})
    answer.raise_for_status()
