"""Makes repositories; every step looks first, so that it goes on wherever a kill left it."""

from __future__ import annotations

from typing import Any

from fleet.provider import Context, ProviderError, TryAgain
from fleet_github.branches import give_name
from fleet_github.client import Client, Reply, renamed, right_needed, said_by
from fleet_github.content import fill
from fleet_github.specs import TOPIC, First, Repository, foreign


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
    if not isinstance(standing, dict) or "full_name" not in standing:
        raise TryAgain(f"{client.host} sent something that is not the repository {repository}")
    if standing["full_name"].casefold() != repository.casefold():
        raise ProviderError(renamed(repository, standing["full_name"]))
    foreign(owner_of(standing.get("topics") or [], context.fleet), context.fleet, repository)
    if standing.get("archived"):
        raise ProviderError(f"{repository} is archived, so nothing can be written to it")
    if wanted.first and wanted.first.branch and not wanted.first.template:
        give_name(client, repository, standing["default_branch"], wanted.first.branch)
    generated = (standing.get("template_repository") or {}).get("full_name")
    fill(client, context, repository, wanted.first or First(), generated)
    private = wanted.visibility == "private"
    if (standing.get("description") or "") != wanted.description or standing["private"] != private:
        client.rest("PATCH", f"/repos/{repository}", {"description": wanted.description, "private": private})
    topics, mark = standing.get("topics") or [], f"{TOPIC}{context.fleet}"
    if mark not in topics:
        client.rest("PUT", f"/repos/{repository}/topics", {"names": sorted([*topics, mark])})


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
    reply = client.rest("POST", path, body, 404, 422)
    if reply.status == 404:
        raise ProviderError(_no_place(client, repository, wanted, reply))
    if reply.status == 422 and "already exists" not in said_by(reply.document):
        raise ProviderError(f"{client.host} does not create {repository}: {said_by(reply.document)}")


def _no_place(client: Client, repository: str, wanted: Repository, reply: Reply) -> str:
    template = wanted.first.template if wanted.first else None
    if template:
        return (
            f"{client.host} makes no repository from {template}: it is not there, is no template repository, or the "
            f"token may not see it ({said_by(reply.document)})"
        )
    needed = right_needed(reply)
    hint = f"; the token needs: {needed}" if needed else ""
    return f"{client.host} does not create {repository}: {said_by(reply.document)}{hint}"


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
