"""Makes each thing what it is to be, from any state of the world; what another fleet owns is never written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from fleet.provider import Address, Change, Conflict, ProviderError, TryAgain
from fleet_google.artifacts import SECONDS_TO_MAKE, id_of, spec_of
from fleet_google.iam import account_of, marked
from fleet_google.place import ACCOUNT, REPOSITORY, WRITER, Place, repository_of
from fleet_google.specs import DOCKER, Account, Grant, HostRepository, Pool, PoolProvider, Repository

if TYPE_CHECKING:
    from google.cloud import artifactregistry_v1 as ar


def make(place: Place, changes: Collection[Change]) -> None:
    """Carry out one group; rights come after the repository that they are in, and leave before its marker does.

    However many leave or come, the policy of the repository is written once for the former and once for the latter.
    """
    _forget(place, [change.address for change in changes if change.after is None])
    coming = [change for change in changes if change.after is not None]
    for change in sorted(coming, key=lambda change: change.address.kind == ACCOUNT):
        _make(place, change)
    _set_roles(
        place, {change.address: change.after.roles for change in coming if isinstance(change.after, Grant | Account)}
    )


def _make(place: Place, change: Change) -> None:
    """Make one thing; the rights of a writer or an account are none of it yet."""
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
        case "account", Account():
            _make_account(place, address)
        case "writer", Grant():
            pass
        case _:
            raise LookupError(f"Artifact Registry has no {address.kind} that could be so")


def _forget(place: Place, addresses: Collection[Address]) -> None:
    """What we gave goes, and a service account of ours with all of its keys; of a repository the marker does."""
    owners = {address: _owner_of(place, address) for address in addresses if address.kind == ACCOUNT}
    ours = [address for address, owner in owners.items() if owner in (None, place.fleet)]
    _set_roles(place, {address: () for address in addresses if address.kind == WRITER or address in ours})
    for address in ours:
        if owners[address] is not None:
            place.iam.delete_account(place.email(address))
    for address in addresses:
        if address.kind == REPOSITORY:
            _forget_repository(place, repository_of(address))


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


def _make_account(place: Place, address: Address) -> None:
    email, mark = place.email(address), marked(place.fleet)
    standing = place.iam.account(email)
    if standing is None:
        place.iam.make_account(address.name.rpartition("/")[2], mark)
        return
    before = account_of(standing)
    _refuse_foreign(place, f"service account {email}", before.owner)
    if before.disabled:
        place.iam.enable_account(email)
    if before.owner is None:
        place.iam.describe_account(email, mark)


def _owner_of(place: Place, address: Address) -> str | None:
    """The fleet of a service account, None where it has none, or is gone and may have left rights behind."""
    standing = place.iam.account(place.email(address))
    return account_of(standing).owner if standing is not None else None


def _set_roles(place: Place, wanted: Mapping[Address, Collection[str]]) -> None:
    """Have writers and accounts hold these roles in their repository and no others."""
    for name in sorted({repository_of(address) for address in wanted}):
        standing = place.artifacts.repository(name)
        roles = {place.member(address): wanted[address] for address in wanted if repository_of(address) == name}
        if standing is None:
            if any(roles.values()):
                raise Conflict(f"the repository {name} is gone: somebody else is at work on it")
            continue
        if not place.is_shared:
            _refuse_foreign(place, f"repository {name}", spec_of(standing).owner)
        place.artifacts.set_roles(name, roles)


def _refuse_foreign(place: Place, what: str, owner: str | None) -> None:
    if owner not in (None, place.fleet):
        raise ProviderError(f"the {what} belongs to the fleet {owner}")
