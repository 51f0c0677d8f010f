"""Composite actions: `action.yml`, read as strictly as a workflow.

https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.sandbox.github.actions.workflow_yaml import Step, WorkflowError, known, load, mapping, read_step, text


@dataclass(frozen=True, slots=True)
class Composite:
    """An action that is made of steps: what it takes (None where there is no default), gives, and does."""

    folder: Path
    required: frozenset[str]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    steps: tuple[Step, ...]


def read_action(folder: Path) -> Composite:
    """The action of a checkout; raises WorkflowError for one that the sandbox cannot run."""
    path = folder / "action.yml"
    fields = load(str(path), path.read_bytes())
    known(fields, {"name", "description", "author", "branding", "inputs", "outputs", "runs"}, "action.yml")
    inputs = {name: mapping(one, name) for name, one in mapping(fields.get("inputs", {}), "inputs").items()}
    outputs = {name: mapping(one, name) for name, one in mapping(fields.get("outputs", {}), "outputs").items()}
    for one in inputs.values():
        known(one, {"description", "required", "default"}, "inputs")
    runs = mapping(fields.get("runs"), "runs")
    known(runs, {"using", "steps"}, "runs")
    if runs.get("using") != "composite":
        raise WorkflowError(f"the sandbox runs no action that is {runs.get('using')!r}")
    steps = tuple(read_step(step, f"runs.steps[{number}]") for number, step in enumerate(runs["steps"]))
    for step in steps:
        if step.run and not step.shell:
            raise WorkflowError(f"the step {step.name!r} of an action needs a `shell`")
    return Composite(
        folder,
        frozenset(name for name, one in inputs.items() if one.get("required") is True),
        {name: text(one.get("default", "")) for name, one in inputs.items()},
        {name: text(one["value"]) for name, one in outputs.items()},
        steps,
    )
