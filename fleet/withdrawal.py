"""Withdrawal: what the builds of an image pushed with before, and need no more, leaves last.

The image stays, and its builds log in another way: without a secret, as somebody else, or to another registry. So the
workflow that does comes first, with a green build; then no build that could still use the older credential is running;
then the secret goes, and the identity with all its credentials. What leaves together with its image waits for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fleet.builds import FILES, WORKFLOW, build_address
from fleet.config import BuiltImage
from fleet.model import Address, Change
from fleet.plan import LeftOut
from fleet.provider import CodeHost
from fleet.retirement import Retired, retirement_address
from fleet.services import Workshop


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The changes of a plan, older logins last, and what of these has to wait for a later plan."""

    changes: Sequence[Change]
    left_out: Sequence[LeftOut]


@dataclass(frozen=True, slots=True)
class _Login:
    """What an image's builds pushed with: the change of the secret that held it, and the identity whose it is."""

    secret: Change
    source: Address
    host: CodeHost
    repository: str

    @property
    def parts(self) -> frozenset[Address]:
        """All that leaves with it, as far as it is in a plan."""
        return frozenset((self.secret.address, self.source))


def withdraw(
    changes: Sequence[Change], builds: Sequence[Change], waiting: Collection[Address], workshop: Workshop
) -> Withdrawn:
    """Put the older logins of images that stay behind what takes their place.

    `builds` are those that the plan waits for, and `waiting` the files that only a merge will write. Costs two requests
    for each image whose login leaves without such a build.
    """
    awaited = {build.address for build in builds}
    found = {change.address: change for change in changes}
    leaving = {change.address for change in changes if change.after is None}
    left_out: list[LeftOut] = []
    for login in _replaced(changes, workshop):
        if leaving.isdisjoint(login.parts):
            continue
        why = "" if build_address(login.repository) in awaited else _unproved(login, {*found, *waiting}, workshop)
        if why:
            parts = login.parts & leaving & found.keys()
            rested_on = leaving & {need for part in parts for need in found[part].needs}
            left_out += [LeftOut(one, found.pop(one).before, None, why) for one in (parts | rested_on) & found.keys()]
        else:
            found |= {change.address: change for change in _in_order(login, found, awaited)}
    return Withdrawn(list(found.values()), left_out)


def _replaced(changes: Sequence[Change], workshop: Workshop) -> Iterator[_Login]:
    """Of each image that stays, the login whose secret leaves or is to hold another credential."""
    images = workshop.fleet.images.values()
    staying = {image.repository.lower() for image in images if isinstance(image, BuiltImage) and image.repository}
    for change in changes:
        source = change.before.credential_of() if change.before else None
        if source is None or (change.after is not None and change.after.credential_of() == source):
            continue
        host = workshop.code_host(change.address.provider)
        repository = host.repository_of(change.address)
        if repository.lower() in staying:
            yield _Login(change, source, host, repository)


def _unproved(login: _Login, files: Collection[Address], workshop: Workshop) -> str:
    """Why nothing shows yet that builds can do without a login; empty where the newest one could, or there is none."""
    repository = login.repository
    if workshop.proposes(repository) and Address(login.host.name, FILES, repository) in files:
        return f"waits until the workflow of {repository} that does without it is merged"
    builds = workshop.pace.repeat(login.host.limits, partial(login.host.builds, repository, WORKFLOW))
    newest = next((build for build in builds if build.status != "none"), None)
    if newest is None or newest.status == "success":
        return ""
    return f"waits for a green build of {repository} without it; the newest is {newest.status}: {newest.url}"


def _in_order(login: _Login, found: dict[Address, Change], awaited: Collection[Address]) -> Iterator[Change]:
    """The build first, then a look for builds that began before it, then the secret, and the identity last."""
    secret, identity = login.secret, found.get(login.source)
    build = build_address(login.repository)
    done = (build,) if build in awaited else ()
    if identity is None or identity.after is not None:
        yield replace(secret, needs=(*secret.needs, *done))
        return
    address = retirement_address(login.source)
    holds_another = (secret.address,) if secret.after is not None else ()
    wanted = Retired(host=login.host.name, repository=login.repository, leaves=True)
    yield Change(address, None, wanted, (*done, *holds_another), group=str(address))
    if not holds_another:
        yield replace(secret, needs=(*secret.needs, address, login.source))
    for change in found.values():
        if change.group == identity.group and change.after is None:
            # Apart from what is made in that group, which the build needs.
            yield replace(change, needs=(*change.needs, address), group=str(login.source))
