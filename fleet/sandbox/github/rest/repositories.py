"""Repositories: create, from a template too, read, change, delete; and their topics.

https://docs.github.com/rest/repos/repos
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType
from typing import Any

from fleet.sandbox.github import gitstore, views
from fleet.sandbox.github.call import Call, Fields, Route, no_content
from fleet.sandbox.github.errors import ApiError, invalid, not_found, unsupported
from fleet.sandbox.github.model import Account, Repository, Visibility
from fleet.sandbox.github.objects import read_commit, write_files
from fleet.sandbox.github.rest.accounts import account_named
from fleet.sandbox.github.rights import Need
from fleet.sandbox.http import Response

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_TEXT = (str, NoneType)
_SWITCHES = dict.fromkeys(views.SWITCHES, bool)
_CREATE: Fields = {
    "name": str,
    "description": _TEXT,
    "homepage": _TEXT,
    "private": bool,
    "visibility": str,
    "is_template": bool,
    "auto_init": bool,
    **_SWITCHES,
}
_UPDATE: Fields = {**_CREATE, "default_branch": str, "archived": bool}
_GENERATE: Fields = {
    "owner": str,
    "name": str,
    "description": _TEXT,
    "private": bool,
    "include_all_branches": bool,
}
_ADMINISTRATION = Need("administration", "write")


def _shown(call: Call, repository: Repository, status: int = 200) -> Response:
    document = views.full_repository(call.base, repository, call.actor)
    headers = {"location": document["url"]} if status == 201 else {}
    return Response.of_json(document, status, headers)


def get(call: Call) -> Response:
    """GET /repos/{owner}/{repo}"""
    return _shown(call, call.repository)


def list_of_organization(call: Call) -> Response:
    """GET /orgs/{org}/repos, newest first unless `sort` says otherwise."""
    organization = account_named(call, call.params["org"], "Organization")
    query = call.query("type", "sort", "direction")
    if query.get("type", "all") not in ("all", "public", "private"):
        raise unsupported(f"the type {query['type']!r} of repositories")
    wanted = query.get("type", "all")
    found = [one for one in call.state.owned_by(organization) if wanted in ("all", one.visibility)]
    return _listed(call, found, query)


def list_of_mine(call: Call) -> Response:
    """GET /user/repos: those of the user and of the user's organisations."""
    me = call.actor.require_account()
    query = call.query("sort", "direction")
    found = [one for one in call.state.repositories.values() if one.owner is me or me.login in one.owner.members]
    return _listed(call, found, query)


def _listed(call: Call, found: list[Repository], query: Mapping[str, str]) -> Response:
    orders: Mapping[str, Any] = {
        "created": lambda one: one.created_at,
        "updated": lambda one: one.updated_at,
        "pushed": lambda one: one.pushed_at,
        "full_name": lambda one: one.full_name.lower(),
    }
    sort = query.get("sort", "created")
    if sort not in orders:
        raise invalid("Repository", "sort", f"{sort} is not a sort order", "invalid")
    descending = query.get("direction", "asc" if sort == "full_name" else "desc") == "desc"
    shown = [one for one in found if call.actor.sees(one) and (one.veil is None or one.veil.lifted)]
    shown.sort(key=orders[sort], reverse=descending)
    return call.listed(shown, lambda one: views.repository(call.base, one, call.actor))


def create_in_organization(call: Call) -> Response:
    """POST /orgs/{org}/repos"""
    return _create(call, account_named(call, call.params["org"], "Organization"))


def create_mine(call: Call) -> Response:
    """POST /user/repos"""
    return _create(call, call.actor.require_account())


def _create(call: Call, owner: Account) -> Response:
    fields = call.body(_CREATE, ["name"])
    _may_create(call, owner)
    private = fields.get("private", fields.get("visibility") == "private")
    name = _free_name(call, owner, fields["name"], private=private)
    repository = call.state.add_repository(owner, name)
    _assign(call, repository, {**fields, "private": private})
    _give_to(call, repository)
    if fields.get("auto_init"):
        readme = f"# {name}".encode()
        tree = write_files(call.state.store, {"README.md": readme})
        call.state.first_commit(repository, tree, call.actor.require_account())
    return _shown(call, repository, 201)


def _may_create(call: Call, owner: Account) -> None:
    me, token = call.actor.require_account(), call.actor.token
    is_installed = token is not None and token.installed_at is owner and owner.kind == "Organization"
    if owner is not me and me.login not in owner.members and not is_installed:
        raise not_found() if owner.kind == "User" else ApiError(403, "You need to be a member of the organization.")
    if not call.actor.has(_ADMINISTRATION):
        raise call.actor.refusal(_ADMINISTRATION)


def _free_name(call: Call, owner: Account, name: str, *, private: bool) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise _failed("name", "name is too long (maximum is 100 characters)")
    if not call.state.name_is_free(owner, name):
        raise _failed("name", "name already exists on this account")
    _check_visibility(call, owner, "private" if private else "public")
    return name


def _check_visibility(call: Call, owner: Account, visibility: Visibility) -> None:
    is_admin = owner.members.get(call.actor.require_account().login) == "admin"
    if owner.kind == "Organization" and not owner.members_can_create(visibility) and not is_admin:
        raise _failed("visibility", f"Visibility can't be {visibility}. Please contact an admin or owner.")
    held = sum(one.private for one in call.state.owned_by(owner))
    if visibility == "private" and held >= owner.private_repositories:
        raise _failed("visibility", "Upgrade to create more private repositories.")


