"""The step that builds an image: `jupyterhub/repo2docker-action`.

It follows the action's own script: https://github.com/jupyterhub/repo2docker-action (create_docker_image.sh).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.sandbox.github.actions.machine import Action, Machine, StepFailed, check_inputs
from fleet.sandbox.push import Image, Login, Pusher, PushRefused, Registries, build

_BUILD_INPUTS = {
    "DOCKER_USERNAME",
    "DOCKER_PASSWORD",
    "DOCKER_REGISTRY",
    "IMAGE_NAME",
    "NOTEBOOK_USER",
    "REPO_DIR",
    "APPENDIX_FILE",
    "LATEST_TAG_OFF",
    "ADDITIONAL_TAG",
    "NO_PUSH",
    "PUBLIC_REGISTRY_CHECK",
    "REPO2DOCKER_EXTRA_ARGS",
}
"""What the sandbox obeys of the action's inputs; the others make the step fail."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"[A-Za-z0-9.-]+(?::\d+)?"
_REFERENCE = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*:[\w][\w.-]{{0,127}}")
"""Docker's reference to a tagged image. https://pkg.go.dev/github.com/distribution/reference"""

DOCKER_HUB = "docker.io"


def repo2docker(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Build the image and push it; the outputs are the action's own. Raises StepFailed."""
    given = {name.upper(): value for name, value in inputs.items()}
    check_inputs(given, _BUILD_INPUTS, "jupyterhub/repo2docker-action")
    no_push = given.get("NO_PUSH") or "false"
    if no_push not in ("true", "false"):
        raise StepFailed(f"Error: invalid value for NO_PUSH: {no_push}. Valid values are true or false.")
    username, password = given.get("DOCKER_USERNAME", ""), given.get("DOCKER_PASSWORD", "")
    login = Login(username, password) if username and password else None
    host, name = given.get("DOCKER_REGISTRY", ""), _image_name(machine, given)
    tags = _tags(machine, given)
    for tag in tags:
        full = f"{host}/{name}:{tag}" if host else f"{name}:{tag}"
        if not _REFERENCE.fullmatch(full):
            raise StepFailed(f"invalid reference format: {full}")
    image = _build(machine, given)
    if no_push == "false":
        try:
            _push(machine.services.registries, _Target(host or DOCKER_HUB, name, tags), image, login, given)
        except PushRefused as refused:
            raise StepFailed(str(refused)) from None
    full = f"{host}/{name}" if host else name
    return {
        "IMAGE_SHA_NAME": f"{full}:{tags[0]}",
        "IMAGE_SHA_TAG": tags[0],
        "PUSH_STATUS": "true" if no_push == "false" else "false",
    }


def _image_name(machine: Machine, given: Mapping[str, str]) -> str:
    owner = given.get("DOCKER_USERNAME") or machine.actor
    return given.get("IMAGE_NAME") or f"{owner}/{machine.repository.partition('/')[2]}".lower()


def _tags(machine: Machine, given: Mapping[str, str]) -> list[str]:
    """The commit first; `latest` unless LATEST_TAG_OFF is set to anything at all."""
    latest = [] if given.get("LATEST_TAG_OFF") else ["latest"]
    return [machine.sha[:12], *latest, *filter(None, [given.get("ADDITIONAL_TAG")])]


def _build(machine: Machine, given: Mapping[str, str]) -> Image:
    appendix = given.get("APPENDIX_FILE")
    workspace = machine.disk.contents()
    if appendix and appendix not in workspace:
        raise StepFailed(f"cat: {appendix}: No such file or directory")
    home = given.get("REPO_DIR") or f"/home/{given.get('NOTEBOOK_USER') or 'jovyan'}"
    labels = {
        "repo2docker.repo": f"https://github.com/{machine.repository}",
        "repo2docker.ref": machine.ref,
        **_labels(given.get("REPO2DOCKER_EXTRA_ARGS", "").split()),
    }
    return build({f"{home}/{path}": data for path, data in workspace.items()}, labels, machine.now)


def _labels(arguments: list[str]) -> dict[str, str]:
    """The labels in repo2docker's arguments, which the shell has split at each space; no other argument is obeyed."""
    pairs = list(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or any(option != "--label" or "=" not in value for option, value in pairs):
        raise StepFailed(f"repo2docker: error: the sandbox knows no arguments like {' '.join(arguments)}")
    return {name: value for name, _, value in (value.partition("=") for _, value in pairs)}


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    repository: str
    tags: list[str]


def _push(registries: Registries, target: _Target, image: Image, login: Login | None, given: Mapping[str, str]) -> None:
    with Pusher(registries, target.host, login) as pusher:
        if login is not None:
            pusher.log_in()
        pusher.push(target.repository, image, target.tags)
    if given.get("PUBLIC_REGISTRY_CHECK"):
        with Pusher(registries, target.host) as stranger:
            if not stranger.exists(target.repository, target.tags[0]):
                raise StepFailed("Could not pull docker image. Make sure this image is public before proceeding.")


ACTIONS: Mapping[str, Action] = {"jupyterhub/repo2docker-action": repo2docker}
"""The actions that the sandbox carries out, by name without version."""
