"""From the file to a `Fleet`, or to all that is wrong with it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet.config import problems, references
from fleet.config.hiding import hide
from fleet.config.parse import Document, parse
from fleet.config.root import Fleet
from fleet.config.source import Source
from fleet.config.wording import escaped
from fleet.diagnostics import Diagnostic, Range
from fleet.errors import InputError

MAX_BYTES = 32 * 1024 * 1024
"""A fleet of 100,000 hubs fits."""

_RANCHER = frozenset(
    {
        "defaultNamespace",
        "helm",
        "kustomize",
        "targetCustomizations",
        "targets",
        "namespace",
        "diff",
        "rolloutStrategy",
        "dependsOn",
        "paused",
        "overrideTargets",
        "yaml",
        "ignore",
        "namespaceLabels",
        "namespaceAnnotations",
        "imageScans",
        "keepResources",
        "serviceAccount",
        "correctDrift",
        "deleteNamespace",
    }
)
"""Keys of the file of the same name that Rancher Fleet reads: https://fleet.rancher.io/ref-fleet-yaml"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A fleet.yaml without mistakes: what it says, and the text that says where."""

    fleet: Fleet
    source: Source


def load(path: Path) -> Loaded:
    """Read a fleet.yaml; raises InputError with a diagnostic for every mistake in it."""
    with _no_collection():
        loaded, diagnostics = _read(path)
    if loaded is None:
        raise InputError(diagnostics)
    return loaded


def validate(path: Path) -> list[Diagnostic]:
    """Everything that is wrong with a fleet.yaml, in the order of its lines; a missing file is one mistake."""
    with _no_collection():
        return _read(path)[1]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Loading makes many objects and no cycles; the collector would walk over all of them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(path: Path) -> tuple[Loaded | None, list[Diagnostic]]:
    name = escaped(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [Diagnostic(f"{name} cannot be read: {error.strerror or type(error).__name__}")]
    source = Source(name, data, path.parent)
    if flaw := _unreadable(source):
        return None, [flaw]
    document = parse(source.text)
    diagnostics = [source.at((flaw.start, flaw.end), flaw.summary, flaw.detail) for flaw in document.flaws]
    fleet = None
    if not document.broken:
        fleet, more, secrets = _check(source, document)
        diagnostics = hide(diagnostics + more, secrets)
    if diagnostics or fleet is None:
        return None, sorted(set(diagnostics), key=_place)
    return Loaded(fleet, source), []


def _unreadable(source: Source) -> Diagnostic | None:
    if len(source.data) > MAX_BYTES:
        return Diagnostic(f"{source.filename} is larger than {MAX_BYTES // 1024 // 1024} MiB; this is no fleet.yaml")
    try:
        source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = len(source.data[: error.start].decode("utf-8-sig", errors="replace"))
        return source.at((at, at + 1), f"the byte 0x{source.data[error.start]:02x} is not UTF-8; save it as UTF-8")
    return None


def _check(source: Source, document: Document) -> tuple[Fleet | None, list[Diagnostic], list[Range]]:
    data = document.data
    if not isinstance(data, dict) or _is_rancher(data):
        return None, [source.diagnostic((), _something_else(data))], []
    found: list[Diagnostic] = []
    secrets: list[Range] = []
    fleet = None
    try:
        fleet = Fleet.model_validate(data)
    except ValidationError as error:
        found, secrets = problems.find(source, data, error, Fleet)
    return fleet, found + references.check(source, data), secrets


def _something_else(data: Any) -> str:
    if data is None:
        return "the file is empty; a fleet.yaml begins with version: 1 and a name"
    if isinstance(data, dict):
        return "this is a fleet.yaml of Rancher Fleet, another tool that uses the same file name"
    return "a fleet.yaml is a map of keys, and this is something else"


def _is_rancher(data: dict[str, Any]) -> bool:
    ours = {"version", "hubs", "images", "registries"}
    return bool(_RANCHER & data.keys()) and not ours & data.keys()


def _place(diagnostic: Diagnostic) -> tuple[int, str]:
    return (diagnostic.range.start.byte if diagnostic.range else 0, diagnostic.summary)
