"""What stands in the way of work in an organisation, or with a user's repositories: a few requests for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.provider import Change, Objection
from fleet_github.allowed_actions import not_allowed
from fleet_github.client import Client, Reply, right_needed, said_by
from fleet_github.specs import (
    ORGANIZATION_SECRET,
    ORGANIZATION_VARIABLE,
    SELECTED_SECRET,
    SELECTED_VARIABLE,
    VARIABLE,
    WITHIN_ENVIRONMENT,
    Repository,
    repository_of,
)

Found = tuple[Change, Objection]

_VIEWER = """
query($login: String!) { organization(login: $login) { viewerCanCreateRepositories viewerCanAdminister } }
"""

_APP_NEEDS = {"administration": "write", "contents": "write", "secrets": "write", "actions": "read"}
"""Permissions of an installation; `workflows` and the others are asked for where they are needed."""

_SHARED: Mapping[str, tuple[str, frozenset[str]]] = {
    "organization_secrets": ("secrets", frozenset({ORGANIZATION_SECRET, SELECTED_SECRET})),
    "organization_actions_variables": ("variables", frozenset({ORGANIZATION_VARIABLE, SELECTED_VARIABLE})),
}
"""By each permission in an organisation: what it is about, and the kinds that need it.
https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps"""

INSTALLATION = "ghs_"
"""How the tokens of installations begin.
https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/"""

_ENOUGH = {"read": ("read", "write", "admin"), "write": ("write", "admin")}


@dataclass(slots=True)
class Owner:
    """An organisation or user: the changes in its repositories, those of what it keeps for several of them itself,
    repositories to be made, their files, and what these files use."""

    login: str
    changes: list[Change] = field(default_factory=list)
    shared: list[Change] = field(default_factory=list)
    missing: list[Change] = field(default_factory=list)
    new_files: list[Change] = field(default_factory=list)
    actions: Sequence[str] = ()

    @property
    def first(self) -> Change:
        """The change that an objection to all of them is made to."""
        return (self.changes or self.shared)[0]

    @property
    def kinds(self) -> set[str]:
        """The kinds of what changes."""
        return {change.address.kind for change in (*self.changes, *self.shared)}


def against_owner(client: Client, owner: Owner, *, touches_workflows: bool) -> Iterator[Found]:
    """The objections of one owner; each is made to the first change that it concerns."""
    reply = client.rest("GET", f"/orgs/{owner.login}", None, 404)
    elsewhere = list(_reach(client, owner))
    if elsewhere:
        yield from elsewhere
        return
    yield from _rights(client, owner, reply, touches_workflows=touches_workflows)
    if reply.status == 404:
        yield from _user(client, owner)
        return
    yield from _shared(client, owner)
    organization = reply.document if isinstance(reply.document, dict) else {}
    if owner.missing and client.login.permissions is None:
        yield from _creation(client, owner, organization)
    yield from _plan(owner, organization)
    yield from _actions(client, owner)


def _reach(client: Client, owner: Owner) -> Iterator[Found]:
    """A workflow's own token is an installation's, for the workflow's repository and no other.

    https://docs.github.com/en/actions/concepts/security/github_token
    """
    if client.login.permissions is not None or not client.login.current().startswith(INSTALLATION):
        return
    reply = client.rest("GET", "/installation/repositories?per_page=2", None, 403, 404)
    shown = reply.document.get("repositories") if reply.status == 200 and isinstance(reply.document, dict) else None
    if not isinstance(shown, list) or len(shown) != 1 or reply.document.get("repository_selection") != "selected":
        return
    only = str(shown[0]["full_name"])
    other = next((one for one in owner.changes if repository_of(one.address).casefold() != only.casefold()), None)
    if other is not None:
        reason = (
            f"is out of reach: the token for {client.host} reaches {only} and nothing else, as a workflow's own does"
        )
        yield other, Objection(reason, "Log in as a GitHub App that is installed there, or with a token of its own.")


def _rights(client: Client, owner: Owner, reply: Reply, *, touches_workflows: bool) -> Iterator[Found]:
    """A classic token says what it may do, an App what it was granted; a fine-grained token says nothing.

    https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
    """
    granted, first, kinds = client.login.permissions, owner.first, owner.kinds
    if granted is not None:
        needed = {
            **_APP_NEEDS,
            **({"workflows": "write"} if touches_workflows else {}),
            **({"environments": "write"} if kinds & WITHIN_ENVIRONMENT else {}),
            **({"actions_variables": "write"} if VARIABLE in kinds else {}),
            **{right: "write" for right, (_, shared) in _SHARED.items() if kinds & shared},
        }
        lacking = [f"{name}={level}" for name, level in needed.items() if granted.get(name) not in _ENOUGH[level]]
        if lacking:
            reason = f"is out of reach: the GitHub App was not granted {', '.join(lacking)}"
            yield first, Objection(reason, "Add these permissions to the App, and accept them at its installation.")
        return
    said = reply.headers.get("x-oauth-scopes")
    if said is None:
        return
    scopes = {scope.strip() for scope in said.split(",")}
    needed_scopes = ["repo", *(["workflow"] if touches_workflows else []), *(["admin:org"] if owner.shared else [])]
    lacking = [scope for scope in needed_scopes if scope not in scopes]
    if lacking:
        reason = f"is out of reach: the token for {client.host} lacks the scope {' and '.join(lacking)}"
        yield first, Objection(reason, f"Make a token with the scopes {' and '.join(needed_scopes)}.")


def _shared(client: Client, owner: Owner) -> Iterator[Found]:
    """Whether the login may see what the organisation keeps, which GitHub shows to few; in GitHub's own words."""
    for right, (what, kinds) in _SHARED.items():
        first = next((change for change in owner.shared if change.address.kind in kinds), None)
        if first is None:
            continue
        reply = client.rest("GET", f"/orgs/{owner.login}/actions/{what}?per_page=1", None, 403, 404)
        if reply.status != 200:
            said = said_by(reply.document)
            reason = f"is out of reach: {client.host} shows this login no {what} of {owner.login} ({said})"
            needed = right_needed(reply) or f"{right}=write"
            yield first, Objection(reason, f"Log in as an owner of {owner.login}; the token needs: {needed}.")


