"""Every provider keeps the contract, and one that is installed without a row here is found out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from importlib import metadata

import pytest

from fleet import plugins
from fleet.testing import CRASH_POINTS, Case, cases
from tests.conftest import DOES_NOT_APPLY
from tests.subjects import all_rows

ROWS = all_rows()
CASES = {f"{name}: {case.name}": case for name, row in ROWS.items() for case in cases(row.subject)}
APPLYING = {name: case for name, case in CASES.items() if not case.does_not_apply}


@pytest.mark.parametrize("case", APPLYING.values(), ids=APPLYING.keys())
def test_contract(case: Case, record_property: Callable[[str, object], None]) -> None:
    record_property(CRASH_POINTS, case.run())


@pytest.mark.parametrize("name", ROWS)
def test_what_does_not_apply_is_known(name: str, record_property: Callable[[str, object], None]) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for case in cases(ROWS[name].subject):
        if case.does_not_apply:
            found[case.does_not_apply].append(case.name)
    assert {reason: sorted(names) for reason, names in found.items()} == ROWS[name].without
    for reason, names in found.items():
        record_property(DOES_NOT_APPLY, f"{name} ({reason}): {', '.join(sorted(names))}")


def test_every_installed_provider_has_a_row() -> None:
    entries = [
        entry
        for group in (plugins.GROUP, plugins.LOCAL_GROUP)
        for entry in metadata.entry_points(group=group)
        if entry.dist is not None and entry.dist.name == "hubfleet"
    ]
    rows = {row.subject.provider() for row in ROWS.values()}
    assert entries
    assert [entry.name for entry in entries if entry.load() not in rows] == []
