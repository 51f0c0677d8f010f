"""What a template may write, checked before anything is written: no value can mean more than itself where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.provider import Login, LoginStep

MOST_STEPS, MOST_INPUTS, MOST_PERMISSIONS, MOST_LABELS = 8, 16, 8, 8
"""How many steps a login may have, inputs a step, permissions a job, and labels an image: what bounds a template."""

_HOST = r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]{1,5})?"
_IMAGE = r"(?=.{1,255}$)[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
_BRANCH = r"(?=.{1,255}$)[A-Za-z0-9_][A-Za-z0-9._/-]*"
_ENVIRONMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_ACTION = r"(?=.{1,200}$)[A-Za-z0-9-]+/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*"
_REF = r"(?=.{1,100}$)[A-Za-z0-9][A-Za-z0-9._/-]*"
_COMMIT = r"[0-9a-f]{40}"
_ID = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"
_TITLE = r"[A-Za-z0-9]([A-Za-z0-9 ._/()-]{0,98}[A-Za-z0-9.)])?"
_SECRET = r"(?![Gg][Ii][Tt][Hh][Uu][Bb]_)[A-Za-z_][A-Za-z0-9_]{0,254}"  # noqa: S105 - the pattern of a name
_PERMISSION = r"(?!contents$)[a-z][a-z-]{0,49}"
_LITERAL = r"[A-Za-z0-9._:/+$@,=-]{1,1024}"
_LABEL = r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?"
_LABELLED = r"([A-Za-z0-9._:/-]|\$\{\{ github\.(server_url|repository) \}\}){1,1024}"
_EXPRESSION = (
    r"\$\{\{ (secrets\.(?P<secret>[A-Za-z_][A-Za-z0-9_]{0,254})"
    rf"|steps\.(?P<step>{_ID})\.outputs\.[A-Za-z_][A-Za-z0-9_-]{{0,254}}|github\.actor) \}}\}}"
)
"""Names and hosts: https://pkg.go.dev/github.com/distribution/reference. Secrets:
https://docs.github.com/actions/reference/secrets-reference#naming-your-secrets. Git allows more in a branch's name.
"""

_VALUE_WORDS = (
    "letters, digits and . _ : / + $ @ , = -, or exactly one of ${{ secrets.NAME }}, ${{ steps.ID.outputs.NAME }} and "
    "${{ github.actor }}"
)
_JOB_TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of what every job has


@dataclass(frozen=True, slots=True)
class Pin:
    """An action at one commit; `ref` is the tag or branch that led there. Raises InputError where one is malformed."""

    name: str
    ref: str
    sha: str

    def __post_init__(self) -> None:
        _match(self.name, _ACTION, "the name of an action", "owner/name")
        _match(self.ref, _REF, f"the ref of {self.name}", "a tag or a branch")
        _match(self.sha, _COMMIT, f"the commit of {self.name}", "40 hexadecimal digits, in lower case")

    def __str__(self) -> str:
        return f"{self.name}@{self.sha} # {self.ref}"


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """One file of a template; `shown` is how messages name it."""

    shown: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RenderValues:
    """What a template may write; raises InputError for a value that could mean more than itself where it is written.

    `image_name` is the path in the registry, and `actions` the table of pins. Without a `login` the build logs in
    nowhere. `environment` is empty where the build runs in none. `labels` are given to the image.
    """

    registry_host: str
    image_name: str
    default_branch: str
    actions: Mapping[str, Pin] = field(default_factory=dict)
    login: Login | None = None
    environment: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _match(self.registry_host, _HOST, "the registry's host", "a host, with a port where it needs one")
        words = "lower-case letters, digits and . _ - / between them"
        _match(self.image_name, _IMAGE, "the image's name", words)
        words = "letters, digits, _ and, not at its beginning, . - /"
        _match(self.default_branch, _BRANCH, "the default branch", words)
        if self.environment:
            words = "letters, digits and, not at its beginning, . _ -"
            _match(self.environment, _ENVIRONMENT, "the environment", words)
        if self.login is not None:
            _check_login(self.login, self.actions)
        _at_most(MOST_LABELS, len(self.labels), "labels", of="an image")
        for name, value in self.labels.items():
            _match(name, _LABEL, "the label", "lower-case letters, digits and, between them, . -")
            words = "letters, digits and . _ : / -, ${{ github.server_url }} and ${{ github.repository }}"
            _match(value, _LABELLED, f"the label {name}", words)

    @property
    def image(self) -> str:
        """The image's full name, without tag."""
        return f"{self.registry_host}/{self.image_name}"

    @property
    def build_arguments(self) -> str:
        """What repo2docker is given besides; the action splits it at each space."""
        return " ".join(f"--label {name}={value}" for name, value in self.labels.items())