def _user(client: Client, owner: Owner) -> Iterator[Found]:
    if client.rest("GET", f"/users/{owner.login}", None, 404).status == 404:
        reason = f"is nowhere: {client.host} has no organisation and no user {owner.login}"
        yield owner.first, Objection(reason, "Check `repository:`.")
    elif owner.shared:
        reason = f"cannot be kept: {owner.login} is a user and no organisation"
        yield owner.shared[0], Objection(reason, "Take `organization:` and `shared:` out.")
    elif owner.missing and client.login.permissions is not None:
        reason = f"cannot be made: {owner.login} is a user, and a GitHub App makes no repositories for users"
        yield owner.missing[0], Objection(reason, "Make the repository by hand, or log in with the user's token.")
    elif owner.missing:
        login = str(client.object("/user").get("login"))
        if login.casefold() != owner.login.casefold():
            reason = (
                f"cannot be made: {owner.login} is a user, and the token belongs to {login}: only {owner.login}'s "
                "token can create there"
            )
            yield owner.missing[0], Objection(reason, "Check `repository:`, or log in with that user's token.")


def _creation(client: Client, owner: Owner, organization: Mapping[str, Any]) -> Iterator[Found]:
    """Whether the token's owner may create repositories there; owners of an organisation always may."""
    document = client.graphql(_VIEWER, {"login": owner.login}).document
    viewer = (document.get("data") or {}).get("organization") or {}
    if viewer.get("viewerCanAdminister"):
        return
    if viewer.get("viewerCanCreateRepositories") is False:
        reason = f"cannot be made: {owner.login} lets the token's owner create no repositories"
        yield owner.missing[0], Objection(reason, "Ask an owner of the organisation, or make it by hand.")
        return
    for visibility in ("public", "private"):
        new = _of_visibility(owner, visibility)
        if new and organization.get(f"members_can_create_{visibility}_repositories") is False:
            reason = f"cannot be made: {owner.login} lets its members create no {visibility} repositories"
            yield new[0], Objection(reason, "Ask an owner of the organisation, or write another `visibility:`.")


def _plan(owner: Owner, organization: Mapping[str, Any]) -> Iterator[Found]:
    """How many private repositories the organisation has paid for; shown to its owners only."""
    plan, new = organization.get("plan"), _of_visibility(owner, "private")
    held = organization.get("owned_private_repos")
    if not new or not isinstance(plan, Mapping) or not isinstance(held, int):
        return
    left = int(plan.get("private_repos", 0)) - held
    if len(new) > left:
        reason = (
            f"cannot be made: the plan {plan.get('name')} of {owner.login} has room for {max(0, left)} more private "
            f"repositories, and {len(new)} are to be made"
        )
        yield new[0], Objection(reason, "Write `visibility: public`, or get a larger plan.")


def _of_visibility(owner: Owner, visibility: str) -> list[Change]:
    return [one for one in owner.missing if isinstance(one.after, Repository) and one.after.visibility == visibility]


def _actions(client: Client, owner: Owner) -> Iterator[Found]:
    """The organisation's own policy of Actions, where the token may see it; it binds repositories yet to be made."""
    if not owner.new_files:
        return
    path, first = f"/orgs/{owner.login}/actions/permissions", owner.new_files[0]
    reply = client.rest("GET", path, None, 403, 404, 409)
    found = reply.document if reply.status == 200 and isinstance(reply.document, dict) else {}
    enabled = found.get("enabled_repositories")
    if enabled == "none":
        reason = f"would build nothing: Actions are disabled in {owner.login}"
        yield first, Objection(reason, "Enable Actions in the organisation's settings.")
    elif enabled == "selected":
        reason = (
            f"would build nothing: {owner.login} lets Actions run in chosen repositories, and a new one is not chosen"
        )
        yield first, Objection(reason, "Make the repository by hand and choose it, or let Actions run in all of them.")
    else:
        for objection in not_allowed(client, path, found, owner.actions):
            yield first, objection
