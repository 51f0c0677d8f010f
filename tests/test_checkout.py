"""The code host that is a local git checkout: what it reads, what it commits, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.provider import CommitRequest, Files, ProviderError
from fleet_checkout import Checkout
from tests import checkouts
from tests.checkouts import CHANGES, Repository, checkout, request

COMMON = "config/common.yaml"
PROD = "config/prod.yaml"


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkouts.use_only(checkouts.IDENTITY, tmp_path, monkeypatch)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return checkouts.create(tmp_path / "infrastructure")


@pytest.fixture
def host(tmp_path: Path) -> Checkout:
    return checkout(tmp_path)


def refused(host: Checkout, wanted: CommitRequest, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        host.commit(wanted)
    assert type(caught.value) is ProviderError or type(caught.value).__name__ == "GitError"
    assert "\n" not in str(caught.value)


def assert_done(repository: Repository, before: str, commit: str) -> None:
    assert repository.head == commit
    assert repository.git("rev-parse", "HEAD^") == before
    assert {path: repository.show(path) for path in CHANGES} == CHANGES
    assert {path: repository.read(path) for path in CHANGES} == CHANGES
    assert (repository.status, repository.leftovers) == ("", [])


# Reading


def test_files_are_those_of_the_head_commit_not_of_the_work_tree(host: Checkout, repository: Repository) -> None:
    repository.write(COMMON, "tag: not committed\n")
    repository.write("config/untracked.yaml", "a: b\n")
    found = host.files("infrastructure", None, [COMMON, "config/untracked.yaml", "config/none.yaml"])
    assert found == Files("main", repository.head, {COMMON: b"tag: one\n"})


def test_a_commit_changes_only_the_files_of_the_request(host: Checkout, repository: Repository) -> None:
    before = repository.head
    commit = host.commit(request(repository))
    assert_done(repository, before, commit)
    assert repository.git("log", "-1", "--format=%an %ae %B") == "Ada ada@example.org Roll out two"
