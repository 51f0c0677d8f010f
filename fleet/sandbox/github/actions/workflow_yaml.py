"""YAML as workflow and action files are written in it, and the steps that both have: read strictly.

https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#jobsjob_idsteps
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_STEP = {"id", "if", "name", "uses", "run", "with", "env", "shell", "continue-on-error", "timeout-minutes"}


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
    shell: str = ""


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


def load(path: str, data: bytes) -> dict[str, Any]:
    """A file that is one mapping; raises WorkflowError."""
    try:
        document = yaml.load(data, _Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WorkflowError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return mapping(document, path)


def read_step(given: Any, where: str) -> Step:
    """One step; raises WorkflowError."""
    fields = mapping(given, where)
    known(fields, _STEP, where)
    if ("uses" in fields) == ("run" in fields):
        raise WorkflowError(f"{where} needs either `uses` or `run`")
    if fields.get("shell", "bash") != "bash":
        raise WorkflowError(f"the sandbox does not know the shell {fields['shell']!r} of {where}")
    what = text(fields.get("uses", fields.get("run", "")))
    return Step(
        text(fields.get("name", f"Run {what.splitlines()[0]}")),
        text(fields.get("id", "")),
        text(fields.get("if", "")),
        text(fields.get("uses", "")),
        text(fields.get("run", "")),
        texts(fields.get("with"), where),
        texts(fields.get("env"), where),
        fields.get("continue-on-error") is True,
        text(fields.get("shell", "")),
    )


def mapping(given: Any, where: str) -> dict[str, Any]:
    """A mapping with texts as keys; raises WorkflowError."""
    if not isinstance(given, dict):
        raise WorkflowError(f"{where} is not a mapping")
    return {str(name): value for name, value in given.items()}


def known(fields: Mapping[str, Any], names: set[str], where: str) -> None:
    """Raise WorkflowError for a key that the sandbox does not know."""
    for name in fields:
        if name not in names:
            raise WorkflowError(f"the sandbox does not know {name!r} in {where}")


def listed(given: Any) -> list[str]:
    """A list of texts, which may be written as one text."""
    return [text(one) for one in given] if isinstance(given, list) else [text(given)]


def texts(given: Any, where: str) -> dict[str, str]:
    """A mapping of texts; nothing at all is an empty one."""
    return {name: text(value) for name, value in mapping(given or {}, where).items()}


def text(value: Any) -> str:
    """A scalar as GitHub hands it on: everything becomes a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise WorkflowError(f"{value!r} stands where one value belongs")
    return "" if value is None else str(value)
