"""What a job may do: its token's rights on the repository, and whether GitHub vouches for it.

https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#permissions
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.sandbox.github.actions.workflow import Job, Workflow
from fleet.sandbox.github.model import Level

IDENTITY = "id-token"

_DEFAULT: Mapping[str, str] = {"contents": "read", "packages": "read"}
"""What a job has where nothing is said: an organisation's restricted default."""


def rights_of(workflow: Workflow, job: Job, *, from_fork: bool) -> Mapping[str, str]:
    """The permissions of a job by name; a pull request from a fork may read and no more."""
    given = next((one for one in (job.permissions, workflow.permissions) if one is not None), _DEFAULT)
    if not from_fork:
        return given
    return {name: "read" if access == "write" else access for name, access in given.items() if name != IDENTITY}


def token_rights(rights: Mapping[str, str]) -> dict[str, Level]:
    """The same as the rights of a token."""
    granted: dict[str, Level] = {}
    for name, access in rights.items():
        if name != IDENTITY and (access in ("read", "write")):
            granted[name.replace("-", "_")] = "write" if access == "write" else "read"
    return granted
