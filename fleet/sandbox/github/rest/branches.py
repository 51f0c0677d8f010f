"""A branch gets another name; pull requests and whatever else names it follow on GitHub, and no workflow starts.

https://docs.github.com/rest/branches/branches#rename-a-branch
"""

from __future__ import annotations

from dataclasses import replace

from fleet.sandbox.github import gitstore
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.errors import ApiError, not_found
from fleet.sandbox.github.gitstore import ZERO, valid_ref
from fleet.sandbox.github.rest.contents import get_branch
from fleet.sandbox.http import Response


def rename(call: Call) -> Response:
    """POST /repos/{owner}/{repo}/branches/{branch}/rename; of the default branch only whoever administers."""
    repository, old = call.repository, call.params["branch"]
    new = call.body({"new_name": str}, ["new_name"])["new_name"]
    before, after = f"refs/heads/{old}", f"refs/heads/{new}"
    if before not in repository.refs:
        raise not_found()
    if not valid_ref(after) or after in repository.refs:
        raise ApiError(422, "Branch name already exists" if after in repository.refs else "Branch name is invalid")
    if repository.default_branch == old and call.actor.role_on(repository) != "admin":
        raise ApiError(403, "Must have admin rights to Repository.")
    call.state.move_ref(repository, after, repository.refs[before], ZERO)
    if repository.default_branch == old:
        repository.default_branch = new
        gitstore.set_head(repository.bare, new)
    call.state.move_ref(repository, before, ZERO, repository.refs[before])
    shown = get_branch(replace(call, params={**call.params, "branch": new}))
    return replace(shown, status=201)


ROUTES = (Route("POST", "/repos/{owner}/{repo}/branches/{branch+}/rename", rename, "contents=write"),)
