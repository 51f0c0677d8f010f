"""Makes each thing what it is to be, from any state of the world; what another fleet owns is never written."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from fleet.provider import Address, Change, Conflict, ProviderError, TryAgain
from fleet_google.artifacts import SECONDS_TO_MAKE, id_of, spec_of
from fleet_google.iam import account_of, marked
from fleet_google.place import ACCOUNT, WRITER, Place, repository_of
from fleet_google.specs import DOCKER, Account, Grant, HostRepository, Pool, PoolProvider, Repository

if TYPE_CHECKING:
    from google.cloud import artifactregistry_v1 as ar


def turn(change: Change) -> tuple[bool, bool]:
    """Rights come after their repository, and leave before its marker does."""
    leaving = change.after is None
    return leaving, (change.address.kind in (WRITER, ACCOUNT)) != leaving


def make(place: Place, change: Change) -> None:
    """Carry out one change."""
    address = change.address
    match address.kind, change.after:
        case "pool", Pool():
            place.iam.make_pool(address.name)
        case "provider", PoolProvider() as wanted:
            pool, _, name = address.name.partition("/")
            place.iam.make_provider(pool, name, wanted)
        case "repository", Repository() as wanted:
            _make_repository(place, repository_of(address), wanted, look=change.before is not None)
        case "repository", HostRepository():
            _refuse_format(_create(place, repository_of(address), Repository()))
        case "repository", None:
            _forget_repository(place, repository_of(address))
        case "account", Account() as wanted:
            _make_account(place, address, wanted)
        case "account", None:
            _forget_account(place, address)
        case "writer", Grant() as wanted:
            _set_roles(place, address, wanted.roles)
        case "writer", None:
            _set_roles(place, address, ())
        case _:
            raise LookupError(f"Artifact Registry has no {address.kind} that could be so")


def _make_repository(place: Place, name: str, wanted: Repository, *, look: bool) -> None:
    standing = (place.artifacts.repository(name) if look else None) or _create(place, name, wanted)
    if standing is None:
        return
    before = spec_of(standing)
    _refuse_foreign(place, f"repository {name}", before.owner)
    _refuse_format(standing)
    if before != wanted:
        place.artifacts.update(name, standing, wanted)


def _create(place: Place, name: str, wanted: Repository) -> ar.Repository | None:
    """Make a repository; the one that stands where there is one already."""
    if place.artifacts.create(name, wanted):
        return None
    standing = place.artifacts.repository(name)
    if standing is None:
        raise TryAgain(f"the repository {name} is being made", SECONDS_TO_MAKE)
    return standing


def _refuse_format(standing: ar.Repository | None) -> None:
    if standing is not None and (found := spec_of(standing).format) != DOCKER:
        raise ProviderError(f"the repository {id_of(standing)} is for {found}, and so takes no images of fleet's")


def _forget_repository(place: Place, name: str) -> None:
    standing = place.artifacts.repository(name)
    if standing is not None and spec_of(standing).owner == place.fleet:
        place.artifacts.update(name, standing, spec_of(standing).model_copy(update={"owner": None}))


def _make_account(place: Place, address: Address, wanted: Account) -> None:
    email, mark = place.email(address), marked(place.fleet)
    standing = place.iam.account(email)
    if standing is None:
        place.iam.make_account(address.name.rpartition("/")[2], mark)
    else:
        before = account_of(standing)
        _refuse_foreign(place, f"service account {email}", before.owner)
        if before.disabled:
            place.iam.enable_account(email)
        if before.owner is None:
            place.iam.describe_account(email, mark)
    _set_roles(place, address, wanted.roles)


def _forget_account(place: Place, address: Address) -> None:
    """What we gave it goes; the account itself goes with all of its keys, unless somebody else made it."""
    standing = place.iam.account(place.email(address))
    if standing is None:
        return
    owner = account_of(standing).owner
    if owner not in (None, place.fleet):
        return
    _set_roles(place, address, ())
    if owner is not None:
        place.iam.delete_account(place.email(address))


def _set_roles(place: Place, address: Address, roles: Collection[str]) -> None:
    name = repository_of(address)
    standing = place.artifacts.repository(name)
    if standing is None:
        if roles:
            raise Conflict(f"the repository {name} is gone: somebody else is at work on it")
        return
    if not place.is_shared:
        _refuse_foreign(place, f"repository {name}", spec_of(standing).owner)
    place.artifacts.set_roles(name, place.member(address), roles)


def _refuse_foreign(place: Place, what: str, owner: str | None) -> None:
    if owner not in (None, place.fleet):
        raise ProviderError(f"the {what} belongs to the fleet {owner}")
