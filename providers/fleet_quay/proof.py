"""Proves that a robot may push to its own repository, and to no neighbour, before anybody is given its token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.provider import Credentials, OciClient, ProviderError


def prove(client: OciClient, login: Credentials, repository: str, neighbour: Mapping[str, Any] | None) -> None:
    """Begin and cancel an upload, then ask the token service about a neighbour (as a listing describes it), if any.

    Nothing is written to the neighbour. Raises Denied when the robot may do too little, ProviderError when too much.
    """
    client.prove_push(repository, login)
    if neighbour is None:
        return
    other = f"{repository.partition('/')[0]}/{neighbour['name']}"
    granted = client.granted(other, login)
    harmless = {"pull"} if neighbour.get("is_public") else set()
    if granted is None:
        raise ProviderError(f"{client.host} does not say what {login.username} may do on {other}, so it is not trusted")
    if granted - harmless:
        raise ProviderError(
            f"the robot {login.username} may do more than push to {repository}: {client.host} grants it "
            f"{' and '.join(sorted(granted - harmless))} on {other}; look at the teams and the default permissions of "
            "the organisation"
        )
