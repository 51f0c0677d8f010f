"""Whether Actions run in a repository, and whether they may run what the managed workflows use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from fleet.provider import Context, Objection, Spec
from fleet_github.client import Client
from fleet_github.specs import ManagedFiles

_USES = re.compile(rb"^\s*-?\s*uses:\s*['\"]?([\w.-]+/[\w./-]+)@([\w.-]+)", re.MULTILINE)

_GITHUBS_OWN = ("actions", "github")


def actions_used(context: Context, wanted: Iterable[Spec | None]) -> Sequence[str]:
    """The actions that managed files use, as `owner/name@revision`."""
    blobs = {oid for spec in wanted if isinstance(spec, ManagedFiles) for oid in spec.files.values()}
    return sorted(
        {f"{name.decode()}@{version.decode()}" for oid in blobs for name, version in _USES.findall(context.blob(oid))}
    )


def may_run(client: Client, repository: str, used: Sequence[str]) -> Iterator[Objection]:
    """What keeps a repository's workflows from running; nothing where the token may not know it."""
    path = f"/repos/{repository}/actions/permissions"
    reply = client.rest("GET", path, None, 403, 404)
    found = reply.document if reply.status == 200 and isinstance(reply.document, dict) else {}
    if found.get("enabled") is False:
        reason = f"would build nothing: Actions are disabled in {repository}"
        yield Objection(reason, "Enable Actions in the repository's settings.")
    else:
        yield from not_allowed(client, path, found, used)


def not_allowed(client: Client, path: str, found: Mapping[str, Any], used: Sequence[str]) -> Iterator[Objection]:
    """Which actions the policy at `path`, of a repository or an organisation, does not let run.

    https://docs.github.com/en/rest/actions/permissions
    """
    if not used:
        return
    if found.get("allowed_actions") == "local_only":
        yield Objection(
            f"would build nothing: only actions of its own organisation may run, and its workflows use "
            f"{', '.join(used)}",
            "Allow these actions in the settings of Actions.",
        )
    elif found.get("allowed_actions") == "selected":
        reply = client.rest("GET", f"{path}/selected-actions", None, 403, 404, 409)
        chosen = reply.document if reply.status == 200 and isinstance(reply.document, dict) else None
        barred = [use for use in used if chosen is not None and not _is_chosen(use, chosen)]
        if barred:
            yield Objection(
                f"would build nothing: the settings of Actions do not allow {', '.join(barred)}",
                "Allow these actions in the settings of Actions.",
            )


def _is_chosen(use: str, chosen: Mapping[str, Any]) -> bool:
    if chosen.get("github_owned_allowed") and use.partition("/")[0] in _GITHUBS_OWN:
        return True
    patterns = [str(pattern) for pattern in chosen.get("patterns_allowed") or ()]
    name = use.partition("@")[0]
    return any(fnmatch(use, pattern) or fnmatch(name, pattern) for pattern in patterns)
