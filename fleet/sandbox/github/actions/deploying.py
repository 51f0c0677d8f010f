"""What a job gets that names an environment, and what its rules ask first.

https://docs.github.com/actions/reference/workflows-and-actions/deployments-and-environments
"""

from __future__ import annotations

from fleet.sandbox.github.actions.machine import StepFailed
from fleet.sandbox.github.actions.workflow import Job, glob
from fleet.sandbox.github.model_actions import Environment, Run
from fleet.sandbox.github.state import State


def environment_of(state: State, run: Run, job: Job) -> Environment | None:
    """The environment that a job names, made where there is none; raises StepFailed where its branch may not deploy."""
    if not job.environment:
        return None
    now, known = state.clock.now(), run.repository.environments
    made = Environment(state.next_id(), job.environment, now, now)
    found = known.setdefault(job.environment.lower(), made)
    if not _may_deploy(run, found):
        raise StepFailed(
            f'"{run.trigger.ref}" is not allowed to deploy to {found.name} due to environment protection rules.'
        )
    return found


def _may_deploy(run: Run, environment: Environment) -> bool:
    kind, _, name = run.trigger.ref.removeprefix("refs/").partition("/")
    if environment.policy == "any":
        return True
    if environment.policy == "protected":
        return kind == "heads" and name in run.repository.protection
    own = {"heads": "branch", "tags": "tag"}.get(kind)
    return any(kind == own and glob(pattern).fullmatch(name) for kind, pattern in environment.branches.values())
