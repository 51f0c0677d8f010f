"""Where a fleet keeps its state: a folder, or a branch of the repository that fleet.yaml comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fleet.config.root import GIT
from fleet.errors import FleetError
from fleet.pace import Pace
from fleet.provider import CodeHost
from fleet.runner import runner_of
from fleet.services import CHECKOUT, Workshop, local_path
from fleet.site import is_local
from fleet.state_branch import Place
from fleet.store import FolderStore, Store

if TYPE_CHECKING:
    from fleet.git_store import GitStore


def open_store(workshop: Workshop) -> Store:
    """Where the fleet keeps its state; raises FleetError where `state: git` leads to no repository."""
    folder = workshop.fleet.state_folder
    if folder is not None:
        return FolderStore(workshop.folder / folder, workshop.fleet.name)
    return open_git_store(workshop)


def open_git_store(workshop: Workshop) -> GitStore:
    """The branch that holds the state; raises FleetError where state is kept in a folder."""
    from fleet.git_store import GitStore  # a fleet with a folder does not pay for it

    git = workshop.fleet.git_state
    if git is None:
        raise FleetError(
            f"the state is in the folder {workshop.fleet.state}, whose lock is its process's and ends with it: "
            "there is nothing to unlock"
        )
    place = Place(_repository(workshop, git.repository), git.branch)
    pace = _own_pace(workshop)
    return GitStore(workshop.apart(place.repository, pace), place, workshop.fleet.name, pace)


def _own_pace(workshop: Workshop) -> Pace:
    """A pace for bookkeeping: what a run has done is written down also when the run may ask nothing more."""
    run = workshop.pace
    return Pace(clock=run.clock, tell=lambda reason, seconds: run.tell(reason, seconds), used=run.used)


def is_offline(workshop: Workshop) -> bool:
    """Whether the state can be read without the network."""
    git = workshop.fleet.git_state
    return git is None or is_local(_repository(workshop, git.repository))


def _repository(workshop: Workshop, named: str | None) -> str:
    """The repository on a code host, or a local path: the one that is named, else that of the CI run, else that of the
    remote `origin`, else the checkout itself."""
    if named is not None:
        return named if not named.startswith((".", "/")) else local_path(named)
    of_run = runner_of(os.environ).repository or None
    if of_run is not None:
        if workshop.fleet.code_host_of(of_run) is None:
            raise _unserved(of_run)
        return of_run
    checkout = workshop[CHECKOUT]
    assert isinstance(checkout, CodeHost)
    url = checkout.origin(".")
    if url is None:
        return "./"
    hosts = [checkout, *(workshop.code_host(name) for name in workshop.fleet.code_hosts)]
    found = next((path for path in (host.repository_at(url) for host in hosts) if path), None)
    if found is None:
        raise _unserved(_shown(url))
    return found


def _unserved(repository: str) -> FleetError:
    return FleetError(
        f"state: {GIT} keeps state where fleet.yaml comes from, and no entry of code_hosts serves {repository}: add "
        "one, or name another repository, as state: {git: {repository: OWNER/NAME}}"
    )


def _shown(url: str) -> str:
    """A remote's URL without the login that may stand in it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url
