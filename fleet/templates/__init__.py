"""Where the files of a template come from: the package itself, or a folder beside fleet.yaml."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from posixpath import normpath

from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.render import Pin, TemplateFile

MAX_FILE = 1024 * 1024
"""How large a file of a template may be, in bytes."""

MAX_TOTAL = 10 * 1024 * 1024
"""How large the files of a template may be together, in bytes."""

BUILTIN = "builtin:"
_USER_IMAGE = "user-image"
_Read = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Template:
    """A template's files by their path in the source repository.

    `seed` is written once, as it is. `managed` is rendered, and kept up to date.
    """

    seed: Mapping[str, bytes]
    managed: Mapping[str, TemplateFile]


def read_template(origin: str, folder: Path, manage: Iterable[str], seed: Iterable[str]) -> Template:
    """The files that `manage` and `seed` name, from where `origin` says (fleet.yaml's `from`).

    `builtin:NAME` is read from the package, `./…` relative to `folder`. What fleet keeps up to date and a folder does
    not hold comes from `builtin:user-image`. So does all of it for a template repository (`owner/name`), whose first
    content the code host copies: there `seed` stays empty. Raises InputError for a file that is missing, too large, not
    a plain file, or outside of the folder, and for a folder outside of the checkout that `folder` is in.
    """
    shipped = _Folder(f"{BUILTIN}{_USER_IMAGE}", partial(_packaged, _USER_IMAGE))
    if not is_content(origin):
        return Template({}, {path: _managed(path, shipped) for path in manage})
    own = shipped if origin.startswith(BUILTIN) else _Folder(origin, partial(_local, _root(origin, folder)))
    if own is shipped:
        _check_known(origin)
    template = Template(
        {path: _seed(path, own) for path in seed}, {path: _managed(path, own, shipped) for path in manage}
    )
    contents = [*template.seed.values(), *(file.data for file in template.managed.values())]
    if sum(map(len, contents)) > MAX_TOTAL:
        raise _wrong(f"the files of the template {origin} are together larger than {MAX_TOTAL} bytes")
    return template


def is_content(origin: str) -> bool:
    """Whether a template's files lie with fleet or with fleet.yaml, rather than in a repository of the code host."""
    return origin.startswith((BUILTIN, "."))


@cache
def read_pins() -> Mapping[str, Pin]:
    """The commit of every action that a workflow of fleet's may use, by its short name in the table."""
    table = tomllib.loads((files(__name__) / "actions.toml").read_text("utf-8"))
    return {name: Pin(row["action"], row["tag"], row["sha"]) for name, row in table.items()}


@dataclass(frozen=True, slots=True)
class _Folder:
    origin: str
    read: _Read


def _seed(path: str, folder: _Folder) -> bytes:
    data = folder.read(path)
    if data is None:
        raise _wrong(f"the template {folder.origin} has no file {path}")
    return data


def _managed(path: str, *folders: _Folder) -> TemplateFile:
    """The file of the first folder that has it."""
    for folder in folders:
        data = folder.read(path)
        if data is not None:
            return TemplateFile(normpath(f"{folder.origin}/{path}"), data)
    raise _wrong(f"the template {folders[0].origin} has no file {path}")


def _check_known(origin: str) -> None:
    if origin != f"{BUILTIN}{_USER_IMAGE}":
        raise _wrong(f"there is no template {origin}; there is {BUILTIN}{_USER_IMAGE}")


def _packaged(name: str, path: str) -> bytes | None:
    at: Traversable = files(__name__) / name
    for part in path.split("/"):  # by what is listed, so that no `..` leads out
        inside = {one.name: one for one in at.iterdir()} if at.is_dir() else {}
        if part not in inside:
            return None
        at = inside[part]
    return at.read_bytes() if at.is_file() else None


def _root(origin: str, folder: Path) -> Path:
    root, top = (folder / origin).resolve(), _top(folder.resolve())
    if not root.is_relative_to(top):  # or whoever proposes a fleet.yaml could read what else the machine holds
        raise _wrong(f"the template {origin} leads out of {top}, where fleet.yaml comes from; copy it in there")
    if not root.is_dir():
        raise _wrong(f"the template {origin} is not a folder ({root})")
    return root


def _top(folder: Path) -> Path:
    """The top of the checkout that a folder is in; the folder itself where it is in none."""
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def _local(root: Path, path: str) -> bytes | None:
    try:
        real = (root / path).resolve(strict=True)
        if not real.is_relative_to(root):
            raise _wrong(f"{path} leads out of its template, to {real}; copy the file into {root}")
        if not real.is_file():  # a device or a pipe could be read for ever
            raise _wrong(f"{path} in the template {root} is not a plain file")
        with real.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: a null byte
        raise _wrong(f"{path} in the template {root} cannot be read: {error}") from None
    if len(data) > MAX_FILE:
        raise _wrong(f"{path} in the template {root} is larger than {MAX_FILE} bytes")
    return data


def _wrong(summary: str) -> InputError:
    return InputError([Diagnostic(summary)])