def _failed(field: str, message: str) -> ApiError:
    error = {"resource": "Repository", "code": "custom", "field": field, "message": message}
    return ApiError(422, "Repository creation failed.", [error])


def _give_to(call: Call, repository: Repository) -> None:
    """Whoever creates a repository administers it."""
    repository.collaborators[call.actor.require_account().login] = "admin"


def _assign(call: Call, repository: Repository, fields: Mapping[str, Any]) -> None:
    for name in ("description", "homepage", "is_template"):
        if name in fields:
            setattr(repository, name, fields[name])
    repository.settings |= {name: fields[name] for name in views.SWITCHES if name in fields}
    if "visibility" in fields and fields["visibility"] not in ("public", "private"):
        raise unsupported(f"the visibility {fields['visibility']!r}")
    if "private" in fields or "visibility" in fields:
        private = fields.get("private", fields.get("visibility") == "private")
        repository.visibility = "private" if private else "public"
    repository.updated_at = call.state.clock.now()


def update(call: Call) -> Response:
    """PATCH /repos/{owner}/{repo}"""
    repository = call.repository
    fields = call.body({name: kind for name, kind in _UPDATE.items() if name != "auto_init"})
    if repository.archived and fields.get("archived", True):
        raise archived()
    _assign(call, repository, fields)
    if "default_branch" in fields:
        _set_default_branch(repository, fields["default_branch"])
    name = fields.get("name", repository.name)
    if name != repository.name:
        _rename(call, name)
    repository.archived = fields.get("archived", repository.archived)
    return _shown(call, repository)


def _rename(call: Call, name: str) -> None:
    repository = call.repository
    is_other_name = name.lower() != repository.name.lower()
    if is_other_name and not call.state.name_is_free(repository.owner, name):
        raise invalid("Repository", "name", "name already exists on this account")
    if not _NAME.fullmatch(name):
        raise invalid(
            "Repository", "name", "name can only contain ASCII letters, digits, and the characters ., -, and _"
        )
    call.state.rename_repository(repository, name)


def _set_default_branch(repository: Repository, branch: str) -> None:
    if f"refs/heads/{branch}" not in repository.refs:
        message = f"The branch {branch} was not found. Please push that ref first or create it via the Git Data API."
        raise invalid("Repository", "default_branch", message, "invalid")
    repository.default_branch = branch
    gitstore.set_head(repository.bare, branch)


def archived() -> ApiError:
    """An archived repository takes no writes."""
    return ApiError(403, "Repository was archived so is read-only.")


def delete(call: Call) -> Response:
    """DELETE /repos/{owner}/{repo}; a classic token needs the scope `delete_repo`."""
    token = call.actor.token
    if token is not None and token.scopes is not None and "delete_repo" not in token.scopes:
        raise ApiError(403, "Must have admin rights to Repository.")
    call.state.delete_repository(call.repository)
    return no_content()


def generate(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/generate: answers at once, the contents come later."""
    template = call.repository
    fields = call.body(_GENERATE, ["name"])
    if fields.get("include_all_branches"):
        raise unsupported("include_all_branches of a template")
    if not template.is_template:
        raise not_found()
    if template.head is None:
        raise ApiError(422, "Unprocessable Entity", ["Could not clone: Template repository is empty"])
    owner = call.state.accounts.get(fields.get("owner", call.actor.require_account().login).lower())
    if owner is None:
        raise ApiError(422, "Invalid owner")
    _may_create(call, owner)
    private = fields.get("private", False)
    if not call.state.name_is_free(owner, fields["name"]):
        raise ApiError(422, "Unprocessable Entity", ["Could not clone: Name already exists on this account"])
    repository = call.state.add_repository(owner, _free_name(call, owner, fields["name"], private=private))
    _assign(call, repository, {"description": fields.get("description"), "private": private})
    _give_to(call, repository)
    repository.template, repository.default_branch = template, template.default_branch
    gitstore.set_head(repository.bare, template.default_branch)
    tree = read_commit(call.state.store, template.head).tree
    call.state.generate(repository, tree, call.actor.require_account())
    return _shown(call, repository, 201)


def get_topics(call: Call) -> Response:
    """GET /repos/{owner}/{repo}/topics"""
    return Response.of_json({"names": list(call.repository.topics)})


def replace_topics(call: Call) -> Response:
    """PUT /repos/{owner}/{repo}/topics"""
    names = call.body({"names": list}, ["names"])["names"]
    topics = [str(name).lower() for name in names]
    if len(topics) > 20 or not all(_TOPIC.fullmatch(topic) for topic in topics):
        rule = "must start with a lowercase letter or number, consist of 50 characters or less, and can include hyphens"
        raise ApiError(422, "Validation Failed", [f"Topics {rule}."])
    call.repository.topics = tuple(dict.fromkeys(topics))
    return get_topics(call)


ROUTES = (
    Route("GET", "/orgs/{org}/repos", list_of_organization),
    Route("POST", "/orgs/{org}/repos", create_in_organization),
    Route("GET", "/user/repos", list_of_mine),
    Route("POST", "/user/repos", create_mine),
    Route("GET", "/repos/{owner}/{repo}", get, "metadata=read"),
    Route("PATCH", "/repos/{owner}/{repo}", update, "administration=write", archived=True),
    Route("DELETE", "/repos/{owner}/{repo}", delete, "administration=write", archived=True),
    Route("POST", "/repos/{owner}/{repo}/generate", generate, "metadata=read", archived=True),
    Route("GET", "/repos/{owner}/{repo}/topics", get_topics, "metadata=read"),
    Route("PUT", "/repos/{owner}/{repo}/topics", replace_topics, "administration=write"),
)