def _check_login(login: Login, actions: Mapping[str, Pin]) -> None:
    for name in login.secrets:
        words = "letters, digits and _, beginning with neither a digit nor GITHUB_"
        _match(name, _SECRET, "the name of a secret", words)
    _at_most(MOST_PERMISSIONS, len(login.permissions), "permissions")
    for name, access in login.permissions.items():
        _match(name, _PERMISSION, "the permission", "the name of a permission beside contents")
        _match(access, "read|write|none", f"the access to {name}", "read, write or none")
    _at_most(MOST_STEPS, len(login.steps), "steps")
    known: list[str] = []
    for step in login.steps:
        _check_step(step, known, login, actions)
        known.append(step.id)
    for what, value in (("user name", login.username), ("password", login.password)):
        _check_value(value, f"the {what} of the login", login, known)


def _check_step(step: LoginStep, known: list[str], login: Login, actions: Mapping[str, Pin]) -> None:
    words = "letters, digits, _ and -, not beginning with a digit or -"
    _match(step.id, _ID, "the id of a login step", words)
    if step.id in known:
        raise wrong(f"two steps of the login have the id {step.id}")
    _match(step.name, _TITLE, f"the name of the login step {step.id}", "letters, digits, spaces and . _ / ( ) -")
    if step.action not in actions:
        raise wrong(f'no commit is known for the action "{step.action}" of the login step {step.id}')
    _at_most(MOST_INPUTS, len(step.inputs), f"inputs of the step {step.id}")
    for name, value in step.inputs.items():
        _match(name, _ID, f"the name of an input of the login step {step.id}", words)
        _check_value(value, f"the input {name} of the login step {step.id}", login, known)


def _check_value(value: str, what: str, login: Login, steps: list[str]) -> None:
    """One literal or one expression, which asks for nothing that there is not."""
    if re.fullmatch(_LITERAL, value, re.ASCII):
        return
    asked = _match(value, _EXPRESSION, what, _VALUE_WORDS)
    secret, step = asked["secret"], asked["step"]
    if secret is not None and secret != _JOB_TOKEN and secret not in login.secrets:
        raise wrong(f"{what} asks for the secret {secret}, which the login does not store")
    if step is not None and step not in steps:
        raise wrong(f"{what} asks for an output of the step {step}, which does not run before it")


def _at_most(most: int, count: int, what: str, of: str = "a login") -> None:
    if count > most:
        raise wrong(f"{of} has {count} {what}; {most} is the most")


def _match(value: str, pattern: str, what: str, words: str) -> re.Match[str]:
    found = re.fullmatch(pattern, value, re.ASCII)
    if found is None:
        raise wrong(f"{what} {value!r} cannot be written into a workflow; right would be: {words}")
    return found


def wrong(summary: str) -> InputError:
    """An error without a place: whoever knows the place adds it."""
    return InputError([Diagnostic(summary)])


def known_values(values: RenderValues) -> Mapping[str, object]:
    """The values as a template sees them, by name: texts, and short lists of records of texts."""
    login = values.login
    return {
        "image": values.image,
        "registry_host": values.registry_host,
        "image_name": values.image_name,
        "default_branch": values.default_branch,
        "actions": {name: str(pin) for name, pin in values.actions.items()},
        "environment": values.environment,
        "username": login.username if login else None,
        "password": login.password if login else None,
        "build_arguments": values.build_arguments or None,
        "permissions": [{"name": name, "access": access} for name, access in login.permissions.items()]
        if login
        else [],
        "login_steps": list(_steps(login, values.actions)) if login else [],
    }


def _steps(login: Login, actions: Mapping[str, Pin]) -> Iterator[Mapping[str, object]]:
    for step in login.steps:
        inputs = [{"name": name, "value": value} for name, value in step.inputs.items()]
        yield {"name": step.name, "id": step.id, "uses": str(actions[step.action]), "inputs": inputs}
