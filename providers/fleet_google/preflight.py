"""What Google is sure to refuse: rights in the project that fleet's login lacks for things that are to be made.

Only what is to be made is looked at: rights in what stands may come from its own policy. One request for each plan:
https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from fleet.provider import Address, Change, Objection
from fleet_google.login import Doing, Forbidden, GoogleLogin, lost
from fleet_google.place import ACCOUNT, POOL, PROVIDER, REPOSITORY, WRITER, group_of
from fleet_google.rest import Rest

PROJECTS = "https://cloudresourcemanager.googleapis.com"

_RIGHTS = ("artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.setIamPolicy")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    REPOSITORY: ("artifactregistry.repositories.create",),
    ACCOUNT: ("iam.serviceAccounts.create", "iam.serviceAccountKeys.create"),
    POOL: ("iam.workloadIdentityPools.create",),
    PROVIDER: ("iam.workloadIdentityPoolProviders.create",),
}


def preflight(login: GoogleLogin, url: str | None, changes: Collection[Change]) -> Mapping[Address, Objection]:
    """The objection to each change that needs a right which fleet's login lacks."""
    needed = {change.address: [*_needed(change, changes)] for change in changes}
    asked = sorted({permission for permissions in needed.values() for permission in permissions})
    held = _held(login, url, asked) if asked else frozenset()
    lacking = {address: [one for one in needed[address] if one not in held] for address in needed}
    return {address: _objection(lacks, login.project) for address, lacks in lacking.items() if lacks}


def _needed(change: Change, changes: Collection[Change]) -> Iterator[str]:
    """What making something takes in the project: rights in a repository that is made as well come from there too."""
    if change.before is not None or change.after is None:
        return
    yield from _NEEDED.get(change.address.kind, ())
    if change.address.kind in (WRITER, ACCOUNT):
        made = {group_of(one.address) for one in changes if one.address.kind == REPOSITORY and one.before is None}
        if group_of(change.address) in made:
            yield from _RIGHTS


def _held(login: GoogleLogin, url: str | None, asked: Collection[str]) -> frozenset[str]:
    """Those of these permissions that fleet's login has; all of them where Google does not tell."""
    doing = Doing(f"ask what fleet may do in the project {login.project}", "resourcemanager.projects.get")
    api = Rest(login, f"{url or PROJECTS}/v3")
    try:
        answer = api.send(doing, "POST", f"projects/{login.project}:testIamPermissions", {"permissions": [*asked]})
    except Forbidden:  # this API is one that a project may well not have enabled
        return frozenset(asked)
    held = answer.get("permissions", [])
    if not isinstance(held, list):
        raise lost(doing, "sent something that is not the answer")
    return frozenset(map(str, held))


def _objection(lacks: Sequence[str], project: str) -> Objection:
    permissions = f"permission {lacks[0]}" if len(lacks) == 1 else f"permissions {' and '.join(lacks)}"
    return Objection(
        f"cannot be made: fleet's login lacks the {permissions} in the project {project}",
        "Give it the role that docs/registries/gar.md shows, in the project itself.",
    )
