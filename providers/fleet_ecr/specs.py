"""What fleet.yaml says of ECR, what stands there, and how things are called. All of it pure."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from fleet.provider import Owned, OwnLogin, Settings, Spec, Url, host_of, split_host
from fleet_ecr.policies import AUDIENCE, ISSUER

REPOSITORY, ROLE, USER, ISSUERS = "repository", "role", "user", "oidc-provider"

TAG = "fleet"
"""The key of the tag whose value is the name of the fleet that owns a thing."""
PATH = "/fleet/"
"""Where in IAM's tree fleet's roles and users lie."""

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
_LONGEST_NAME = 256
_LONGEST_IAM_NAME = 64

Text = Annotated[str, StringConstraints(min_length=1)]


class EcrSettings(Settings):
    """Amazon Elastic Container Registry, private."""

    model_config = ConfigDict(strict=True)

    type: Literal["ecr"] = Field(description="Amazon ECR.")
    account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] = Field(
        description="The AWS account: 12 digits in quotes."
    )
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")] = Field(
        description="The AWS region, such as us-west-2."
    )
    prefix: Text | None = Field(default=None, description="What stands before each image's name.")
    immutable: bool = Field(default=False, description="Whether a tag can be written once only.")
    scan: bool = Field(default=False, description="Whether images are scanned when pushed.")
    keep: int | None = Field(
        default=None,
        ge=1,
        description="How many newest images the lifecycle policy keeps; absent: fleet leaves the policy alone.",
    )
    push: Literal["keyless", "key"] | OwnLogin = Field(
        default="keyless",
        description="How builds log in: a role that the source's runs assume, an access key, or your own (its id as "
        "`username`).",
    )
    source: Annotated[str, StringConstraints(pattern=r"^[^/\s]+/[^/\s]+$")] | None = Field(
        default=None,
        description="The GitHub repository that pushes an image without `repository:`, keyless; {image} is its name.",
    )
    url: Url | None = Field(default=None, description="Where all of AWS is served, for an AWS that is emulated.")


class Repository(Owned):
    """A registry repository. Its encryption is not compared: it cannot be changed.

    `keep` and `lifecycle` (a lifecycle policy that is none of ours) are None where fleet leaves the policy alone.
    """

    mutability: str = "MUTABLE"
    scan: bool = False
    keep: int | None = None
    lifecycle: str | None = None


class User(Owned):
    """An IAM user, and all that it may do: `pushes_to` is one repository's name, else the policies themselves."""

    is_credential: ClassVar[bool] = True

    pushes_to: str
    attached: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Role(Owned):
    """An IAM role, all that it may do, and `trusts`: the subject that may assume it, else the policy itself."""

    is_credential: ClassVar[bool] = True

    pushes_to: str
    trusts: str
    attached: tuple[str, ...] = ()


class IdentityProvider(Spec):
    """The account's trust in GitHub Actions: one for all fleets and for others too, so it has no owner and stays."""

    is_credential: ClassVar[bool] = True

    audience: str = AUDIENCE


def check_name(name: str) -> None:
    """Raise ValueError, in a sentence, for a name that ECR won't take."""
    if not _NAME.fullmatch(name) or not 2 <= len(name) <= _LONGEST_NAME:
        raise ValueError(
            f"ECR cannot take {name!r} as the name of a repository: write 2 to {_LONGEST_NAME} lower-case letters and "
            "digits, with single . _ - or / between them"
        )


def partition_of(region: str) -> str:
    """The partition that a region lies in, as ARNs begin with it."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


class Names:
    """How the things of one account and region are called."""

    def __init__(self, settings: EcrSettings) -> None:
        self.account, self.region, self._url = settings.account, settings.region, settings.url
        self.partition = partition_of(settings.region)
        self.repositories_arn = f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/"
        self.issuer_arn = f"arn:{self.partition}:iam::{self.account}:oidc-provider/{ISSUER}"

    @property
    def registry(self) -> str:
        """Where the registry is served."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return self._url or f"https://{self.account}.dkr.ecr.{self.region}.{suffix}"

    @property
    def host(self) -> str:
        """The registry's host, as in the names of its images."""
        return split_host(f"{host_of(self.registry)}/any/name")[0]

    def arn(self, repository: str) -> str:
        """A repository's ARN."""
        return f"{self.repositories_arn}{repository}"

    def identity(self, repository: str) -> str:
        """The name of a repository's role or user; a long one is cut, and told apart by a hash."""
        name = f"fleet-{self.region}-{repository.replace('/', '+')}"
        if len(name) <= _LONGEST_IAM_NAME:
            return name
        return f"{name[: _LONGEST_IAM_NAME - 9]}-{hashlib.sha256(repository.encode()).hexdigest()[:8]}"

    def role_arn(self, role: str) -> str:
        """A role's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role{PATH}{role}"
