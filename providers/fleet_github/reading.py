"""Reads what stands on GitHub: many repositories and the blob ids of their managed files with one query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fleet.provider import Address, Context, Spec, TryAgain
from fleet_github import listing as listing_of
from fleet_github.batches import Document, Question, ask
from fleet_github.client import Client
from fleet_github.listing import Listing
from fleet_github.making import owner_of
from fleet_github.organizations import read_organizations
from fleet_github.sealing import standing_secret
from fleet_github.specs import (
    ENVIRONMENT,
    FILES,
    OF_ORGANIZATION,
    REPOSITORY,
    SECRETS,
    SELECTED,
    VARIABLES,
    ActionsVariable,
    Environment,
    ManagedFiles,
    Place,
    Repository,
    repository_of,
)

_FIELDS = "nameWithOwner description visibility isArchived repositoryTopics(first: 100) { nodes { topic { name } } }"


def read_world(
    client: Client, context: Context, listing: Listing, addresses: Collection[Address]
) -> dict[Address, Spec]:
    """What stands at these addresses."""
    names = list(dict.fromkeys(filter(None, map(repository_of, addresses))))
    paths = {address: _paths(context, address) for address in addresses if address.kind == FILES}
    every = list(dict.fromkeys(path for some in paths.values() for path in some))
    found = ask(client, context.each, names, _question(every))
    world: dict[Address, Spec] = {}
    for address in addresses:
        standing = found.get(repository_of(address))
        if standing is None:
            continue
        if address.kind == REPOSITORY:
            world[address] = _repository(context, standing)
        elif address.kind == FILES:
            blobs = _blobs(standing, every, paths[address])
            world[address] = ManagedFiles(files=blobs, edited=_edits(client, context, address, paths[address], blobs))
    world |= _secrets(context, listing, [one for one in addresses if one.kind in SECRETS], found)
    world |= _variables(listing, [one for one in addresses if one.kind in VARIABLES], found)
    world |= _environments(listing, [one for one in addresses if one.kind == ENVIRONMENT], found)
    shared = [one for one in addresses if one.kind in OF_ORGANIZATION | SELECTED]
    return world | read_organizations(context, listing, shared, found)


def _paths(context: Context, address: Address) -> Sequence[str]:
    """The managed files of a repository: as the plan wants them, else as they were when fleet last wrote them."""
    wanted = context.wanted(address)
    if isinstance(wanted, ManagedFiles):
        return tuple(wanted.files)
    return tuple((context.recorded(address) or {}).get("files") or ())


def _question(paths: Sequence[str]) -> Question:
    fields = [f"f{number}: object(expression: $p{number}) {{ oid }}" for number in range(len(paths))]
    return Question(" ".join([_FIELDS, *fields]), {f"p{number}": f"HEAD:{path}" for number, path in enumerate(paths)})


def _blobs(standing: Document, every: Sequence[str], paths: Collection[str]) -> dict[str, str]:
    shown = {path: standing.get(f"f{number}") for number, path in enumerate(every) if path in paths}
    return {path: str(one["oid"]) for path, one in shown.items() if one}


def _edits(
    client: Client, context: Context, address: Address, paths: Sequence[str], blobs: Mapping[str, str]
) -> Mapping[str, str]:
    """Who last changed each file that is not as fleet wrote it; a commit with our trailer is no edit by hand."""
    written = (context.recorded(address) or {}).get("files") or {}
    edits: dict[str, str] = {}
    for path in sorted(path for path in paths if path in written and blobs.get(path) != written[path]):
        query = urlencode({"path": path, "per_page": 1})
        commits = client.rest("GET", f"/repos/{address.name}/commits?{query}").document
        if not isinstance(commits, list) or not commits:
            raise TryAgain(f"{client.host} shows no commit that changed {path} of {address.name}")
        commit = commits[0]["commit"]
        if f"Fleet: {context.fleet}" not in commit["message"].splitlines():
            edits[path] = commit["author"]["name"]
    return edits


def _secrets(
    context: Context, listing: Listing, addresses: Sequence[Address], found: Mapping[str, Document]
) -> dict[Address, Spec]:
    places = _there(addresses, found)
    paths = {address: listing_of.whole(f"{place.vault}/secrets") for address, place in places.items()}
    listed = listing.of(_each(paths.values()), listing_of.secrets)
    world: dict[Address, Spec] = {}
    for address, path in paths.items():
        stored = listed[path]
        secret = standing_secret(context, address, stored) if places[address].name in stored else None
        if secret is not None:
            world[address] = secret
    return world


def _variables(listing: Listing, addresses: Sequence[Address], found: Mapping[str, Document]) -> dict[Address, Spec]:
    places = _there(addresses, found)
    paths = {address: listing_of.whole(f"{place.vault}/variables") for address, place in places.items()}
    listed = listing.of(_each(paths.values()), listing_of.variables)
    values = {address: listed[path].get(places[address].name) for address, path in paths.items()}
    return {address: ActionsVariable(value=value) for address, value in values.items() if value is not None}


def _environments(listing: Listing, addresses: Sequence[Address], found: Mapping[str, Document]) -> dict[Address, Spec]:
    places = _there(addresses, found)
    paths = {address: f"/repos/{place.repository}/environments/{place.name}" for address, place in places.items()}
    policies = listing.of(_each(paths.values()), listing_of.policy)
    inner = {
        path: listing_of.whole(f"{path}/deployment-branch-policies")
        for path, found in policies.items()
        if found.get("policy") == "chosen"
    }
    branches = listing.of(list(inner.values()), listing_of.branches)
    world: dict[Address, Spec] = {}
    for address, path in paths.items():
        if policies[path]:
            patterns = tuple(sorted(branches[inner[path]])) if path in inner else ()
            world[address] = Environment.model_validate({**policies[path], "branches": patterns})
    return world


def _there(addresses: Sequence[Address], found: Mapping[str, Document]) -> dict[Address, Place]:
    """The places of addresses whose repository is there."""
    places = {address: Place.of(address) for address in addresses}
    return {address: place for address, place in places.items() if place.repository in found}


def _each(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _repository(context: Context, standing: Mapping[str, Any]) -> Repository:
    topics = [node["topic"]["name"] for node in standing["repositoryTopics"]["nodes"]]
    return Repository(
        owner=owner_of(topics, context.fleet),
        description=standing.get("description") or "",
        visibility=str(standing["visibility"]).lower(),
        archived=bool(standing["isArchived"]),
    )
