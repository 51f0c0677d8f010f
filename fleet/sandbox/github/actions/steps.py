"""Steps one after the other, of a job or of a composite action: emulated actions, scripts, actions made of steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from fleet.sandbox.github.actions.action_file import Composite, read_action
from fleet.sandbox.github.actions.expressions import Contexts, ExpressionError, expand, holds
from fleet.sandbox.github.actions.log import masked
from fleet.sandbox.github.actions.machine import Action, Machine, Services, StepFailed
from fleet.sandbox.github.actions.oidc import Issuer
from fleet.sandbox.github.actions.shell import run_script
from fleet.sandbox.github.actions.workflow_yaml import Step, WorkflowError
from fleet.sandbox.github.state import State


@dataclass(frozen=True, slots=True)
class Runners:
    """What runners have: the folders that composite actions come from, by `OWNER/REPO@COMMIT`, and programs that every
    runner finds on its disk, by their paths under RUNNER_TEMP."""

    checkouts: Mapping[str, Path] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runner:
    """What all runs share: the state, who vouches for them, the services outside, and the actions by name."""

    state: State
    issuer: Issuer
    services: Services
    actions: Mapping[str, Action]
    runners: Runners
    closing: threading.Event = field(default_factory=threading.Event)


class Noted(Protocol):
    """Is told how each step of a job goes."""

    def began(self, number: int) -> None:
        """A step begins."""

    def ended(self, number: int, conclusion: str, message: str) -> None:
        """A step has ended."""


class Unnoted:
    """The steps of an action are part of one step, so nobody is told of each."""

    def began(self, number: int) -> None:
        """Nothing."""

    def ended(self, number: int, conclusion: str, message: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How steps ended: `success`, `failure` or `cancelled`; what each that has an id gave; why the first failed."""

    conclusion: str
    outputs: Mapping[str, Mapping[str, Any]]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What steps run in: the actions there are, the machine, the contexts, and the environment around them."""

    runner: Runner
    machine: Machine
    contexts: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str]


def run_steps(scene: Scene, steps: Iterable[Step], noted: Noted) -> Ended:
    """Run steps in order; after one that fails only those whose `if` asks for it."""
    outputs: dict[str, Mapping[str, Any]] = {}
    conclusion, why = "success", ""
    for number, step in enumerate(steps):
        if scene.machine.stopped():
            return Ended("cancelled", outputs, "The operation was canceled.")
        env = {**scene.env, **scene.machine.env}
        contexts = Contexts({**scene.contexts, "env": env, "steps": outputs}, conclusion == "success")
        ended, message, produced = _step(scene, step, contexts, partial(noted.began, number))
        outputs |= {step.id: {"outputs": produced, "outcome": ended}} if step.id else {}
        noted.ended(number, ended, masked(message, scene.machine.masks))
        if ended == "failure" and not step.continue_on_error:
            why = why or (f"{step.name}: {message}" if isinstance(noted, Unnoted) else message)
            conclusion = "failure"
    return Ended("cancelled" if scene.machine.stopped() else conclusion, outputs, why)


def _step(
    scene: Scene, step: Step, contexts: Contexts, began: Callable[[], None]
) -> tuple[str, str, Mapping[str, str]]:
    """How one step ended, why it failed, and what it gave."""
    try:
        if not holds(step.condition, contexts):
            return "skipped", "", {}
        began()
        return "success", "", _act(scene, step, contexts)
    except StepFailed as failed:
        return "failure", str(failed), failed.outputs
    except (ExpressionError, WorkflowError) as error:
        return "failure", str(error), {}


def _act(scene: Scene, step: Step, contexts: Contexts) -> Mapping[str, str]:
    env = {**contexts.values["env"], **{name: expand(text, contexts) for name, text in step.env.items()}}
    inner = Contexts({**contexts.values, "env": env}, contexts.succeeded)
    if step.run:
        return run_script(scene.machine, expand(step.run, inner), env, named=bool(step.shell))
    inputs = {name: expand(text, inner) for name, text in step.inputs.items()}
    name, at, _ = step.uses.partition("@")
    action = scene.runner.actions.get(name)
    if action is not None and at:
        return action(scene.machine, inputs)
    folder = scene.runner.runners.checkouts.get(step.uses)
    if folder is None:
        raise StepFailed(f"the sandbox does not know how to run {step.uses} (step {step.name!r})")
    return _composite(replace(scene, contexts=inner.values, env=env), read_action(folder), inputs)


def _composite(scene: Scene, action: Composite, given: Mapping[str, str]) -> Mapping[str, str]:
    """Run an action's steps, which see its inputs, and neither the workflow's secrets nor its other steps."""
    for name in given:
        if name not in action.inputs:
            raise StepFailed(f"Unexpected input(s) '{name}', valid inputs are {sorted(action.inputs)}")
    for name in action.required - given.keys():
        raise StepFailed(f"Input required and not supplied: {name}")
    place = str(action.folder)
    github = {**scene.contexts["github"], "action_path": place}
    outer = Contexts({"github": github, "runner": scene.contexts["runner"]})
    inputs = {name: given.get(name, expand(default, outer)) for name, default in action.inputs.items()}
    contexts = {**outer.values, "inputs": inputs}
    before = dict(scene.machine.variables)
    scene.machine.variables["GITHUB_ACTION_PATH"] = place
    ended = run_steps(replace(scene, contexts=contexts), action.steps, Unnoted())
    scene.machine.variables.clear()
    scene.machine.variables.update(before)
    last = Contexts({**contexts, "steps": ended.outputs})
    outputs = {name: expand(value, last) for name, value in action.outputs.items()}
    if ended.conclusion != "success":
        raise StepFailed(ended.message, outputs)
    return outputs
