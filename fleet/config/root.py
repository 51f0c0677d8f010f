"""The whole of fleet.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from fleet.config.base import BRANCH, PATTERN, STATE_REPOSITORY, Key, Name, Strict, Text, problem
from fleet.config.entries import CodeHost, Registry
from fleet.config.hubs import Hub
from fleet.config.images import Image, Template
from fleet.config.policy import Limits, Removed

GIT = "git"
"""The word for state on a branch."""


def _number(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value  # for Python, true is 1


class GitState(Strict):
    """State, journal and lease on a branch of a repository."""

    repository: Annotated[str, StringConstraints(pattern=STATE_REPOSITORY)] | None = Field(
        default=None,
        description="The repository on a code host, or the path of a local one; absent: where this file comes from.",
    )
    branch: Annotated[str, StringConstraints(pattern=BRANCH)] = Field(
        default="fleet-state", description="The branch; fleet begins it, and nothing else may be on it."
    )


class StateBlock(Strict):
    """Where state is kept, where that takes more than a word."""

    git: GitState = Field(description="State on a branch.")


def _state(value: Any) -> Any:
    if isinstance(value, StateBlock):
        return value
    if isinstance(value, dict):
        return StateBlock.model_validate(value)
    if not isinstance(value, str):
        raise problem("{shown} is neither a folder nor git")
    scheme, separator, _ = value.partition("://")
    if separator:
        if scheme in ("s3", "gs", "az"):
            raise problem(f"state in {scheme}:// is planned but not built yet; use a folder or git")
        raise problem("{shown} is neither a folder nor git")
    return value


class Fleet(Strict):
    """A fleet: its code hosts, registries, templates, images and hubs, and the rules that every run obeys."""

    version: Annotated[Literal[1], BeforeValidator(_number)] = Field(description="The version of this format.")
    name: Name = Field(description="The fleet's name; it marks what the fleet owns, so it never changes.")
    state: Annotated[Text | StateBlock, BeforeValidator(_state)] = Field(
        default=".fleet",
        description="Where state and journal are kept: a folder, or `git`, a branch of the repository of this file.",
    )
    code_hosts: dict[Name, CodeHost] = Field(default_factory=dict, description="Where repositories live, by name.")
    registries: dict[Name, Registry] = Field(default_factory=dict, description="Where images live, by name.")
    templates: dict[Key, Template] = Field(
        default_factory=dict, description="What source repositories are made from, by name."
    )
    images: dict[Key, Image] = Field(default_factory=dict, description="The images, by name.")
    hubs: dict[Key, Hub] = Field(default_factory=dict, description="The hubs, by name.")
    protect: Annotated[tuple[Annotated[str, StringConstraints(pattern=PATTERN)], ...], Field(strict=False)] = Field(
        default=(), description="Address patterns of what is never removed, archived or destroyed."
    )
    limits: Limits = Field(default_factory=Limits, description="How much one run may do.")
    removed: Annotated[tuple[Removed, ...], Field(strict=False)] = Field(
        default=(), description="What is archived or destroyed after it has left the file."
    )

    @property
    def git_state(self) -> GitState | None:
        """Where on which branch state is kept; None for a folder."""
        if isinstance(self.state, StateBlock):
            return self.state.git
        return GitState() if self.state == GIT else None

    @property
    def state_folder(self) -> str | None:
        """The folder of the state, relative to fleet.yaml; None for a branch."""
        return self.state if isinstance(self.state, str) and self.state != GIT else None

    def code_host_of(self, repository: str) -> str | None:
        """The name of the code host that serves a repository: the one of its owner, else one that takes any owner."""
        owner = repository.partition("/")[0].casefold()
        hosts = self.code_hosts.items()
        named = [name for name, host in hosts if host.owner is not None and host.owner.casefold() == owner]
        return next(iter(named or [name for name, host in hosts if host.owner is None]), None)
