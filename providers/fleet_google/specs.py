"""What is wanted of, and what stands in, Artifact Registry and IAM. All of it pure, and without Google's packages."""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar

from fleet.provider import Objection, Owned, Spec

LABEL = "fleet"
"""The label of a repository that says whose it is."""

MARK = "managed by fleet "
"""Is the whole description of a service account of ours, with the fleet's name behind it."""

ISSUER = "https://token.actions.githubusercontent.com"
"""https://docs.github.com/en/actions/reference/security/oidc"""

ATTRIBUTE = "repository_ref"
"""The attribute that names one branch of one source repository: `OWNER/NAME@refs/heads/BRANCH`."""

MAPPING = {"google.subject": "assertion.sub", f"attribute.{ATTRIBUTE}": 'assertion.repository + "@" + assertion.ref'}
"""What a login is known by, from GitHub's claims."""

WRITER = "roles/artifactregistry.writer"
"""Reads and writes images, and deletes none: https://cloud.google.com/artifact-registry/docs/access-control"""

DOCKER = "DOCKER"

ODD = 0
"""`keep` of a repository whose cleanup policies of ours were changed by hand."""


_LONGEST_SUBJECT = 127


class Repository(Owned):
    """A Docker repository; its other labels, cleanup policies and rights are not fleet's business."""

    description: str = ""
    immutable: bool = False
    keep: int | None = None
    format: str = DOCKER

    def objection(self, standing: Spec | None) -> Objection | None:
        """A repository of another format cannot become one for images."""
        return _of_another_format(standing)


class HostRepository(Spec):
    """The repository behind a gcr.io host: it is everybody's, so it is made where it is missing, and never changed."""

    format: str = DOCKER

    def objection(self, standing: Spec | None) -> Objection | None:
        """A repository of another format cannot become one for images."""
        return _of_another_format(standing)


def _of_another_format(standing: Spec | None) -> Objection | None:
    found = standing.format if isinstance(standing, Repository | HostRepository) else DOCKER
    if found == DOCKER:
        return None
    return Objection(
        f"is a repository for {found.replace('_', ' ').lower()}, which cannot be changed",
        "Choose another name, or another `repository:`.",
    )


class Grant(Owned):
    """What the builds of one branch of one source repository may do in a registry repository.

    It has no room for a marker and belongs to the fleet of its repository. What others may do there is not compared.
    """

    is_credential: ClassVar[bool] = True

    roles: tuple[str, ...] = (WRITER,)


class Pool(Spec):
    """A workload identity pool: shared by all of a project's fleets, made where it is missing, never changed."""

    is_credential: ClassVar[bool] = True

    disabled: bool = False

    def objection(self, standing: Spec | None) -> Objection | None:
        """A pool that somebody disabled is theirs to enable."""
        if isinstance(standing, Pool) and standing.disabled and not self.disabled:
            return Objection("was disabled by hand", "Enable it, or name another with `pool:`.")
        return None


class PoolProvider(Spec):
    """A pool's provider for GitHub, shared as its pool is: made where it is missing, never changed."""

    is_credential: ClassVar[bool] = True

    issuer: str = ISSUER
    attribute: str = MAPPING[f"attribute.{ATTRIBUTE}"]
    subject: str = MAPPING["google.subject"]
    condition: str | None = None
    disabled: bool = False

    def objection(self, standing: Spec | None) -> Objection | None:
        """A provider that differs is somebody's, and others may depend on how it is."""
        if standing is not None and standing != self:
            return Objection(
                "exists already and is not as fleet needs it",
                f"Set it as docs/registries/gar.md says, or name another with `provider:`. It is to have: {self!r}",
            )
        return None


class Account(Owned):
    """A service account that one image's builds push as, and what it may do in that image's repository."""

    is_credential: ClassVar[bool] = True

    roles: tuple[str, ...] = (WRITER,)
    disabled: bool = False


def source_key(source: str, branch: str) -> str:
    """The value of our attribute for the builds of one branch of one source repository."""
    return f"{source}@refs/heads/{branch}"


def check_subject(source: str, branch: str) -> None:
    """Raise ValueError for a source repository whose builds have a name that is longer than Google takes.

    127 bytes: https://cloud.google.com/iam/docs/workload-identity-federation#mapping
    """
    if len(f"repo:{source}:ref:refs/heads/{branch}") > _LONGEST_SUBJECT:
        raise ValueError(
            f"the names of {source} and its branch {branch} are too long together for Google to know its builds by: "
            f"at most {_LONGEST_SUBJECT - len('repo::ref:refs/heads/')} letters; write `push: key` for such images"
        )


def federated(number: str, pool: str, key: str) -> str:
    """The identities of a pool whose attribute of ours has this value, as the member of a policy."""
    pools = f"iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools"
    return f"principalSet://{pools}/{pool}/attribute.{ATTRIBUTE}/{key}"


def provider_id(owner: str) -> str:
    """The provider for an owner of source repositories: 4 to 32 lower-case letters, digits and hyphens."""
    return _short(f"gh-{owner.lower()}", 32)


def account_id(image: str, repository: str) -> str:
    """The service account of an image: 6 to 30 lower-case letters, digits and hyphens, a letter first.

    Its name is the whole project's, so `repository` (LOCATION/REPOSITORY) tells apart what is called alike there.
    """
    return _hashed(f"fleet-{image}", f"{repository}/{image}", 30)


def _short(name: str, longest: int) -> str:
    """The name itself where it is one that Google takes, else as much of it as fits, and a part of its hash."""
    return name if _clean(name) == name and len(name) <= longest else _hashed(name, name, longest)


def _hashed(name: str, of: str, longest: int) -> str:
    return f"{_clean(name)[: longest - 9].rstrip('-')}-{hashlib.sha256(of.encode()).hexdigest()[:8]}"


def _clean(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name).rstrip("-")
