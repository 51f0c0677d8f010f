"""Workflow files, read strictly: what the sandbox does not know is an error, never ignored.

`runs-on` and `timeout-minutes` are taken and change nothing here.

https://docs.github.com/actions/reference/workflow-syntax-for-github-actions
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

SKIP = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
"""What in a head commit's message keeps a push from starting workflows."""

_WORKFLOW = {"name", "run-name", "on", "permissions", "env", "concurrency", "jobs"}
_JOB = {"name", "needs", "if", "runs-on", "permissions", "environment", "env", "timeout-minutes", "steps"}
_STEP = {"id", "if", "name", "uses", "run", "with", "env", "shell", "continue-on-error", "timeout-minutes"}
_FILTERS = {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"}
_PERMISSIONS = {
    *("actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models"),
    *("packages", "pages", "pull-requests", "security-events", "statuses"),
}
_EVENTS = {"push", "pull_request", "workflow_dispatch"}
_UNKNOWN_GLOB = re.compile(r"[\[\]+]")


class WorkflowError(Exception):
    """A workflow file is wrong, or asks for something that the sandbox does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job; `inputs` is its `with`."""

    name: str
    id: str = ""
    condition: str = ""
    uses: str = ""
    run: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    continue_on_error: bool = False


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


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow file; `on` holds each event's filters, `inputs` what a dispatch may give, with defaults.

    Of the runs in one `group` only the newest goes on; an empty one is no group.
    """

    name: str
    path: str
    on: Mapping[str, Mapping[str, Sequence[str]]]
    inputs: Mapping[str, str]
    permissions: Mapping[str, str] | None
    env: Mapping[str, str]
    group: str
    jobs: tuple[Job, ...]

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


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans, so that `on` is a key and `no` a text; and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; raises WorkflowError for a key that stands there twice."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise WorkflowError(f"line {node.start_mark.line + 1}: {key!r} stands there twice")
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


def parse(path: str, data: bytes) -> Workflow:
    """Read a workflow file; raises WorkflowError."""
    try:
        document = yaml.load(data, _Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WorkflowError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    fields = _mapping(document, path)
    _known(fields, _WORKFLOW, path)
    if "on" not in fields or not fields.get("jobs"):
        raise WorkflowError(f"{path} needs `on` and `jobs`")
    events = _events(fields["on"])
    jobs = tuple(_job(name, job) for name, job in _mapping(fields["jobs"], "jobs").items())
    inputs = _mapping(events.pop("workflow_dispatch:inputs", None) or {}, "inputs")
    defaults = {name: text(_mapping(one or {}, name).get("default", "")) for name, one in inputs.items()}
    name = text(fields.get("name", path))
    group = _group(fields.get("concurrency"))
    permissions = _permissions(fields, "permissions")
    return Workflow(name, path, events, defaults, permissions, _texts(fields.get("env"), "env"), group, jobs)


def _permissions(fields: Mapping[str, Any], where: str) -> Mapping[str, str] | None:
    """What is granted; None where nothing is said, which is not the same as nothing."""
    if "permissions" not in fields:
        return None
    given = _texts(fields["permissions"], where)
    _known(given, _PERMISSIONS, where)
    for name, access in given.items():
        if access not in ("none", "write") and (access != "read" or name == "id-token"):
            raise WorkflowError(f"{where}.{name} is {access!r}, which is no access to it")
    return given


def _group(given: Any) -> str:
    if given is None:
        return ""
    fields = _mapping(given, "concurrency")
    _known(fields, {"group", "cancel-in-progress"}, "concurrency")
    if fields.get("cancel-in-progress") is not True or not fields.get("group"):
        raise WorkflowError("the sandbox knows concurrency only as a group with `cancel-in-progress: true`")
    return text(fields["group"])


def _events(on: Any) -> dict[str, Any]:
    named = {on: None} if isinstance(on, str) else dict.fromkeys(on) if isinstance(on, list) else _mapping(on, "on")
    _known(named, _EVENTS, "on")
    events: dict[str, Any] = {}
    for event, given in named.items():
        filters = _mapping(given or {}, f"on.{event}")
        if event == "workflow_dispatch":
            _known(filters, {"inputs"}, "on.workflow_dispatch")
            events["workflow_dispatch:inputs"] = filters.get("inputs")
            filters = {}
        _known(filters, _FILTERS | ({"types"} if event == "pull_request" else set()), f"on.{event}")
        events[event] = {name: _list(patterns) for name, patterns in filters.items()}
        for pattern in (one for patterns in events[event].values() for one in patterns):
            glob(pattern)
    return events


def _job(job_id: str, given: Any) -> Job:
    where = f"jobs.{job_id}"
    fields = _mapping(given, where)
    _known(fields, _JOB, where)
    if "runs-on" not in fields or not fields.get("steps"):
        raise WorkflowError(f"{where} needs `runs-on` and `steps`")
    return Job(
        job_id,
        text(fields.get("name", job_id)),
        tuple(_list(fields["runs-on"])),
        tuple(_list(fields.get("needs", []))),
        text(fields.get("if", "")),
        _permissions(fields, f"{where}.permissions"),
        _texts(fields.get("env"), where),
        tuple(_step(step, f"{where}.steps[{number}]") for number, step in enumerate(fields["steps"])),
        text(fields.get("environment", "")),
    )


def _step(given: Any, where: str) -> Step:
    fields = _mapping(given, where)
    _known(fields, _STEP, where)
    if ("uses" in fields) == ("run" in fields):
        raise WorkflowError(f"{where} needs either `uses` or `run`")
    what = text(fields.get("uses", fields.get("run", "")))
    return Step(
        text(fields.get("name", f"Run {what.splitlines()[0]}")),
        text(fields.get("id", "")),
        text(fields.get("if", "")),
        text(fields.get("uses", "")),
        text(fields.get("run", "")),
        _texts(fields.get("with"), where),
        _texts(fields.get("env"), where),
        fields.get("continue-on-error") is True,
    )


def _mapping(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise WorkflowError(f"{where} is not a mapping")
    return {str(name): value for name, value in given.items()}


def _known(fields: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in fields:
        if name not in known:
            raise WorkflowError(f"the sandbox does not know {name!r} in {where}")


def _list(given: Any) -> list[str]:
    return [text(one) for one in given] if isinstance(given, list) else [text(given)]


def _texts(given: Any, where: str) -> dict[str, str]:
    return {name: text(value) for name, value in _mapping(given or {}, where).items()}


def text(value: Any) -> str:
    """A scalar as GitHub hands it on: everything becomes a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise WorkflowError(f"{value!r} stands where one value belongs")
    return "" if value is None else str(value)
