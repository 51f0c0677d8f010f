"""Makes repositories, secrets and managed files; every step looks first, so that it goes on wherever a kill left it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from fleet.provider import CommitRequest, Conflict, Context, ProviderError, Reveal, Secret, SecretRef, TryAgain
from fleet_github.branches import give_name
from fleet_github.client import Client, Reply, said_by
from fleet_github.files import read_files, write_commit
from fleet_github.specs import TOPIC, ActionsSecret, First, ManagedFiles, Repository, foreign, split_secret

SEED_MESSAGE = "First content"
MANAGED_MESSAGE = "Update the files that fleet manages"
SKIP_CI = "[skip ci]"
"""Keeps a commit from starting workflows. https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs"""

RACES = 5


def owner_of(topics: list[str], fleet: str) -> str | None:
    """The fleet whose marker is among a repository's topics: ours if it is there, else the first other."""
    owners = [topic.removeprefix(TOPIC) for topic in topics if topic.startswith(TOPIC)]
    return fleet if fleet in owners else next(iter(sorted(owners)), None)


def make_repository(client: Client, context: Context, repository: str, wanted: Repository) -> None:
    """A repository with its first content, description, visibility and, last, our topic."""
    found = client.rest("GET", f"/repos/{repository}", None, 404)
    if found.status == 404:
        _create(client, repository, wanted)
        found = client.rest("GET", f"/repos/{repository}", None, 404)
        if found.status == 404:
            raise TryAgain(f"{repository} was created and is not visible yet")
    standing = found.document
    if standing["full_name"].casefold() != repository.casefold():
        raise ProviderError(f"{repository} was renamed to {standing['full_name']}: write that name in fleet.yaml")
    foreign(owner_of(standing.get("topics") or [], context.fleet), context.fleet, repository)
    if standing.get("archived"):
        raise ProviderError(f"{repository} is archived, so nothing can be written to it")
    if wanted.first and wanted.first.branch and not wanted.first.template:
        give_name(client, repository, standing["default_branch"], wanted.first.branch)
    _await_content(client, context, repository, wanted.first or First())
    private = wanted.visibility == "private"
    if (standing.get("description") or "") != wanted.description or standing["private"] != private:
        client.rest("PATCH", f"/repos/{repository}", {"description": wanted.description, "private": private})
    topics = sorted({*(standing.get("topics") or []), f"{TOPIC}{context.fleet}"})
    client.rest("PUT", f"/repos/{repository}/topics", {"names": topics})


def _create(client: Client, repository: str, wanted: Repository) -> None:
    owner, _, name = repository.partition("/")
    described: dict[str, Any] = {
        "name": name,
        "description": wanted.description,
        "private": wanted.visibility == "private",
    }
    if wanted.first and wanted.first.template:
        path, body = f"/repos/{wanted.first.template}/generate", {**described, "owner": owner}
    else:
        path, body = _place(client, owner), {**described, "auto_init": True}
    reply = client.rest("POST", path, body, 422)
    if reply.status == 422 and "already exists" not in _all_said(reply):
        raise ProviderError(f"{client.host} does not create {repository}: {_all_said(reply)}")


def _place(client: Client, owner: str) -> str:
    """Where a repository of this owner is created; a user's path creates under the token's user, whoever it is."""
    if client.rest("GET", f"/users/{owner}").document.get("type") == "Organization":
        return f"/orgs/{owner}/repos"
    login = client.rest("GET", "/user").document["login"]
    if login.casefold() != owner.casefold():
        raise ProviderError(
            f"{owner} is a user, and the token belongs to {login}: only {owner}'s token can create there"
        )
    return "/user/repos"


def _all_said(reply: Reply) -> str:
    errors = reply.document.get("errors") if isinstance(reply.document, dict) else None
    texts = [error.get("message", "") if isinstance(error, dict) else str(error) for error in errors or ()]
    return " ".join([said_by(reply.document), *texts])


