"""The providers of this repository as the contract suite must be told of them: a module for each, with its rows."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module

from tests.subjects.common import Row


def all_rows() -> Mapping[str, Row]:
    """The rows of every module here; two of the same name are a mistake, and so is a module without any."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name != "common":
            rows: Mapping[str, Row] = import_module(f"{__name__}.{module.name}").ROWS
            assert rows, f"{module.name} has no row"
            assert not found.keys() & rows.keys(), f"{module.name} has the name of a row that there is already"
            found |= rows
    return found
