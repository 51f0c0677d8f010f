"""Builds: the commit that a source repository got is waited for until its image stands in the registry.

A build is no thing that exists or not, but a step: planned when the plan changes what the build depends on, done when
the run of *that* commit is green and its tag is there. What it came to (commit, tag, digest) is kept as a receipt,
which the sites that wait for it read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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

WORKFLOW = ".github/workflows/build.yaml"

FIRST_LOOK, LAST_LOOK = 0.5, 10.0
"""Seconds between two looks at a build: few at first, for one that ends at once, and then half as many again."""

PATIENCE = 3600.0
"""Seconds that a build may take before the run ends, to be resumed."""

TO_BEGIN = 120.0
"""Seconds within which a build begins, or something keeps it from beginning."""


class Built(Spec):
    """A build of the commit that the plan makes: which image (full name) and where its source lies."""

    image: str
    host: str


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
        """A build of ten minutes, looked at every few seconds."""
        return 10

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """Nothing: a build that is planned is one that has not happened."""
        return {}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> Receipts:
        """Wait for each build; raises ProviderError for a red one, OutOfBudget for one that takes too long."""
        return {change.address: self._await(change) for change in changes}

    def _await(self, change: Change) -> Mapping[str, Any]:
        assert isinstance(change.after, Built)
        repository, host = change.address.name, self.hosts(change.after.host)
        written = self.receipts(Address(change.after.host, "files", repository)) or {}
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
            build = self.pace.repeat(host.limits, lambda: _look(host, repository, commit))
            if build.status == "success":
                return build
            if build.status == "none" and waited > TO_BEGIN:
                raise ProviderError(f"no build of {repository} at {build.tag} has begun; are its Actions enabled?")
            if build.status not in ("running", "none"):
                step = f" at the step {build.failed_step!r}" if build.failed_step else ""
                raise ProviderError(
                    f"the build of {repository} at {build.tag} ended as {build.status}{step}: {build.url}"
                )
            if waited > PATIENCE:
                raise OutOfBudget(f"the build of {repository} at {build.tag} goes on: {build.url}")
            self.pace.wait(pause, f"the build of {repository} at {build.tag} {build.url}".rstrip())
            waited += pause
            pause = min(pause * 1.5, LAST_LOOK)


def _look(host: CodeHost, repository: str, commit: str | None) -> Build:
    if commit is not None:
        return host.build_of(repository, commit, WORKFLOW)
    builds = host.builds(repository, WORKFLOW)
    newest = newest_success(builds)
    return newest or host.build_of(repository, builds[0].commit, WORKFLOW)


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
