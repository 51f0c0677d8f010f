"""Reads what stands there: one listing of repositories, and one policy for each repository with rights of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleet.provider import Address, Each, Spec
from fleet_google.artifacts import spec_of
from fleet_google.iam import account_of
from fleet_google.place import ACCOUNT, INSIDE, POOL, PROVIDER, REPOSITORY, WRITER, Place, repository_of
from fleet_google.specs import Account, Grant, HostRepository, Repository


def read(place: Place, addresses: Collection[Address], each: Each) -> dict[Address, Spec]:
    """What stands at these addresses."""
    found: dict[Address, Spec] = {}
    for address in addresses:
        standing: Spec | None = None
        if address.kind == POOL:
            standing = place.iam.pool(address.name)
        elif address.kind == PROVIDER:
            pool, _, name = address.name.partition("/")
            standing = place.iam.provider(pool, name)
        if standing is not None:
            found[address] = standing
    inside = [address for address in addresses if address.kind in INSIDE]
    return found | _inside(place, inside, each) if inside else found


def _inside(place: Place, addresses: Collection[Address], each: Each) -> dict[Address, Spec]:
    listed = place.artifacts.repositories({repository_of(address) for address in addresses})
    standing = {name: spec_of(repository) for name, repository in listed.items()}
    accounts = _accounts(place, addresses)
    here = {address: standing[repository_of(address)] for address in addresses if repository_of(address) in standing}
    held = _roles(place, [address for address in here if address.kind == WRITER or address in accounts], each)
    found: dict[Address, Spec] = {
        address: account.model_copy(update={"roles": held.get(address, ())}) for address, account in accounts.items()
    }
    for address, repository in here.items():
        if address.kind == REPOSITORY:
            found[address] = HostRepository(format=repository.format) if place.is_shared else repository
        elif address.kind == WRITER and held[address]:
            found[address] = Grant(owner=_owner(place, repository), roles=held[address])
    return found


def _accounts(place: Place, addresses: Collection[Address]) -> dict[Address, Account]:
    emails = {address: place.email(address) for address in addresses if address.kind == ACCOUNT}
    found = place.iam.accounts([*emails.values()])
    return {address: account_of(found[email]) for address, email in emails.items() if email in found}


def _roles(place: Place, addresses: Collection[Address], each: Each) -> dict[Address, tuple[str, ...]]:
    """The roles of each writer and account in its repository: one policy for each repository."""
    members: dict[str, dict[Address, str]] = {}
    for address in addresses:
        members.setdefault(repository_of(address), {})[address] = place.member(address)

    def roles(name: str) -> Mapping[str, tuple[str, ...]]:
        return place.artifacts.roles(name, members[name].values())

    answers = dict(zip(members, each(roles, members), strict=True))
    return {address: answers[name][member] for name, of in members.items() for address, member in of.items()}


def _owner(place: Place, repository: Repository) -> str | None:
    """Whose the rights in a repository are; in one that is everybody's, a source repository names its fleet."""
    return place.fleet if place.is_shared else repository.owner
