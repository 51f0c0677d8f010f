"""Looks an image up in its registry where a node of a cluster would pull it, and fails in the node's words."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.errors import FleetError
from fleet.http import Http
from fleet.oci import Denied, OciClient
from fleet.reference import ImageReference, split_host


class PullFailed(Exception):
    """A node could not have started this image."""


def pull(image: str, registries: Mapping[str, str], platform: str) -> None:
    """Make sure that an image exists for a platform; raises PullFailed with the reason that a node would give.

    `registries` says by host where a registry is reached that is not at its own name.
    """
    try:
        reference = ImageReference.parse(image)
    except ValueError:
        raise PullFailed(f'InvalidImageName: couldn\'t parse image name "{image}"') from None
    host, name = split_host(reference.name)
    client = OciClient(registries.get(host, host), Http(lambda: None))
    what = reference.digest or reference.tag or "latest"
    try:
        if client.digest(name, what) is None:
            raise PullFailed(f'ErrImagePull: failed to resolve reference "{image}": not found')
        if platform not in client.platforms(name, what):
            raise PullFailed(f'ErrImagePull: no match for platform {platform} in the manifest of "{image}"')
    except Denied:
        raise PullFailed(
            f'ErrImagePull: pull access denied for "{image}": the repository does not exist or requires authorization'
        ) from None
    except FleetError as error:
        raise PullFailed(f'ErrImagePull: failed to pull image "{image}": {error}') from error
