"""Templates of source repositories: where their files come from, and how managed files are rendered.

Delimiters are `<< >>`, `<% %>` and `<# #>`, which leave GitHub's `${{ }}` alone. Rendering is sandboxed and strict: a
name that is not known is an error, and every value is checked before, so that none can end a line or a string.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.errors import ProviderError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

BUILTIN = "builtin:"

LARGEST_FILE = 1 << 20
"""Bytes that a file of a template may have."""

_VALUE = re.compile(r"[A-Za-z0-9._:/+$@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Values:
    """What managed files are rendered with: the registry's host, the image's name there, and who pushes it."""

    registry: str
    image_name: str
    username: str
    password_secret: str


def read_template(origin: str, folder: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """These files of a template, which is `builtin:NAME` or a folder below that of fleet.yaml.

    Raises ProviderError for a template or a file that is not there, or is larger than any template needs.
    """
    root: Traversable | Path
    if origin.startswith(BUILTIN):
        root = resources.files("fleet.templates") / origin.removeprefix(BUILTIN)
    else:
        root = folder / origin
    if not root.is_dir():
        raise ProviderError(f"there is no template {origin}")
    return {path: _read(root, path, origin) for path in paths}


def _read(root: Traversable | Path, path: str, origin: str) -> bytes:
    file = root.joinpath(*path.split("/"))
    if isinstance(file, Path) and isinstance(root, Path) and not file.resolve().is_relative_to(root.resolve()):
        raise ProviderError(f"{path} of the template {origin} leads out of it")
    if not file.is_file():
        raise ProviderError(f"the template {origin} has no file {path}")
    data = file.read_bytes()
    if len(data) > LARGEST_FILE:
        raise ProviderError(f"{path} of the template {origin} is larger than {LARGEST_FILE:,} bytes")
    return data


@cache
def actions() -> Mapping[str, Mapping[str, str]]:
    """The actions that workflows use, by name: `action`, `tag`, `sha`, `provenance`."""
    table: dict[str, dict[str, str]] = tomllib.loads(
        (resources.files("fleet.templates") / "actions.toml").read_text(encoding="utf-8")
    )
    return table


def render(files: Mapping[str, bytes], values: Values) -> dict[str, bytes]:
    """The files with the values put in; raises ProviderError for a value or a template that cannot be used."""
    given: dict[str, Any] = {name: _checked(name, getattr(values, name)) for name in Values.__dataclass_fields__}
    return {path: _render(path, data, {**given, "actions": actions()}) for path, data in files.items()}


def _checked(name: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ProviderError(
            f"{value!r} cannot be put into a workflow as {name}: write letters, digits and . _ : / + $ @ -"
        )
    return value


def _render(path: str, data: bytes, given: Mapping[str, Any]) -> bytes:
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError

    environment = _environment(StrictUndefined)
    try:
        rendered: str = environment.from_string(data.decode()).render(given)
    except UnicodeDecodeError:
        raise ProviderError(f"the managed file {path} is not UTF-8 text") from None
    except (TemplateError, TypeError, OverflowError) as error:
        line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        raise ProviderError(f"the managed file {path} cannot be rendered{line}: {error}") from None
    return rendered.encode()


def _environment(undefined: Any) -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=undefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
