"""What set a run off, as GitHub tells the run: the event's document, and the context and variables around it.

https://docs.github.com/webhooks/webhook-events-and-payloads,
https://docs.github.com/actions/reference/workflows-and-actions/variables
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.github import views, views_pulls
from fleet.sandbox.github.model_actions import Run
from fleet.sandbox.github.rights import Actor
from fleet.sandbox.github.state import State


def event_of(state: State, run: Run) -> Mapping[str, Any]:
    """The document of the event that started a run."""
    trigger, repository = run.trigger, run.repository
    actor = Actor(trigger.actor, None)
    document = {
        "repository": views.repository(state.url, repository, actor),
        "sender": views.account(state.url, trigger.actor),
    }
    if trigger.pull is not None:
        shown = views_pulls.pull(state.url, repository, trigger.pull, actor)
        if trigger.pull.from_fork:
            author = views.account(state.url, trigger.pull.author)
            name = f"{trigger.pull.author.login}/{repository.name}"
            shown["head"] |= {"repo": document["repository"] | {"full_name": name, "owner": author, "fork": True}}
        return {**document, "action": trigger.action, "number": trigger.pull.number, "pull_request": shown}
    if trigger.event == "push":
        return {**document, "ref": trigger.ref, "before": trigger.before, "after": trigger.sha}
    if trigger.event == "schedule":
        return {**document, "schedule": trigger.cron}
    return {**document, "ref": trigger.ref, "inputs": dict(trigger.inputs)}


def github_context(state: State, run: Run) -> Mapping[str, Any]:
    """What the context `github` holds of a run, without its token."""
    trigger, repository = run.trigger, run.repository
    _, kind, name = trigger.ref.split("/", 2)
    return {
        "actor": trigger.actor.login,
        "api_url": state.url,
        "base_ref": trigger.base_branch,
        "event": event_of(state, run),
        "event_name": trigger.event,
        "graphql_url": f"{state.url}/graphql",
        "head_ref": trigger.head_branch,
        "ref": trigger.ref,
        "ref_name": name,
        "ref_type": "tag" if kind == "tags" else "branch",
        "repository": repository.full_name,
        "repository_owner": repository.owner.login,
        "run_attempt": str(run.attempt),
        "run_id": str(run.id),
        "run_number": str(run.number),
        "server_url": state.url,
        "sha": trigger.sha,
        "workflow": run.name,
    }


def variables_of(context: Mapping[str, Any]) -> Mapping[str, str]:
    """The variables that a runner sets, as far as they come from the context `github`."""
    plain = {f"GITHUB_{name.upper()}": value for name, value in context.items() if isinstance(value, str)}
    plain.pop("GITHUB_TOKEN", None)  # a job's token is in the context and in no variable
    return {"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", **plain}
