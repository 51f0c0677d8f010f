"""Artifact Registry's API: repositories, their policies, and the operations that make them.

Source: the messages of google-cloud-artifact-registry, and https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from google.cloud.artifactregistry_v1 import (
    DockerImage,
    ListDockerImagesResponse,
    ListRepositoriesResponse,
    Repository,
)
from google.iam.v1.iam_policy_pb2 import SetIamPolicyRequest, TestIamPermissionsRequest, TestIamPermissionsResponse
from google.iam.v1.policy_pb2 import Policy
from google.longrunning.operations_pb2 import Operation
from google.protobuf.field_mask_pb2 import FieldMask

from fleet.sandbox.google.state import LOCATIONS, ROLES, Principal, State
from fleet.sandbox.google.wire import Refused, answer, check, login_of, paged, parsed
from fleet.sandbox.http import Request, Response

SERVICE = "artifactregistry.googleapis.com"

_ROUTE = re.compile(
    r"/v1/(?P<parent>projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+))"
    r"/(?P<kind>repositories|operations)(/(?P<id>[^/:]+))?(?P<verb>:\w+|/dockerImages)?"
)
_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_GCR = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_AR = "artifactregistry.repositories"
_ORDER = re.compile(r"(?P<field>name|upload_time|update_time)( (?P<direction>asc|desc))?")
"""One field, as Google's own command line asks for no more: https://google.aip.dev/132#ordering"""
_ETAG_OF_NOTHING = b"\x00 \x01"


Images = Callable[[str], list[DockerImage]]
"""The images of a repository, by its full name."""


