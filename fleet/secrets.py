"""Where secrets come from: a variable of the environment, a file, or what a command prints.

A secret source is a type in fleet.yaml (`{env: NAME}`), never a pattern inside a string. It is read at the moment of
use and not before, so a plan that needs no secret needs none of them set.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from fleet.errors import ProviderError
from fleet.model import Frozen, Secret

EXEC_TIMEOUT = 60
"""Seconds that a command of `exec:` may take."""


class SecretSource(Frozen):
    """Where a secret is found: exactly one of `env`, `file` and `exec`."""

    env: Annotated[str, Field(min_length=1, description="The name of an environment variable.")] | None = None
    file: Annotated[str, Field(min_length=1, description="A path, relative to fleet.yaml.")] | None = None
    exec: (
        Annotated[
            list[str],
            Field(min_length=1, description="A command and its arguments; its output is the secret."),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.exec)) != 1:
            raise ValueError("write exactly one of env, file and exec")
        return self

    def __str__(self) -> str:
        if self.env is not None:
            return f"the environment variable {self.env}"
        if self.file is not None:
            return f"the file {self.file}"
        return f"the command {(self.exec or ['?'])[0]}"


def read_secret(source: SecretSource, folder: Path) -> Secret:
    """Read a secret now; paths and commands start from `folder`. One line end behind the value is dropped.

    Raises ProviderError when it is missing, empty or unreadable; the message never holds the value.
    """
    value = _read(source, folder)
    if not value.strip():
        raise ProviderError(f"{source} holds an empty secret; an empty secret is never used")
    return Secret(value)


def _read(source: SecretSource, folder: Path) -> str:
    if source.env is not None:
        if source.env not in os.environ:
            raise ProviderError(f"{source} is not set")
        return os.environ[source.env]
    if source.file is not None:
        try:
            return _without_line_end((folder / source.file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError(f"{source} cannot be read: {_reason(error)}") from None
    return _without_line_end(_run(source, folder))


def _run(source: SecretSource, folder: Path) -> str:
    assert source.exec is not None
    try:
        done = subprocess.run(
            source.exec,
            cwd=folder,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=EXEC_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProviderError(f"{source} did not end within {EXEC_TIMEOUT} seconds") from None
    except OSError as error:
        raise ProviderError(f"{source} cannot be run: {_reason(error)}") from None
    if done.returncode != 0:
        raise ProviderError(f"{source} ended with exit code {done.returncode}")
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise ProviderError(f"{source} printed something that is not UTF-8 text") from None


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
