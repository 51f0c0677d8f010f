"""The workflow of a fleet repository, written from its fleet.yaml: which secrets each job needs, and nothing more."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from pydantic import BaseModel

from fleet import plugins
from fleet.config import Fleet
from fleet.errors import UsageError
from fleet.provider import LoginStep, Registry
from fleet.secrets import SecretSource
from fleet.templates import read_pins

WORKFLOW = ".github/workflows/fleet.yaml"

_ACTION = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(/[A-Za-z0-9_./-]+)?@[0-9a-f]{40}", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*", re.ASCII)
_PLACE = re.compile(r"<< (\w+) >>")
_READ = re.compile(r"\$\{\{ vars\.(\w+) \}\}")
_IDENTITY = "      id-token: write # to log in to registries without a stored secret"

RESERVED = "GITHUB_"
"""No secret's name may begin so: https://docs.github.com/en/actions/reference/security/secrets"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a workflow is asked for: the action of fleet, where fleet.yaml lies, the default branch, and the registries
    whose login reading jobs do without."""

    action: str
    file: str = "fleet.yaml"
    branch: str = "main"
    without: tuple[str, ...] = ()


def workflow_of(fleet: Fleet, asked: Asked) -> str:
    """The text of the workflow; raises UsageError for what cannot stand in one."""
    _check(asked)
    values = {
        "action": asked.action,
        "branch": asked.branch,
        "checkout": str(read_pins()["checkout"]),
        "file": asked.file,
        "name": fleet.name,
        "without": f"          without: {','.join(asked.without)}" if asked.without else "",
        "plan_env": _env(variables_of(fleet, asked.without)),
        "apply_env": _env(variables_of(fleet)),
        **_logins("plan", logins_of(fleet, asked.without)),
        **_logins("apply", logins_of(fleet)),
    }
    template = resources.files("fleet.templates") / "fleet-repository" / "fleet.yaml"
    lines = []
    for line in template.read_text(encoding="utf-8").splitlines():
        filled = _PLACE.sub(lambda found: values[found[1]], line)
        if filled or not line:
            lines.append(filled)
    return "\n".join(lines) + "\n"


def variables_of(fleet: Fleet, without: Collection[str] = ()) -> list[str]:
    """The environment variables that a fleet's secrets come from, but for those of some registries."""
    return list(dict.fromkeys(source.env for source in _sources(fleet, without) if source.env is not None))


def logins_of(fleet: Fleet, without: Collection[str] = ()) -> list[LoginStep]:
    """The steps by which a job logs in to registries without a stored secret, but for some registries.

    An action logs in once: a job has one login for each cloud.
    """
    found: dict[str, LoginStep] = {}
    for name, registry in fleet.registries.items():
        provider = plugins.load(registry.type)
        if name not in without and provider is not None and issubclass(provider, Registry):
            step = provider.job_login(registry.settings)
            if step is not None:
                found.setdefault(step.action, step)
    return list(found.values())


def identities_of(steps: Iterable[LoginStep]) -> list[str]:
    """The Actions variables that steps read, by name."""
    return list(dict.fromkeys(name for step in steps for text in step.inputs.values() for name in _READ.findall(text)))


def elsewhere(fleet: Fleet) -> list[str]:
    """The secrets that come from files or commands, which a runner does not have."""
    return [str(source) for source in _sources(fleet, ()) if source.env is None]


def secret_of(variable: str) -> str:
    """The name of the Actions secret for a variable."""
    return f"FLEET_{variable}" if variable.startswith(RESERVED) else variable


def _sources(fleet: Fleet, without: Collection[str]) -> Iterator[SecretSource]:
    for code_host in fleet.code_hosts.values():
        yield from _within(code_host.settings)
    for name, registry in fleet.registries.items():
        if name not in without:
            yield from _within(registry.settings)
    for hub in fleet.hubs.values():
        yield from _within(hub)


def _within(model: BaseModel) -> Iterator[SecretSource]:
    if isinstance(model, SecretSource):
        yield model
        return
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _within(value)


def _env(variables: Collection[str]) -> str:
    lines = [f"          {name}: ${{{{ secrets.{secret_of(name)} }}}}" for name in variables]
    return "\n".join(["        env:", *lines]) if lines else ""


def _logins(job: str, steps: Sequence[LoginStep]) -> dict[str, str]:
    """The permission that steps take, and the steps, as lines of a job."""
    shown = "\n".join(line for step in steps for line in _login(step))
    return {f"{job}_identity": _IDENTITY if steps else "", f"{job}_login": shown}


def _login(step: LoginStep) -> Iterator[str]:
    yield f"      # Nothing is stored: GitHub vouches for this job. As whom, says its environment: {_named(step)}."
    yield f"      - name: {step.name}"
    yield f"        uses: {read_pins()[step.action]}"
    yield "        with:"
    for name, text in step.inputs.items():
        yield f"          {name}: {text if text.startswith('${{') else json.dumps(text)}"


def _named(step: LoginStep) -> str:
    names = identities_of([step])
    return f"{'variables' if len(names) > 1 else 'variable'} {', '.join(names)}"


def _check(asked: Asked) -> None:
    if not _ACTION.fullmatch(asked.action):
        raise UsageError(f"-action={asked.action}: write OWNER/REPO@SHA, with the 40 digits of a commit")
    if not _BRANCH.fullmatch(asked.branch):
        raise UsageError(f"-branch={asked.branch}: this is no name of a branch that a workflow can be given")
    if not _FILE.fullmatch(asked.file) or ".." in asked.file.split("/"):
        raise UsageError(
            f"-file={asked.file}: name it from the top of the repository, with letters, digits and . _ - /"
        )
