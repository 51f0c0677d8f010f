"""Registry repositories in ECR: read all at once, made with their tag, and only ever forgotten."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from fleet.provider import Conflict, Context, ProviderError, Tag
from fleet_ecr.aws import Aws, Document, entries, tags_of
from fleet_ecr.policies import kept_by, lifecycle_policy, text_of
from fleet_ecr.refusals import Refused
from fleet_ecr.specs import TAG, EcrSettings, Names, Repository

_NOT_THERE = ("RepositoryNotFoundException",)


class Repositories:
    """The repositories of one account and region."""

    def __init__(self, aws: Aws, settings: EcrSettings, context: Context) -> None:
        self._aws = aws
        self._context = context
        self._names = Names(settings)
        self._keeps = settings.keep is not None

    def all_names(self) -> list[str]:
        """The names of all repositories: a request for each thousand."""
        return [str(entry["repositoryName"]) for entry in self._listed()]

    def read(self, names: Collection[str]) -> dict[str, Repository]:
        """Those that exist: a listing of all, and for each of ours its tags (and its lifecycle policy, if we keep one).

        One that is asked for by name and is not there would make AWS refuse the whole question.
        """
        listed = {str(entry["repositoryName"]): entry for entry in self._listed()}
        there = [name for name in names if name in listed]
        found = self._context.each(lambda name: self._read(listed[name]), there)
        return dict(zip(there, found, strict=True))

    def make(self, name: str, wanted: Repository, *, is_new: bool) -> None:
        """Make a repository what it is to be, from wherever it stands; raises ProviderError for a foreign one."""
        before = None if is_new else self._one(name)
        if before is None:
            if self._create(name, wanted):
                return
            before = self._one(name)
            if before is None:
                raise Conflict(f"the repository {name} comes and goes in ECR: somebody else is at work on it")
        refuse_foreign(before.owner, self._context.fleet, f"repository {name}")
        self._settle(name, before, wanted)

    def forget(self, name: str) -> None:
        """Take our tag off a repository; its images and all else stay."""
        before = self._one(name)
        if before is not None and before.owner == self._context.fleet:
            arn = self._names.arn(name)
            self._aws.call("ecr", "untag_resource", _NOT_THERE, resourceArn=arn, tagKeys=[TAG])

    def tags(self, name: str) -> list[Tag]:
        """The tags of a repository, newest first; none for one that is not there."""
        images: list[Document] = []
        try:
            images.extend(
                self._aws.pages(
                    "ecr",
                    "describe_images",
                    "imageDetails",
                    repositoryName=name,
                    filter={"tagStatus": "TAGGED"},
                    maxResults=1000,
                )
            )
        except Refused as error:
            if error.code not in _NOT_THERE:
                raise
        try:
            found = [
                Tag(tag, image["imageDigest"], image["imagePushedAt"]) for image in images for tag in image["imageTags"]
            ]
        except KeyError:
            raise ProviderError(f"the answer does not say when the images of {name} were pushed; is it AWS?") from None
        return sorted(found, key=lambda tag: tag.date, reverse=True)

    def _listed(self) -> list[Document]:
        registry = self._names.account
        return list(
            self._aws.pages("ecr", "describe_repositories", "repositories", registryId=registry, maxResults=1000)
        )

    def _one(self, name: str) -> Repository | None:
        page = self._aws.call("ecr", "describe_repositories", _NOT_THERE, repositoryNames=[name])
        return None if page is None else self._read(entries(page, "repositories")[0])

    def _read(self, entry: Document) -> Repository:
        arn = self._names.arn(str(entry["repositoryName"]))
        answer = self._aws.ask("ecr", "list_tags_for_resource", resourceArn=arn)
        entries(answer, "tags")
        lifecycle = self._lifecycle(str(entry["repositoryName"])) if self._keeps else None
        keep = kept_by(lifecycle) if lifecycle is not None else None
        return Repository(
            owner=tags_of(answer, "tags").get(TAG),
            mutability=str(entry.get("imageTagMutability")),
            scan=bool((entry.get("imageScanningConfiguration") or {}).get("scanOnPush")),
            keep=keep,
            lifecycle=text_of(lifecycle) if lifecycle is not None and keep is None else None,
        )

    def _lifecycle(self, name: str) -> Document | None:
        accept = ("LifecyclePolicyNotFoundException",)
        answer = self._aws.call("ecr", "get_lifecycle_policy", accept, repositoryName=name)
        if answer is None:
            return None
        try:
            document: Document = json.loads(answer["lifecyclePolicyText"])
        except (KeyError, ValueError):
            raise ProviderError(f"the answer has no lifecycle policy of {name}; is it AWS?") from None
        return document

    def _create(self, name: str, wanted: Repository) -> bool:
        """Make a repository; False where it exists already. Its tag comes with it, so it is ours from the first."""
        made = self._aws.call(
            "ecr",
            "create_repository",
            ("RepositoryAlreadyExistsException",),
            repositoryName=name,
            tags=[{"Key": TAG, "Value": self._context.fleet}],
            imageTagMutability=wanted.mutability,
            imageScanningConfiguration={"scanOnPush": wanted.scan},
        )
        if made is not None:
            self._keep(name, wanted)
        return made is not None

    def _settle(self, name: str, before: Repository, wanted: Repository) -> None:
        named: Mapping[str, Any] = {"repositoryName": name}
        if before.mutability != wanted.mutability:
            self._aws.call("ecr", "put_image_tag_mutability", **named, imageTagMutability=wanted.mutability)
        if before.scan != wanted.scan:
            scanning = {"scanOnPush": wanted.scan}
            self._aws.call("ecr", "put_image_scanning_configuration", **named, imageScanningConfiguration=scanning)
        if (before.keep, before.lifecycle) != (wanted.keep, wanted.lifecycle):
            self._keep(name, wanted)
        if before.owner != wanted.owner:
            tags = [{"Key": TAG, "Value": self._context.fleet}]
            self._aws.call("ecr", "tag_resource", resourceArn=self._names.arn(name), tags=tags)

    def _keep(self, name: str, wanted: Repository) -> None:
        if wanted.keep is not None:
            text = json.dumps(lifecycle_policy(wanted.keep))
            self._aws.call("ecr", "put_lifecycle_policy", repositoryName=name, lifecyclePolicyText=text)


def refuse_foreign(owner: str | None, fleet: str, what: str) -> None:
    """Raise ProviderError when something carries another fleet's tag."""
    if owner not in (None, fleet):
        raise ProviderError(f"the {what} in AWS belongs to the fleet {owner}: take it out of that fleet's file first")