def _await_content(client: Client, context: Context, repository: str, first: First) -> None:
    """See that the repository has its first content; a template's arrives some time after the repository."""
    try:
        found = read_files(client, repository, None, list(first.seed))
    except ProviderError:
        raise TryAgain(f"{repository} has no content yet: it is still being generated") from None
    if first.template or not first.seed or _is_seeded(client, repository):
        return
    contents = {path: context.blob(oid) for path, oid in first.seed.items()}
    message = f"{SEED_MESSAGE} {SKIP_CI}\n\nFleet: {context.fleet}\n"
    write_commit(client, CommitRequest(repository, found.branch, found.head, contents, message))


def _is_seeded(client: Client, repository: str) -> bool:
    """Whether anybody committed after the commit that GitHub makes with a repository."""
    commits = client.rest("GET", f"/repos/{repository}/commits?per_page=2").document
    return len(commits) > 1


def write_managed(client: Client, context: Context, repository: str, wanted: ManagedFiles) -> dict[str, Any]:
    """The managed files in one commit, if any differs; the receipt names the commit, and whether it starts a build."""
    contents = {path: context.blob(oid) for path, oid in wanted.files.items()}
    for _ in range(RACES):
        found = read_files(client, repository, None, list(contents))
        differing = {path: data for path, data in contents.items() if found.contents.get(path) != data}
        if not differing:
            return {"commit": found.head, "builds": False, "files": dict(wanted.files)}
        builds = any(_matters(found.contents.get(path), data) for path, data in differing.items())
        headline = MANAGED_MESSAGE if builds else f"{MANAGED_MESSAGE} {SKIP_CI}"
        message = f"{headline}\n\nFleet: {context.fleet}\n"
        try:
            commit = write_commit(client, CommitRequest(repository, found.branch, found.head, differing, message))
        except Conflict:
            continue
        return {"commit": commit, "builds": builds, "files": dict(wanted.files)}
    raise ProviderError(f"{repository}: its branch moved each of the {RACES} times that fleet committed")


def _matters(old: bytes | None, new: bytes) -> bool:
    """Whether a build comes out otherwise: another pin of an action or another comment changes no image."""
    return old is None or _essence(old) != _essence(new)


def _essence(data: bytes) -> list[bytes]:
    lines = (line.split(b" #")[0].rstrip() for line in data.splitlines())
    return [line.partition(b"@")[0] if b"uses:" in line else line for line in lines if line and line[:1] != b"#"]


def store_credential(client: Client, name: str, wanted: ActionsSecret, reveal: Reveal) -> dict[str, Any]:
    """Store all secrets of one credential, `name` (`owner/name/SECRET`) last; the receipt has the host's own dates."""
    assert wanted.source is not None
    repository, first = split_secret(name)
    dates = {other: _store_secret(client, repository, other, reveal(ref)) for other, ref in wanted.also.items()}
    also = {other: {"updated_at": dates[other], "source": _json(ref)} for other, ref in wanted.also.items()}
    updated_at = _store_secret(client, repository, first, reveal(wanted.source))
    return {"updated_at": updated_at, "source": _json(wanted.source), **({"also": also} if also else {})}


def _json(ref: SecretRef) -> dict[str, Any]:
    return ref.model_dump(mode="json")


def _store_secret(client: Client, repository: str, name: str, value: Secret) -> str:
    """Seal a secret with the repository's key and store it; the answer is the host's own date of the change.

    https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api
    """
    from nacl import encoding, public

    key = client.rest("GET", f"/repos/{repository}/actions/secrets/public-key").document
    box = public.SealedBox(public.PublicKey(key["key"].encode(), encoding.Base64Encoder))
    sealed = base64.b64encode(box.encrypt(value.expose().encode())).decode()
    path = f"/repos/{repository}/actions/secrets/{name}"
    client.rest("PUT", path, {"encrypted_value": sealed, "key_id": key["key_id"]})
    return str(client.rest("GET", path).document["updated_at"])


def secrets_of(client: Client, repository: str) -> Mapping[str, str]:
    """The names of a repository's secrets and the host's date of their last change; none for a missing repository."""
    reply = client.rest("GET", f"/repos/{repository}/actions/secrets?per_page=100", None, 404)
    if reply.status == 404:
        return {}
    listed = reply.document.get("secrets") if isinstance(reply.document, dict) else None
    if not isinstance(listed, list):
        raise TryAgain(f"{client.host} sent something that is no list of the secrets of {repository}")
    return {entry["name"]: entry["updated_at"] for entry in listed}
