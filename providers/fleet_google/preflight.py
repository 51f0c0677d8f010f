"""What Google is sure to refuse: rights in the project that fleet's login lacks for things that are to be made.

Only what is to be made is looked at: rights in what stands may come from its own policy. A login that may write nothing
at all is one that plans for another; its first write would fail anyway, so that nothing is left half made.
One request for each plan: https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fleet.provider import Address, Change, Objection
from fleet_google.login import Doing, Forbidden, GoogleLogin, lost
from fleet_google.place import ACCOUNT, POOL, PROVIDER, REPOSITORY, WRITER, group_of
from fleet_google.rest import Rest

PROJECTS = "https://cloudresourcemanager.googleapis.com"

_LOOK = "artifactregistry.repositories.getIamPolicy"
_RIGHTS = (_LOOK, "artifactregistry.repositories.setIamPolicy")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    REPOSITORY: ("artifactregistry.repositories.create",),
    ACCOUNT: ("iam.serviceAccounts.create", "iam.serviceAccountKeys.create"),
    POOL: ("iam.workloadIdentityPools.create",),
    PROVIDER: ("iam.workloadIdentityPoolProviders.create",),
}


def preflight(login: GoogleLogin, url: str | None, changes: Collection[Change]) -> Mapping[Address, Objection]:
    """The objection to each change that needs a right which fleet's login lacks."""
    made = [change for change in changes if change.before is None and change.after is not None]
    new = {group_of(change.address) for change in made if change.address.kind == REPOSITORY}
    needed = {change.address: _needed(change.address, new) for change in made}
    asked = sorted({permission for permissions in needed.values() for permission in permissions})
    held = _held(login, url, asked) if asked else frozenset()
    if held <= {_LOOK}:
        return {}
    lacking = {address: [one for one in needed[address] if one not in held] for address in needed}
    return {address: _objection(lacks, login.project) for address, lacks in lacking.items() if lacks}


def _needed(address: Address, new: Collection[str]) -> tuple[str, ...]:
    """What making something takes in the project; rights in a `new` repository can come from nowhere else."""
    is_right = address.kind in (WRITER, ACCOUNT) and group_of(address) in new
    return (*_NEEDED.get(address.kind, ()), *(_RIGHTS if is_right else ()))


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