class ArtifactsApi:
    """Answers what lies under `/v1/projects/…/locations/…/repositories`."""

    def __init__(self, state: State, page: int = 1000, images: Images = lambda repository: []) -> None:
        self.state = state
        self.page = page
        self.images = images

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self.state.lock:
            principal = login_of(self.state, request, SERVICE)
            route = _ROUTE.fullmatch(request.path)
            if route is None:
                raise Refused(404, f"Method not found: {request.method} {request.path}")
            if route["project"] != self.state.project:
                check(self.state, Principal(frozenset()), f"{_AR}.list", f"//{SERVICE}/{route['parent']}")
            if route["location"] not in LOCATIONS:
                raise Refused(404, f"Location {route['location']} is not found or access is unauthorized.")
            handler = self._handlers().get((request.method, bool(route["id"]), route["verb"]))
            if handler is None or route["kind"] == "operations":
                raise Refused(404, f"Method not found: {request.method} {request.path}")
            name = f"{route['parent']}/repositories/{route['id'] or request.first('repositoryId')}"
            return handler(request, principal, name)

    def _handlers(
        self,
    ) -> dict[tuple[str, bool, str | None], Callable[[Request, Principal, str], Response]]:
        return {
            ("GET", False, None): self._list,
            ("POST", False, None): self._create,
            ("GET", True, None): self._get,
            ("PATCH", True, None): self._update,
            ("GET", True, ":getIamPolicy"): self._get_policy,
            ("POST", True, ":setIamPolicy"): self._set_policy,
            ("POST", True, ":testIamPermissions"): self._test_permissions,
            ("GET", True, "/dockerImages"): self._images,
        }

    def _list(self, request: Request, principal: Principal, name: str) -> Response:
        parent = name.rpartition("/repositories/")[0]
        check(self.state, principal, f"{_AR}.list", f"//{SERVICE}/{parent}")
        there = sorted(full for full in self.state.repositories if full.startswith(f"{parent}/"))
        names, following = paged(request, there, self.page)
        page = [self.state.repositories[name] for name in names if not self.state.is_hidden(name)]
        return answer(
            request, ListRepositoriesResponse.pb(ListRepositoriesResponse(repositories=page, next_page_token=following))
        )

    def _create(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, f"{_AR}.create", f"//{SERVICE}/{name.rpartition('/repositories/')[0]}")
        repository = Repository(parsed(request.body, Repository.pb(Repository())))
        location, short = name.split("/")[3], name.rpartition("/")[2]
        if not (_ID.fullmatch(short) or _GCR.get(short) == location):
            raise Refused(400, f"Invalid repository id {short!r}.")
        self._check_fields(repository)
        if name in self.state.repositories:
            raise Refused(409, "the repository already exists", "ALREADY_EXISTS")
        if len(self.state.repositories) >= self.state.quota:
            info = {"reason": "RESOURCE_QUOTA_EXCEEDED", "domain": "googleapis.com", "metadata": {"service": SERVICE}}
            raise Refused(429, "Quota exceeded for quota metric 'Repositories'.", info=info)
        repository.name = name
        self.state.repositories[name] = repository
        self.state.appears(name)
        operation = Operation(name=f"{name.rpartition('/repositories/')[0]}/operations/{secrets.token_hex(8)}")
        operation.done = not self.state.slow
        if operation.done:
            operation.response.Pack(Repository.pb(repository))
        return answer(request, operation)

    def _get(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, f"{_AR}.get", f"//{SERVICE}/{name}", name)
        return answer(request, Repository.pb(self._standing(name)))

    def _update(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, f"{_AR}.update", f"//{SERVICE}/{name}", name)
        standing = Repository.pb(self._standing(name))
        wanted = parsed(request.body, Repository.pb(Repository()))
        if wanted.name not in ("", name):
            raise Refused(400, "the name of the repository in the body is another one")
        mask = FieldMask()
        mask.FromJsonString(request.first("updateMask"))
        self._check_fields(Repository(wanted))
        mask.MergeMessage(wanted, standing, replace_message_field=True, replace_repeated_field=True)
        for path in mask.paths:
            if path in ("labels", "cleanup_policies"):  # MergeMessage lays maps over each other
                getattr(standing, path).clear()
                getattr(standing, path).MergeFrom(getattr(wanted, path))
        return answer(request, standing)

    def _check_fields(self, repository: Repository) -> None:
        for text in (*repository.labels.keys(), *repository.labels.values()):
            if not _LABEL.fullmatch(text):
                raise Refused(400, f"Invalid label {text!r}.")
        if any(policy.id not in ("", key) for key, policy in repository.cleanup_policies.items()):
            raise Refused(400, "the id of a cleanup policy is not its key")

    def _get_policy(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, f"{_AR}.getIamPolicy", f"//{SERVICE}/{name}", name)
        self._standing(name)
        policy = self.policy(name)
        conditional = any(binding.HasField("condition") for binding in policy.bindings)
        if conditional and request.first("options.requestedPolicyVersion") != "3":
            raise Refused(400, "the policy has conditions: ask for version 3")
        return answer(request, policy)

    def policy(self, name: str) -> Policy:
        """The policy of a repository, as it stands."""
        return self.state.policies.get(name) or Policy(etag=_ETAG_OF_NOTHING)

    def _set_policy(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, f"{_AR}.setIamPolicy", f"//{SERVICE}/{name}", name)
        self._standing(name)
        wanted = parsed(request.body, SetIamPolicyRequest()).policy
        if wanted.etag and wanted.etag != self.policy(name).etag:
            raise Refused(409, "There were concurrent policy changes. Please retry.", "ABORTED")
        for binding in wanted.bindings:
            if binding.role not in ROLES:
                raise Refused(400, f"Role {binding.role} is not supported for this resource.")
            for member in binding.members:
                self._check_member(member)
        wanted.etag = secrets.token_bytes(8)
        self.state.policies[name] = wanted
        return answer(request, wanted)

    def _check_member(self, member: str) -> None:
        kind, _, rest = member.partition(":")
        if kind == "serviceAccount" and (rest not in self.state.accounts or self.state.is_hidden(rest)):
            raise Refused(400, f"Service account {rest} does not exist.")
        if kind not in ("serviceAccount", "deleted", "principalSet", "principal", "user", "group", "allUsers"):
            raise Refused(400, f"Invalid member {member}.")

    def _test_permissions(self, request: Request, principal: Principal, name: str) -> Response:
        asked = parsed(request.body, TestIamPermissionsRequest()).permissions
        held = [permission for permission in asked if self.state.may(principal, permission, name)]
        return answer(request, TestIamPermissionsResponse(permissions=held))

    def _images(self, request: Request, principal: Principal, name: str) -> Response:
        check(self.state, principal, "artifactregistry.dockerimages.list", f"//{SERVICE}/{name}", name)
        self._standing(name)
        images = _ordered(self.images(name), request.first("orderBy"))
        listed, following = paged(request, images, self.page)
        page = ListDockerImagesResponse(docker_images=listed, next_page_token=following)
        return answer(request, ListDockerImagesResponse.pb(page))

    def _standing(self, name: str) -> Repository:
        if name not in self.state.repositories or self.state.is_hidden(name):
            raise Refused(404, f"Requested entity was not found: {name}")
        return self.state.repositories[name]


def _ordered(images: list[DockerImage], order: str) -> list[DockerImage]:
    match = _ORDER.fullmatch(order or "name")
    if match is None:
        raise Refused(400, f"Invalid order_by {order!r}.")
    return sorted(images, key=lambda image: getattr(image, match["field"]), reverse=match["direction"] == "desc")
