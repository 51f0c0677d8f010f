"""Builds: the commit that a source repository got is waited for until its image stands in the registry.

A build is no thing that exists or not, but a step: planned when the plan changes what the build depends on, done when
the run of *that* commit is green and its tag is there. What it came to (commit, tag, digest) is kept as a receipt,
which the sites that wait for it read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from fleet.config import Hub
from fleet.errors import OutOfBudget, ProviderError
from fleet.model import Address, Change, Spec, Unknown
from fleet.pace import Pace
from fleet.provider import Build, CodeHost, Limits, Provider, Receipts, Reveal
from fleet.reference import ImageReference, split_host
from fleet.resolution import RegistryAt, resolve
from fleet.site import SiteReference

PROVIDER = "builds"
KIND = "build"

FILES = "files"
"""The kind of the managed files of a source repository, whose commit starts its build."""

WORKFLOW = ".github/workflows/build.yaml"

FIRST_LOOK, LAST_LOOK = 0.5, 30.0
"""Seconds between two looks at a build: few at first, for one that ends at once, and then half as many again."""

LOOKS = 30
"""How often a build of ten minutes is looked at, about."""

PATIENCE = 3600.0
"""Seconds that a build may take before the run ends, to be resumed."""

TO_BEGIN = 120.0
"""Seconds within which a build begins, or something keeps it from beginning."""


class Built(Spec):
    """A build of the commit that the plan makes: which image (full name) and where its source lies."""

    image: str
    host: str

    def in_words(self) -> str:
        """What is waited for."""
        return f"until it is green and its image stands in {self.image}"


def build_address(repository: str) -> Address:
    """The address of the build of a source repository."""
    return Address(PROVIDER, KIND, repository)


@dataclass(frozen=True, slots=True)
class Builds(Provider):
    """Waits for builds; `hosts` finds a code host by name, `receipts` what was written where."""

    hosts: Callable[[str], CodeHost]
    registry_at: RegistryAt
    receipts: Callable[[Address], Mapping[str, Any] | None]
    pace: Pace
    name: str = PROVIDER

    kinds: ClassVar[Mapping[str, type[Spec]]] = {KIND: Built}
    limits: ClassVar[Limits] = Limits(at_once=64)  # type: ignore[misc]

    def cost(self, change: Change) -> int:
        """As often as a build of ten minutes is looked at."""
        return LOOKS

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """Nothing: a build that is planned is one that has not happened."""
        return {}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Receipts:
        """Wait for each build; raises ProviderError for a red one, OutOfBudget for one that takes too long."""
        return {change.address: self._await(change) for change in changes}

    def _await(self, change: Change) -> Mapping[str, Any]:
        assert isinstance(change.after, Built)
        repository, host = change.address.name, self.hosts(change.after.host)
        written = self.receipts(Address(change.after.host, FILES, repository)) or {}
        commit = written.get("commit") if written.get("builds") else None
        build = self._finished(host, repository, commit)
        reference = ImageReference(change.after.image, build.tag)
        digest = resolve([reference], self.registry_at, self.pace).digests.get(reference)
        if digest is None:
            raise ProviderError(f"the build of {repository} is green, but {reference} is not there: {build.url}")
        return {
            "commit": build.commit,
            "tag": build.tag,
            "digest": digest,
            "platforms": self._platforms(reference, digest),
        }

    def _platforms(self, reference: ImageReference, digest: str) -> list[str]:
        exact = ImageReference(reference.name, reference.tag, digest)
        registry = self.registry_at(split_host(reference.name)[0])
        return list(self.pace.repeat(registry.limits, lambda: registry.platforms([exact])).get(exact, ()))

    def _finished(self, host: CodeHost, repository: str, commit: str | None) -> Build:
        waited, pause = 0.0, FIRST_LOOK
        while True:
            build = self.pace.repeat(host.limits, partial(_look, host, repository, commit, late=waited > TO_BEGIN))
            if build.status == "success":
                return build
            if build.status != "running" and (build.status != "none" or waited > TO_BEGIN):
                raise ProviderError(_sentence(repository, build))
            if waited > PATIENCE:
                raise OutOfBudget(f"the build of {repository} at {build.tag} goes on: {build.url}")
            self.pace.wait(pause, f"the build of {repository} at {build.tag} {build.url}".rstrip())
            waited += pause
            pause = min(pause * 1.5, LAST_LOOK)


def _look(host: CodeHost, repository: str, commit: str | None, *, late: bool) -> Build:
    """The build that counts: that of our commit, or where it has come to nothing, of a newer one that contains it.

    Somebody's push cancels the build of the commit before it, and somebody's fix comes after a red one. A build that
    has not begun gets some time before newer ones are looked for (`late`).
    """
    if commit is None:
        builds = host.builds(repository, WORKFLOW)
        return newest_success(builds) or host.build_of(repository, builds[0].commit, WORKFLOW)
    build = host.build_of(repository, commit, WORKFLOW)
    if build.status in ("success", "running") or (build.status == "none" and not late):
        return build
    newer = _newer(host.builds(repository, WORKFLOW), commit)
    found = newest_success(newer) or next((one for one in newer if one.status == "running"), None)
    if found is not None:
        return found
    ended = next((one for one in newer if one.status != "none"), None)
    if ended is not None:
        return host.build_of(repository, ended.commit, WORKFLOW)
    superseded = build.status == "cancelled" and newer and not late
    return newer[0] if superseded else build


def _newer(builds: Sequence[Build], commit: str) -> Sequence[Build]:
    """The builds of the commits after one, newest first; none where it is no longer on the branch."""
    commits = [build.commit for build in builds]
    return builds[: commits.index(commit)] if commit in commits else ()


def _sentence(repository: str, build: Build) -> str:
    what = f"the build of {repository} at {build.tag}"
    if build.status == "none":
        return f"no build of {repository} at {build.tag} has begun; are its Actions enabled?"
    if build.status == "cancelled":
        return f"{what} was cancelled, and no newer one is green; run it again there, then apply again: {build.url}"
    step = f" at the step {build.failed_step!r}" if build.failed_step else ""
    return f"{what} ended as {build.status}{step}: {build.url}"


def newest_success(builds: Sequence[Build]) -> Build | None:
    """The newest commit with a green build, from the head of the branch backwards."""
    return next((build for build in builds if build.status == "success"), None)


def known(change: Change, receipts: Callable[[Address], Mapping[str, Any] | None], hubs: Mapping[str, Hub]) -> Change:
    """The change with the tag that its build has come to, where the plan could only say that one will.

    Raises ProviderError when the build has come to none, or to an image that a hub's nodes cannot run.
    """
    after = change.after
    if not isinstance(after, SiteReference) or not isinstance(after.tag, Unknown):
        return change
    receipt = receipts(build_address(after.tag.build_of))
    if receipt is None:
        raise ProviderError(f"the build of {after.tag.build_of} has not come to a tag")
    platforms = receipt.get("platforms", ())
    unfit = next((hub for hub in change.reaches if not hubs[hub].can_run(platforms)), None)
    if unfit:
        raise ProviderError(
            f"{after.image}:{receipt['tag']} was built for {', '.join(platforms)}, and the nodes of {unfit} need "
            f"{hubs[unfit].platform}"
        )
    return replace(change, after=SiteReference(image=after.image, tag=str(receipt["tag"])))
