"""What the steps of a job run on, and how a step says that it went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fleet.sandbox.github.actions.disk import Disk, File
from fleet.sandbox.push import Registries

if TYPE_CHECKING:
    from fleet.sandbox.github.actions.artifacts import Artifacts
    from fleet.sandbox.github.actions.oidc import Identity
    from fleet.sandbox.github.model_actions import JobRun


class StepFailed(Exception):
    """A step ends red; the text says why. `outputs` is what it gave all the same."""

    def __init__(self, message: str, outputs: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.outputs = outputs or {}


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services outside of GitHub answer, by host: registries, and what login steps call.

    Registries on loopback are reached without being named here.
    """

    registries: Registries = field(default_factory=Registries)
    hosts: Mapping[str, str] = field(default_factory=dict)

    def address(self, host: str) -> str:
        """The base URL that stands in for a host; raises StepFailed for one outside, since nothing is sent there."""
        if host not in self.hosts:
            raise StepFailed(f"the sandbox knows no service for {host}")
        return self.hosts[host].rstrip("/")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a job's steps run on: an empty disk, the commit's files, GitHub's variables, and the way to other services.

    `env` and `path` are what steps export to later ones, `told` is where it is noted what they say. What a step adds to
    `masks` is never shown. `identity` makes a signed token for an audience; None without the right `id-token: write`.
    `may_read` says whether a token may read the repository, `stopped` whether the job was cancelled, and `begins` is
    told of each script's process.
    """

    disk: Disk
    files: Mapping[str, File]
    repository: str
    actor: str
    ref: str
    sha: str
    token: str = field(repr=False)
    now: str
    services: Services
    artifacts: Artifacts
    told: JobRun
    may_read: Callable[[str], bool]
    stopped: Callable[[], bool]
    begins: Callable[[int], None]
    identity: Identity | None = field(default=None, repr=False)
    variables: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    masks: set[str] = field(default_factory=set, repr=False)

    def mask(self, secret: str) -> str:
        """Keep a secret out of all messages from now on, and return it."""
        self.masks.add(secret)
        return secret


class Action(Protocol):
    """An action as the sandbox carries it out: inputs in, outputs out; raises StepFailed."""

    def __call__(self, machine: Machine, inputs: Mapping[str, str], /) -> Mapping[str, str]:
        """Do what the action does."""
        ...


def check_inputs(inputs: Mapping[str, str], known: set[str], action: str) -> None:
    """Raise StepFailed for an input that the sandbox would not obey."""
    for name in inputs:
        if name not in known:
            raise StepFailed(f"the sandbox does not know the input {name!r} of {action}")
