"""Workflow files, read strictly: what the sandbox does not know is an error, never ignored.

`runs-on` and `timeout-minutes` are taken and change nothing here.

https://docs.github.com/actions/reference/workflow-syntax-for-github-actions
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fleet.sandbox.github.actions.workflow_yaml import (
    Step,
    WorkflowError,
    known,
    listed,
    load,
    mapping,
    read_step,
    text,
    texts,
)

SKIP = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
"""What in a head commit's message keeps a push from starting workflows."""

_WORKFLOW = {"name", "run-name", "on", "permissions", "env", "concurrency", "jobs"}
_JOB = {
    *("name", "needs", "if", "runs-on", "permissions", "environment", "concurrency", "env", "timeout-minutes", "steps"),
}
_FILTERS = {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"}
_PERMISSIONS = {
    *("actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models"),
    *("packages", "pages", "pull-requests", "security-events", "statuses"),
}
_EVENTS = {"push", "pull_request", "workflow_dispatch", "schedule"}
_UNKNOWN_GLOB = re.compile(r"[\[\]+]")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Of one group one run or job goes on, and one waits, the newest; with `cancel` what goes on ends for it. With
    `queue: max` all wait for their turn.

    https://docs.github.com/actions/concepts/workflows-and-actions/concurrency
    """

    group: str
    cancel: bool = False
    queue: Literal["single", "max"] = "single"


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a workflow."""

    id: str
    name: str
    runs_on: tuple[str, ...]
    needs: tuple[str, ...]
    condition: str
    permissions: Mapping[str, str] | None
    env: Mapping[str, str]
    steps: tuple[Step, ...]
    environment: str = ""
    concurrency: Concurrency | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow file; `on` holds each event's filters, `inputs` what a dispatch may give, with defaults; `crons` is
    when it is on schedule."""

    name: str
    path: str
    on: Mapping[str, Mapping[str, Sequence[str]]]
    inputs: Mapping[str, str]
    permissions: Mapping[str, str] | None
    env: Mapping[str, str]
    concurrency: Concurrency | None
    jobs: tuple[Job, ...]
    crons: tuple[str, ...] = ()

    def takes_push(self, ref: str, changed: Sequence[str] | None) -> bool:
        """Whether a push to `ref` starts it; `changed` is None for a ref that is new."""
        filters = self.on.get("push")
        if filters is None:
            return False
        kind, _, name = ref.removeprefix("refs/").partition("/")
        own, other = ("branches", "tags") if kind == "heads" else ("tags", "branches")
        names_other_only = other in filters and own not in filters and f"{own}-ignore" not in filters
        return not names_other_only and _passes(filters, own, [name]) and _passes(filters, "paths", changed)

    def takes_pull(self, base: str, action: str, changed: Sequence[str]) -> bool:
        """Whether something that happened to a pull request into `base` starts it."""
        filters = self.on.get("pull_request")
        if filters is None:
            return False
        types = filters.get("types", ("opened", "synchronize", "reopened"))
        return action in types and _passes(filters, "branches", [base]) and _passes(filters, "paths", changed)


def _passes(filters: Mapping[str, Sequence[str]], key: str, names: Sequence[str] | None) -> bool:
    if names is None:
        return True
    if key in filters and not any(_matches(filters[key], name) for name in names):
        return False
    ignored = filters.get(f"{key}-ignore")
    return ignored is None or not all(_matches(ignored, name) for name in names)


def _matches(patterns: Sequence[str], name: str) -> bool:
    """The last pattern that matches decides; one that starts with `!` takes back."""
    taken = False
    for pattern in patterns:
        if glob(pattern.removeprefix("!")).fullmatch(name):
            taken = not pattern.startswith("!")
    return taken


def glob(pattern: str) -> re.Pattern[str]:
    """GitHub's filter pattern: `*` stays within a folder, `**` doesn't, `?` makes the character before it optional."""
    if _UNKNOWN_GLOB.search(pattern):
        raise WorkflowError(f"the sandbox does not know the filter pattern {pattern!r}")
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "?"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))


# --- reading


def parse(path: str, data: bytes) -> Workflow:
    """Read a workflow file; raises WorkflowError."""
    fields = load(path, data)
    known(fields, _WORKFLOW, path)
    if "on" not in fields or not fields.get("jobs"):
        raise WorkflowError(f"{path} needs `on` and `jobs`")
    events = _events(fields["on"])
    jobs = tuple(_job(name, job) for name, job in mapping(fields["jobs"], "jobs").items())
    inputs = mapping(events.pop("workflow_dispatch:inputs", None) or {}, "inputs")
    defaults = {name: text(mapping(one or {}, name).get("default", "")) for name, one in inputs.items()}
    name = text(fields.get("name", path))
    concurrency = _concurrency(fields.get("concurrency"))
    permissions, env = _permissions(fields, "permissions"), texts(fields.get("env"), "env")
    crons = tuple(events.get("schedule", {}).pop("cron", ()))
    return Workflow(name, path, events, defaults, permissions, env, concurrency, jobs, crons)


def _permissions(fields: Mapping[str, Any], where: str) -> Mapping[str, str] | None:
    """What is granted; None where nothing is said, which is not the same as nothing."""
    if "permissions" not in fields:
        return None
    given = texts(fields["permissions"], where)
    known(given, _PERMISSIONS, where)
    for name, access in given.items():
        if access not in ("none", "write") and (access != "read" or name == "id-token"):
            raise WorkflowError(f"{where}.{name} is {access!r}, which is no access to it")
    return given


def _concurrency(given: Any) -> Concurrency | None:
    if given is None:
        return None
    fields = mapping({"group": given} if isinstance(given, str) else given, "concurrency")
    known(fields, {"group", "cancel-in-progress", "queue"}, "concurrency")
    cancel = fields.get("cancel-in-progress", False)
    if not isinstance(cancel, bool) or not fields.get("group"):
        raise WorkflowError("the sandbox knows concurrency as a group with `cancel-in-progress: true` or `false`")
    queue = fields.get("queue", "single")
    if queue not in ("single", "max") or (queue == "max" and cancel):
        raise WorkflowError("concurrency.queue is `single`, or without `cancel-in-progress: true` also `max`")
    return Concurrency(text(fields["group"]), cancel, queue)


def _events(on: Any) -> dict[str, Any]:
    named = {on: None} if isinstance(on, str) else dict.fromkeys(on) if isinstance(on, list) else mapping(on, "on")
    known(named, _EVENTS, "on")
    events: dict[str, Any] = {}
    for event, given in named.items():
        if event == "schedule":
            if not given:
                raise WorkflowError("on.schedule needs a list of `cron`")
            events[event] = {"cron": [text(mapping(one, "on.schedule").get("cron")) for one in given]}
            continue
        filters = mapping(given or {}, f"on.{event}")
        if event == "workflow_dispatch":
            known(filters, {"inputs"}, "on.workflow_dispatch")
            events["workflow_dispatch:inputs"] = filters.get("inputs")
            filters = {}
        known(filters, _FILTERS | ({"types"} if event == "pull_request" else set()), f"on.{event}")
        events[event] = {name: listed(patterns) for name, patterns in filters.items()}
        for pattern in (one for patterns in events[event].values() for one in patterns):
            glob(pattern)
    return events


def _job(job_id: str, given: Any) -> Job:
    where = f"jobs.{job_id}"
    fields = mapping(given, where)
    known(fields, _JOB, where)
    if "runs-on" not in fields or not fields.get("steps"):
        raise WorkflowError(f"{where} needs `runs-on` and `steps`")
    return Job(
        job_id,
        text(fields.get("name", job_id)),
        tuple(listed(fields["runs-on"])),
        tuple(listed(fields.get("needs", []))),
        text(fields.get("if", "")),
        _permissions(fields, f"{where}.permissions"),
        texts(fields.get("env"), where),
        tuple(read_step(step, f"{where}.steps[{number}]") for number, step in enumerate(fields["steps"])),
        text(fields.get("environment", "")),
        _concurrency(fields.get("concurrency")),
    )
