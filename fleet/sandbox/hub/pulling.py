"""Looks an image up in its registry where a node of a cluster would pull it, and fails in the node's words."""

from __future__ import annotations

from fleet.errors import FleetError
from fleet.http import Http
from fleet.model import Secret
from fleet.oci import Credentials, Denied, OciClient
from fleet.reference import ImageReference, split_host
from fleet.sandbox.hub.settings import Node


class PullFailed(Exception):
    """A node could not have started this image."""


def pull(image: str, node: Node) -> None:
    """Make sure that a node could start an image; raises PullFailed with the reason that it would give."""
    try:
        reference = ImageReference.parse(image)
    except ValueError:
        raise PullFailed(f'InvalidImageName: couldn\'t parse image name "{image}"') from None
    host, name = split_host(reference.name)
    login = node.pulls.get(host)
    credentials = Credentials(login[0], Secret(login[1])) if login else None
    client = OciClient(node.registries.get(host, host), Http(lambda: None), credentials)
    what = reference.digest or reference.tag or "latest"
    try:
        if client.digest(name, what) is None:
            raise PullFailed(f'ErrImagePull: failed to resolve reference "{image}": not found')
        if node.platform not in client.platforms(name, what):
            raise PullFailed(f'ErrImagePull: no match for platform {node.platform} in the manifest of "{image}"')
    except Denied:
        raise PullFailed(
            f'ErrImagePull: pull access denied for "{image}": the repository does not exist or requires authorization'
        ) from None
    except FleetError as error:
        raise PullFailed(f'ErrImagePull: failed to pull image "{image}": {error}') from error
