"""Amazon ECR on loopback: the AWS of `fleet.sandbox.aws`, and a registry that obeys what its IAM says.

Source for what the registry answers: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html and the
errors in https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.sandbox.aws import Aws, Claims
from fleet.sandbox.aws_rights import EVERYTHING, Principal
from fleet.sandbox.http import Loopback, Request, Response
from fleet.sandbox.registry import Registry
from fleet.sandbox.running import Running
from fleet.sandbox.token import basic_login

_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<what>manifests|blobs/uploads|blobs|tags)(?:/.*)?")
_RIGHTS: Mapping[tuple[str, str], str] = {
    ("GET", "manifests"): "ecr:BatchGetImage",
    ("HEAD", "manifests"): "ecr:BatchGetImage",
    ("PUT", "manifests"): "ecr:PutImage",
    ("DELETE", "manifests"): "ecr:BatchDeleteImage",
    ("POST", "blobs/uploads"): "ecr:InitiateLayerUpload",
    ("GET", "blobs/uploads"): "ecr:InitiateLayerUpload",
    ("PATCH", "blobs/uploads"): "ecr:UploadLayerPart",
    ("PUT", "blobs/uploads"): "ecr:CompleteLayerUpload",
    ("DELETE", "blobs/uploads"): "ecr:InitiateLayerUpload",
    ("HEAD", "blobs"): "ecr:BatchCheckLayerAvailability",
    ("GET", "blobs"): "ecr:GetDownloadUrlForLayer",
    ("GET", "tags"): "ecr:ListImages",
}
"""What each request of the distribution protocol needs."""


class Ecr:
    """One account's AWS and its registry, at one address."""

    def __init__(self, aws: Aws, folder: Path | None = None) -> None:
        self.aws = aws
        self.registry = Registry(None, folder)
        aws.images = self._images

    def handle(self, request: Request) -> Response:
        """Answer one request: `/v2/` is the registry, all else AWS."""
        if not re.match(r"/v2(/|$)", request.path):
            return self.aws.handle(request)
        principal = self._login(request)
        if principal is None:
            challenge = {"www-authenticate": f'Basic realm="{request.base_url}/",service="ecr.amazonaws.com"'}
            return Response(401, b"Not Authorized\n", {"content-type": "text/plain", **challenge})
        route = _ROUTE.fullmatch(request.path)
        refusal = route and self._refusal(request, principal, route)
        return refusal or self.registry.handle(request)

    def _images(self, name: str) -> list[dict[str, Any]]:
        held = self.registry.repositories.get(name, {"tags": {}, "manifests": {}})
        tags: dict[str, list[str]] = {}
        pushed = self.registry.pushed.get(name, {})
        for tag, digest in held["tags"].items():
            tags.setdefault(digest, []).append(tag)
        return [
            {
                "registryId": self.aws.account,
                "repositoryName": name,
                "imageDigest": digest,
                "imageTags": tags.get(digest, []),
                "imagePushedAt": pushed.get(digest, 0.0),
            }
            for digest in held["manifests"]
        ]

    def _login(self, request: Request) -> Principal | None:
        try:
            username, password = basic_login(request)
        except ValueError:
            return None
        return self.aws.holder(password) if username == "AWS" else None

    def _refusal(self, request: Request, principal: Principal, route: re.Match[str]) -> Response | None:
        """Why a request is refused: what it needs is not allowed, not there, or not to be overwritten."""
        name, what = route["name"], route["what"]
        action, resource = _RIGHTS.get((request.method, what)), self.aws.arn(name)
        if action is None:
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        if not principal.may(action, resource):
            said = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"
            return _error(403, "DENIED", said)
        held = self.aws.ecr.repositories.get(name)
        if held is None:
            said = f"The repository with name '{name}' does not exist in the registry with id '{self.aws.account}'"
            return _error(404, "NAME_UNKNOWN", said)
        tag = request.path.rpartition("/")[2]
        tags: Mapping[str, Any] = self.registry.repositories.get(name, {"tags": {}})["tags"]
        if action == "ecr:PutImage" and held.image_tag_mutability == "IMMUTABLE" and tag in tags:
            said = f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten"
            return _error(400, "TAG_INVALID", f"{said} because the repository is immutable.")
        return None


@dataclass(frozen=True, slots=True)
class RunningEcr(Running):
    """A sandbox ECR that is being served."""

    ecr: Ecr

    @property
    def aws(self) -> Aws:
        """All that this account knows."""
        return self.ecr.aws

    def close(self) -> None:
        """Stop serving, and forget the account."""
        Running.close(self)
        self.aws.close()


def serve_ecr(
    key: tuple[str, str],
    policy: Mapping[str, Any] = EVERYTHING,
    claims: Claims = lambda token: None,
    folder: Path | None = None,
    port: int = 0,
) -> RunningEcr:
    """Serve an account with one operator's access key (its id and its secret).

    `claims` says which OIDC tokens are real. Images survive a restart in `folder`; the account itself is a new one.
    """
    aws = Aws(claims=claims)
    aws.operator(*key, policy)
    ecr = Ecr(aws, folder)
    return RunningEcr(Loopback(ecr, port), ecr)


def _error(status: int, code: str, message: str) -> Response:
    return Response.of_json({"errors": [{"code": code, "message": message}]}, status)
