"""Artifact Registry, through Google's own client: repositories, and the policies of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

from fleet.provider import Conflict, ProviderError, TryAgain
from fleet_google.login import Doing, GoogleLogin, Missing, Taken, lost
from fleet_google.policies import roles_of, with_roles
from fleet_google.specs import DOCKER, LABEL, ODD, Repository

if TYPE_CHECKING:
    from google.cloud import artifactregistry_v1 as ar
    from google.iam.v1.policy_pb2 import Policy

PAGE = 1000
"""Repositories, or images, in one answer; the most that there may be."""

NEWEST_FIRST = "upload_time desc"
"""An `order_by` names a field of what is listed, and the direction: https://google.aip.dev/132#ordering"""

RACES = 5
"""How often a policy is read anew because somebody else wrote it first."""

SECONDS_TO_MAKE = 4.0
"""Until Google is asked again whether something that it makes is there."""

_DELETE, _KEEP = "fleet-delete", "fleet-keep"
"""The two cleanup policies of ours: all versions may go, but for the newest ones."""


class Artifacts:
    """The repositories of one project and location."""

    def __init__(self, login: GoogleLogin, location: str, url: str | None) -> None:
        self.location = location
        self._login = login
        self._url = url
        self._parent = f"projects/{login.project}/locations/{location}"

    def repositories(self, wanted: Collection[str]) -> Mapping[str, ar.Repository]:
        """The repositories by id: all of the location, or of a few that are wanted those that exist."""
        found = {id_of(repository): repository for repository in self._listed()}
        if not found and wanted:  # also what an answer of nothing at all looks like
            one = self.repository(min(wanted))
            found = {} if one is None else {id_of(one): one}
        return found

    def repository(self, name: str) -> ar.Repository | None:
        """One repository, None where it does not exist."""
        doing = Doing(f"show the repository {name}", "artifactregistry.repositories.get")
        try:
            found = self._ask(doing, "get_repository", {"name": self._name(name)})
        except Missing:
            return None
        return self._checked(found, doing)

    def create(self, name: str, wanted: Repository) -> bool:
        """Make a repository; False where there is one already. Raises TryAgain while Google is at it."""
        doing = Doing(f"make the repository {name}", "artifactregistry.repositories.create", writes=True)
        request = {"parent": self._parent, "repository_id": name, "repository": _as_google(wanted, {}, {})}
        try:
            operation = self._ask(doing, "create_repository", request).operation
        except Taken:
            return False
        except Missing:
            raise ProviderError(f"Google Cloud has no location {self.location}; check the `location`") from None
        if operation.HasField("error"):
            raise ProviderError(f"Google Cloud does not make the repository {name}: {operation.error.message}")
        if not operation.name:
            raise lost(doing, "sent no operation")
        if not operation.done:
            raise TryAgain(f"the repository {name} is being made", SECONDS_TO_MAKE)
        return True

    def update(self, name: str, standing: ar.Repository, wanted: Repository) -> None:
        """Make a repository as it is wanted; its other labels and cleanup policies stay."""
        doing = Doing(f"change the repository {name}", "artifactregistry.repositories.update", writes=True)
        repository = _as_google(wanted, dict(standing.labels), _policies(standing))
        repository["name"] = self._name(name)
        paths = ["description", "labels", "docker_config.immutable_tags", "cleanup_policies", "cleanup_policy_dry_run"]
        request = {"repository": repository, "update_mask": {"paths": paths}}
        self._checked(self._ask(doing, "update_repository", request), doing)

    def roles(self, name: str, members: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """The roles that each of these members holds in a repository."""
        policy = self._policy(name)
        return {member: roles_of(policy, member) for member in members}

    def set_roles(self, name: str, wanted: Mapping[str, Collection[str]]) -> None:
        """Have members hold these roles in a repository and no others, whoever else writes the policy meanwhile."""
        doing = Doing(
            f"change who may write to the repository {name}", "artifactregistry.repositories.setIamPolicy", writes=True
        )
        for _ in range(RACES):
            before = self._policy(name)
            after = reduce(lambda policy, one: with_roles(policy, *one), wanted.items(), before)
            if list(before.bindings) == list(after.bindings):
                return
            request = {"resource": self._name(name), "policy": after}
            try:
                self._ask(doing, "set_iam_policy", request)
            except Taken:
                continue
            return
        raise Conflict(f"somebody else keeps changing who may write to the repository {name}")

    def images(self, name: str) -> Iterator[ar.DockerImage]:
        """The images of a repository, newest first, page by page as asked for; none of one that does not exist."""
        doing = Doing(f"list the images of {name}", "artifactregistry.dockerimages.list")
        last = None
        try:
            for page in self._pages(doing, "list_docker_images", self._name(name), order_by=NEWEST_FIRST):
                for image in page.docker_images:
                    if last is not None and image.upload_time > last:
                        raise ProviderError(f"Google Cloud does not list the images of {name} newest first, as asked")
                    last = image.upload_time
                    yield image
        except Missing:
            return

    def may_write(self, name: str) -> bool:
        """Whether this login may push to a repository, by Google's own word; nothing is written there."""
        doing = Doing(f"ask what may be done to the repository {name}", "artifactregistry.repositories.get")
        asked = ["artifactregistry.repositories.uploadArtifacts"]
        request = {"resource": self._name(name), "permissions": asked}
        return bool(self._ask(doing, "test_iam_permissions", request).permissions)

    def _policy(self, name: str) -> Policy:
        doing = Doing(f"show who may write to the repository {name}", "artifactregistry.repositories.getIamPolicy")
        request = {"resource": self._name(name), "options": {"requested_policy_version": 3}}
        try:
            policy: Policy = self._ask(doing, "get_iam_policy", request)
        except Missing:
            raise Conflict(f"the repository {name} is gone: somebody else is at work on it") from None
        if not policy.etag:  # every policy has one
            raise lost(doing, "sent no policy")
        return policy

    def _listed(self) -> Iterator[ar.Repository]:
        doing = Doing(f"list the repositories of {self.location}", "artifactregistry.repositories.list")
        try:
            for page in self._pages(doing, "list_repositories", self._parent):
                yield from (self._checked(repository, doing) for repository in page.repositories)
        except Missing:
            raise ProviderError(
                f"Google Cloud has no location {self.location} in the project {self._login.project}; "
                "check `location` and `project`"
            ) from None

    def _pages(self, doing: Doing, method: str, parent: str, **how: str) -> Iterator[Any]:
        """The answers of a listing, as they are asked for."""
        token = ""
        while True:
            page = self._ask(doing, method, {"parent": parent, "page_size": PAGE, "page_token": token, **how})
            yield page
            token = page.next_page_token
            if not token:
                return

    def _ask(self, doing: Doing, method: str, request: Mapping[str, Any]) -> Any:
        """Call a method of Google's client once; the core repeats what may be repeated."""
        return self._login.call(
            doing, lambda: getattr(self._client, method)(request, retry=None, timeout=self._login.seconds)
        )

    def _checked(self, repository: ar.Repository, doing: Doing) -> ar.Repository:
        """A repository as an answer holds it; one without its name is no answer."""
        if "/repositories/" not in repository.name:
            raise lost(doing, "sent something that is no repository")
        return repository

    def _name(self, repository: str) -> str:
        return f"{self._parent}/repositories/{repository}"

    @cached_property
    def _client(self) -> ar.ArtifactRegistryClient:
        from google.cloud import artifactregistry_v1 as ar

        options = {"api_endpoint": self._url} if self._url else None
        return ar.ArtifactRegistryClient(credentials=self._login.credentials, transport="rest", client_options=options)


def spec_of(repository: ar.Repository) -> Repository:
    """A repository in the words of fleet.yaml."""
    mode = "" if repository.mode.name in ("MODE_UNSPECIFIED", "STANDARD_REPOSITORY") else f" ({repository.mode.name})"
    return Repository(
        owner=repository.labels.get(LABEL),
        description=repository.description,
        immutable=repository.docker_config.immutable_tags,
        keep=_kept(repository),
        format=f"{repository.format_.name}{mode}",
    )


def id_of(repository: ar.Repository) -> str:
    """The last part of a repository's name."""
    return str(repository.name).rpartition("/")[2]


def _policies(repository: ar.Repository) -> dict[str, Any]:
    return dict(repository.cleanup_policies)


def _cleanup(keep: int | None) -> dict[str, Any]:
    """The cleanup policies that keep the newest images: a policy to keep weighs more than one to delete.

    https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy
    """
    if keep is None:
        return {}
    return {
        _DELETE: {"id": _DELETE, "action": "DELETE", "condition": {"tag_state": "ANY"}},
        _KEEP: {"id": _KEEP, "action": "KEEP", "most_recent_versions": {"keep_count": keep}},
    }


def _kept(repository: ar.Repository) -> int | None:
    ours = {name: policy for name, policy in repository.cleanup_policies.items() if name in (_DELETE, _KEEP)}
    if not ours:
        return None
    keep = int(ours[_KEEP].most_recent_versions.keep_count) if _KEEP in ours else ODD
    wanted = {name: type(next(iter(ours.values())))(policy) for name, policy in _cleanup(keep).items()}
    return ODD if ours != wanted or repository.cleanup_policy_dry_run else keep


def _as_google(wanted: Repository, labels: dict[str, str], policies: dict[str, Any]) -> dict[str, Any]:
    """A repository in Google's words: ours laid over the labels and cleanup policies that stand there."""
    mine = {LABEL: wanted.owner} if wanted.owner else {}
    others = {name: policy for name, policy in policies.items() if name not in (_DELETE, _KEEP)}
    return {
        "format_": DOCKER,
        "description": wanted.description,
        "labels": {**{key: value for key, value in labels.items() if key != LABEL}, **mine},
        "docker_config": {"immutable_tags": wanted.immutable},
        "cleanup_policies": {**others, **_cleanup(wanted.keep)},
    }
