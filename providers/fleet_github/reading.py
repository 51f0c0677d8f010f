"""Reads what stands on GitHub: many repositories and the blob ids of their managed files with one query."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from fleet.provider import Address, Context, ProviderError, SecretRef, Spec, TryAgain
from fleet_github.client import Client
from fleet_github.making import owner_of, secrets_of
from fleet_github.specs import FILES, REPOSITORY, SECRET, ActionsSecret, ManagedFiles, Repository, split_secret

REPOSITORIES_A_QUERY = 25
"""Repositories that one query asks for; GitHub answers within 10 seconds or not at all."""


def read_world(
    client: Client, context: Context, addresses: Collection[Address], paths: Sequence[str]
) -> dict[Address, Spec]:
    """What stands at these addresses; `paths` are the files that may be managed."""
    repositories = list(dict.fromkeys(_repository_of(address) for address in addresses))
    found = _repositories(client, context, repositories, paths)
    world: dict[Address, Spec] = {}
    for address in addresses:
        standing = found.get(_repository_of(address))
        if standing is None:
            continue
        if address.kind == REPOSITORY:
            world[address] = _repository(context, standing)
        elif address.kind == FILES:
            blobs = {path: standing[alias]["oid"] for alias, path in _aliases(paths) if standing.get(alias)}
            world[address] = ManagedFiles(files=blobs, edited=_edits(client, context, address, blobs))
    with_secrets = [name for name in repositories if name in found and any(_is_secret_of(a, name) for a in addresses)]
    listed = dict(zip(with_secrets, context.each(lambda name: secrets_of(client, name), with_secrets), strict=True))
    for address in addresses:
        if address.kind == SECRET:
            repository, name = split_secret(address.name)
            stored = listed.get(repository, {})
            if name in stored:
                secret = _secret(context, address, stored)
                if secret is not None:
                    world[address] = secret
    return world


def _edits(client: Client, context: Context, address: Address, blobs: Mapping[str, str]) -> Mapping[str, str]:
    """Who last changed each file that is not as fleet wrote it; a commit with our trailer is no edit by hand."""
    written = (context.recorded(address) or {}).get("files") or {}
    edits: dict[str, str] = {}
    for path in sorted(path for path, oid in written.items() if blobs.get(path) != oid):
        query = urlencode({"path": path, "per_page": 1})
        commits = client.rest("GET", f"/repos/{address.name}/commits?{query}").document
        if not isinstance(commits, list) or not commits:
            raise TryAgain(f"{client.host} shows no commit that changed {path} of {address.name}")
        commit = commits[0]["commit"]
        if f"Fleet: {context.fleet}" not in commit["message"].splitlines():
            edits[path] = commit["author"]["name"]
    return edits


def _secret(context: Context, address: Address, stored: Mapping[str, str]) -> ActionsSecret | None:
    """A secret that is there; None for one that a killed run of ours may have written, so that it is written again."""
    recorded = context.recorded(address)
    if recorded is None:
        return None if context.begun(address) else ActionsSecret()
    also = recorded.get("also") or {}
    written = {split_secret(address.name)[1]: recorded, **also}
    changed = any(stored.get(name) != receipt.get("updated_at") for name, receipt in written.items())
    refs = {name: SecretRef.model_validate(receipt["source"]) for name, receipt in also.items()}
    if changed:
        return ActionsSecret(also=refs, changed=True)
    return ActionsSecret(source=SecretRef.model_validate(recorded["source"]), also=refs)


def _repository(context: Context, standing: Mapping[str, Any]) -> Repository:
    topics = [node["topic"]["name"] for node in standing["repositoryTopics"]["nodes"]]
    return Repository(
        owner=owner_of(topics, context.fleet),
        description=standing.get("description") or "",
        visibility=str(standing["visibility"]).lower(),
        archived=bool(standing["isArchived"]),
    )


def _repositories(
    client: Client, context: Context, names: Sequence[str], paths: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    batches = list(_batches(names, REPOSITORIES_A_QUERY))
    replies = context.each(lambda batch: client.graphql(*_query(batch, paths)), batches)
    for batch, document in zip(batches, (reply.document for reply in replies), strict=True):
        data = document.get("data")
        if not isinstance(data, dict):
            raise ProviderError(f"{client.host} does not answer a query: {document['errors'][0].get('message')}")
        errors = [error for error in document.get("errors") or () if error.get("type") != "NOT_FOUND"]
        if errors:
            raise ProviderError(f"{client.host} answers a query in part only: {errors[0].get('message')}")
        found |= {name: data[f"r{number}"] for number, name in enumerate(batch) if data.get(f"r{number}")}
    return found


def _query(names: Sequence[str], paths: Sequence[str]) -> tuple[str, dict[str, str]]:
    blobs = " ".join(f"{alias}: object(expression: $p{alias}) {{ oid }}" for alias, _ in _aliases(paths))
    declared = ", ".join(f"$p{alias}: String!" for alias, _ in _aliases(paths))
    asked = " ".join(
        f"r{number}: repository(owner: $o{number}, name: $n{number}, followRenames: false) {{ ...found }}"
        for number in range(len(names))
    )
    names_declared = ", ".join(f"$o{number}: String!, $n{number}: String!" for number in range(len(names)))
    variables = {f"p{alias}": f"HEAD:{path}" for alias, path in _aliases(paths)}
    for number, name in enumerate(names):
        owner, _, short = name.partition("/")
        variables |= {f"o{number}": owner, f"n{number}": short}
    query = (
        f"query({', '.join(part for part in (names_declared, declared) if part)}) {{ {asked} }} "
        "fragment found on Repository { nameWithOwner description visibility isArchived "
        f"repositoryTopics(first: 100) {{ nodes {{ topic {{ name }} }} }} {blobs} }}"
    )
    return query, variables


def _aliases(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((f"f{number}", path) for number, path in enumerate(paths))


def _repository_of(address: Address) -> str:
    return split_secret(address.name)[0] if address.kind == SECRET else address.name


def _is_secret_of(address: Address, repository: str) -> bool:
    return address.kind == SECRET and split_secret(address.name)[0] == repository


def _batches(names: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while batch := list(islice(rest, size)):
        yield batch
