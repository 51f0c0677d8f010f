"""What runs keep for later: artefacts, in the repository's own store.

https://docs.github.com/actions/tutorials/store-and-share-data
"""

from __future__ import annotations

from fleet.sandbox.github.actions.machine import StepFailed
from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.model_actions import Artifact, Run
from fleet.sandbox.github.rights import Actor, Need
from fleet.sandbox.github.state import State

_READ = Need("actions", "read")


class Artifacts:
    """The artefacts that one run can make, and see."""

    def __init__(self, state: State, run: Run) -> None:
        self._state = state
        self._run = run

    def keep(self, name: str, files: dict[str, bytes], *, overwrite: bool) -> Artifact:
        """Keep files under a name; raises StepFailed where the name is taken."""
        with self._state.lock:
            kept = self._run.artifacts
            if name in kept and not overwrite:
                raise StepFailed(f"Conflict: an artifact with this name already exists on the workflow run: {name}")
            kept[name] = Artifact(self._state.next_id(), name, files, self._state.clock.now())
            return kept[name]

    def find(self, name: str, run: str = "", token: str = "") -> Artifact:
        """The artefact of this run, or with a token that of another; raises StepFailed where it cannot be had."""
        with self._state.lock:
            found = self._run if run in ("", str(self._run.id)) else self._other(run, token)
            if name not in found.artifacts:
                raise StepFailed(f"Unable to download artifact(s): Artifact not found for name: {name}")
            return found.artifacts[name]

    def _other(self, number: str, token: str) -> Run:
        shown = self._state.tokens.get(token)
        actor = Actor(self._state.account(shown.owner), shown) if shown else Actor(None, None)
        repository = self._run.repository
        try:
            actor.require(_READ, repository)
        except ApiError as error:
            raise StepFailed(f"Unable to download artifact(s): {error.message}") from None
        for run in repository.runs:
            if str(run.id) == number:
                return run
        raise StepFailed("Unable to download artifact(s): Not Found")
