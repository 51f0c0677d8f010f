"""Every provider keeps the contract, and one that is installed without a row here is found out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib import metadata

import pytest

from fleet import plugins
from fleet.testing import CRASH_POINTS, Case, Subject, cases
from tests.conftest import DOES_NOT_APPLY
from tests.subjects import (
    CheckoutSubject,
    EnvironmentGitHubSubject,
    GitHubSubject,
    OciSubject,
    OwnLoginQuaySubject,
    QuaySubject,
)
from tests.subjects_azure import AcrSubject, DockerHubSubject, GhcrSubject, OwnLoginAcrSubject, OwnLoginGhcrSubject
from tests.subjects_ecr import EcrKeySubject, EcrSubject, OwnLoginEcrSubject
from tests.subjects_google import GarSubject, GarWithKeysSubject, GcrSubject, OwnLoginGarSubject

SUBJECTS: Mapping[str, type[Subject]] = {
    "quay": QuaySubject,
    "quay with an own login": OwnLoginQuaySubject,
    "oci": OciSubject,
    "ghcr": GhcrSubject,
    "ghcr with an own login": OwnLoginGhcrSubject,
    "dockerhub": DockerHubSubject,
    "acr": AcrSubject,
    "acr with an own login": OwnLoginAcrSubject,
    "ecr": EcrSubject,
    "ecr with keys": EcrKeySubject,
    "ecr with an own login": OwnLoginEcrSubject,
    "gar": GarSubject,
    "gar with keys": GarWithKeysSubject,
    "gar with an own login": OwnLoginGarSubject,
    "gcr": GcrSubject,
    "checkout": CheckoutSubject,
    "github": GitHubSubject,
    "github with an environment": EnvironmentGitHubSubject,
}

CASES = {f"{row}: {case.name}": case for row, subject in SUBJECTS.items() for case in cases(subject)}
APPLYING = {name: case for name, case in CASES.items() if not case.does_not_apply}

OF_THINGS = [
    "a connection lost after the service acted",
    "a connection lost before the service acted",
    "a login that dies on the way",
    "a missing right is named",
    "a plan that failed half-way goes on",
    "a second plan is empty",
    "a service that hangs after it acted",
    "a service that hangs before it acts",
    "an answer of 503 passes",
    "an answer of garbage passes",
    "an answer that breaks off passes",
    "an expired login is said and nothing written",
    "apply works from any state",
    "asked too often, it waits and goes on",
    "forgetting takes marker and credential only",
    "killed at every write of adopting",
    "killed at every write of changing",
    "killed at every write of forgetting",
    "killed at every write of forgetting what was adopted",
    "killed at every write of making an image",
    "killed at every write of making several images at once",
    "lasting trouble ends in a sentence",
    "nonsense is not taken for an answer",
    "reads are batched",
    "what another fleet owns is refused",
    "what exists is adopted",
]
OF_CODE_HOSTS = [
    "a commit lands whole",
    "a moved branch is a conflict",
    "files are of one commit",
    "killed at every step of a commit",
    "of two writers one wins",
    "recovering nothing changes nothing",
    "the last change of a line is known",
]
OF_REGISTRIES = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "a login works for its own image",
    "tags are looked up",
    "trouble is no missing tag",
]
OF_LOGINS = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "a login works for its own image",
]
OF_STORED_LOGINS = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "issued credentials replace each other",
]
OF_OWNED_THINGS = [
    "killed at every write of adopting",
    "killed at every write of forgetting what was adopted",
    "what another fleet owns is refused",
    "what exists is adopted",
]

NOT_ONCE = "it issues nothing that is shown once"
OF_ISSUERS = ["issued credentials replace each other"]

WITHOUT: Mapping[str, Mapping[str, list[str]]] = {
    "quay": {"it is no code host": OF_CODE_HOSTS, NOT_ONCE: OF_ISSUERS},
    "quay with an own login": {"it is no code host": OF_CODE_HOSTS, NOT_ONCE: OF_ISSUERS},
    "oci": {"it is no code host": OF_CODE_HOSTS, "it makes nothing": OF_THINGS, NOT_ONCE: OF_ISSUERS},
    "ghcr": {
        "it is no code host": OF_CODE_HOSTS,
        "it makes nothing": OF_THINGS,
        "builds push with the token of their own run": OF_LOGINS,
        NOT_ONCE: OF_ISSUERS,
    },
    "ghcr with an own login": {
        "it is no code host": OF_CODE_HOSTS,
        "it makes nothing": OF_THINGS,
        NOT_ONCE: OF_ISSUERS,
    },
    "dockerhub": {"it is no code host": OF_CODE_HOSTS, "it makes nothing": OF_THINGS, NOT_ONCE: OF_ISSUERS},
    "acr": {"it is no code host": OF_CODE_HOSTS},
    "acr with an own login": {
        "it is no code host": OF_CODE_HOSTS,
        "with an own login it makes nothing": sorted([*OF_THINGS, *OF_ISSUERS]),
    },
    "ecr": {
        "it is no code host": OF_CODE_HOSTS,
        "builds assume a role, and no secret is kept": [
            "a dead login reveals nothing",
            "a login that may not push is not revealed",
            "a login works for its own image",
            "issued credentials replace each other",
        ],
    },
    "ecr with keys": {"it is no code host": OF_CODE_HOSTS},
    "ecr with an own login": {
        "it is no code host": OF_CODE_HOSTS,
        "fleet issues nothing where the operator has a login": OF_ISSUERS,
    },
    "gar": {"it is no code host": OF_CODE_HOSTS, "builds push without a stored secret": OF_STORED_LOGINS},
    "gar with keys": {"it is no code host": OF_CODE_HOSTS},
    "gar with an own login": {"it is no code host": OF_CODE_HOSTS, "the login is the operator's": OF_ISSUERS},
    "gcr": {
        "it is no code host": OF_CODE_HOSTS,
        "builds push without a stored secret": OF_STORED_LOGINS,
        "a host's repository, and the rights in it, carry no marker": OF_OWNED_THINGS,
    },
    "checkout": {
        "it is no registry": sorted([*OF_REGISTRIES, *OF_ISSUERS]),
        "it makes no requests": ["opening a provider asks nobody"],
        "it makes nothing": OF_THINGS,
    },
    "github": {"it is no registry": sorted([*OF_REGISTRIES, *OF_ISSUERS])},
    "github with an environment": {"it is no registry": sorted([*OF_REGISTRIES, *OF_ISSUERS])},
}
"""The cases that do not apply to each provider, by the reason."""


@pytest.mark.parametrize("case", APPLYING.values(), ids=APPLYING.keys())
def test_contract(case: Case, record_property: Callable[[str, object], None]) -> None:
    record_property(CRASH_POINTS, case.run())


@pytest.mark.parametrize("row", SUBJECTS)
def test_what_does_not_apply_is_known(row: str, record_property: Callable[[str, object], None]) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for case in cases(SUBJECTS[row]):
        if case.does_not_apply:
            found[case.does_not_apply].append(case.name)
    assert {reason: sorted(names) for reason, names in found.items()} == WITHOUT[row]
    for reason, names in found.items():
        record_property(DOES_NOT_APPLY, f"{row} ({reason}): {', '.join(sorted(names))}")


def test_every_installed_provider_has_a_row() -> None:
    entries = [
        entry
        for group in (plugins.GROUP, plugins.LOCAL_GROUP)
        for entry in metadata.entry_points(group=group)
        if entry.dist is not None and entry.dist.name == "hubfleet"
    ]
    rows = {subject.provider() for subject in SUBJECTS.values()}
    assert entries
    assert [entry.name for entry in entries if entry.load() not in rows] == []
