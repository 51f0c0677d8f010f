"""The code host that is a local git checkout: what it reads, and what it refuses to."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from pathlib import Path

import pytest

from fleet.gitblob import blob_id
from fleet.provider import CommitRequest, Files, ProviderError
from fleet_checkout import Checkout
from tests import checkouts
from tests.checkouts import Repository, checkout, refused, request

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


# Reading


def test_files_are_those_of_the_head_commit_not_of_the_work_tree(host: Checkout, repository: Repository) -> None:
    repository.write(COMMON, "tag: not committed\n")
    repository.write("config/untracked.yaml", "a: b\n")
    found = host.files("infrastructure", None, [COMMON, "config/untracked.yaml", "config/none.yaml"])
    assert found == Files("main", repository.head, {COMMON: b"tag: one\n"})


def test_files_of_a_subfolder_are_named_from_there(host: Checkout, repository: Repository) -> None:
    found = host.files("infrastructure/config", None, ["prod.yaml", "../config/common.yaml"])
    assert found.contents == {"prod.yaml": b"tag: one\nkeep: this\n", "../config/common.yaml": b"tag: one\n"}


def test_an_absolute_path_names_a_checkout_too(host: Checkout, repository: Repository) -> None:
    assert host.files(str(repository.top), "main", [COMMON]).contents == {COMMON: b"tag: one\n"}


def test_another_branch_than_the_checked_out_one_is_refused(host: Checkout, repository: Repository) -> None:
    repository.git("branch", "prod")
    with pytest.raises(ProviderError, match="has main checked out, not prod; check out prod there"):
        host.files("infrastructure", "prod", [COMMON])


def test_a_detached_head_can_be_read(host: Checkout, repository: Repository) -> None:
    repository.git("checkout", "-q", "--detach")
    assert host.files("infrastructure", None, [COMMON]) == Files("", repository.head, {COMMON: b"tag: one\n"})
    with pytest.raises(ProviderError, match="HEAD is detached"):
        host.files("infrastructure", "main", [COMMON])


def test_a_branch_without_commits_has_no_files_and_takes_a_first_one(host: Checkout, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    empty = Repository(tmp_path / "empty")
    assert host.files("empty", None, [COMMON]) == Files("main", "", {})
    commit = host.commit(request(empty, head=""))
    assert (empty.head, empty.show(COMMON), empty.status) == (commit, "tag: two\n", "")
    assert empty.leftovers == []


def test_contents_are_bytes_whatever_they_are(host: Checkout, repository: Repository) -> None:
    names = {"empty": b"", "zero": b"a\0b\n\n", "crlf": b"a\r\n", 'a b/"q" é': b"100644 blob 5\n", "latin": b"\xe9"}
    for name, data in names.items():
        (repository.top / name).parent.mkdir(exist_ok=True)
        (repository.top / name).write_bytes(data)
    repository.commit_all("Odd files")
    assert host.files("infrastructure", None, names).contents == names


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("config", "is a folder, not a file"),
        ("out", "is a symbolic link that leaves the repository"),
        ("absolute", "is a symbolic link that leaves the repository"),
        ("dangling", "is a symbolic link to something that does not exist"),
        ("loop", "is a symbolic link that leads back to itself"),
        ("module", "is the submodule module; name its folder as the checkout"),
        ("module/a.yaml", "is inside the submodule module; name its folder as the checkout"),
        ("../secret", "is outside of the work tree"),
        ("/etc/passwd", "is outside of the work tree"),
        ("config/../../secret", "is outside of the work tree"),
        (".git/config", "is not a file that the work tree .* can hold"),
        (".", "is not a file that the work tree .* can hold"),
        ("a\nb", "cannot be the path of a file"),
        ("", "cannot be the path of a file"),
    ],
)
def test_what_is_no_file_of_the_repository_is_refused(
    host: Checkout, repository: Repository, path: str, said: str
) -> None:
    links = {"out": "../secret", "absolute": "/etc/passwd", "dangling": "nothing", "loop": "loop"}
    for name, target in links.items():
        (repository.top / name).symlink_to(target)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    repository.git("add", *links)
    repository.git("commit", "-qm", "Links")
    with pytest.raises(ProviderError, match=said):
        host.files("infrastructure", None, [path])


def test_a_symbolic_link_inside_the_repository_is_followed(host: Checkout, repository: Repository) -> None:
    (repository.top / "link.yaml").symlink_to("config/prod.yaml")
    (repository.top / "folder").symlink_to("config")
    repository.commit_all("Links")
    found = host.files("infrastructure", None, ["link.yaml", "folder/common.yaml"]).contents
    assert found == {"link.yaml": b"tag: one\nkeep: this\n", "folder/common.yaml": b"tag: one\n"}


def test_two_thousand_files_are_read_quickly(host: Checkout, repository: Repository) -> None:
    paths = [f"hubs/{n}/values.yaml" for n in range(2000)]
    for path in paths:
        repository.write(path, f"{path}: 1\n" * 30)
    repository.commit_all("Many")
    began = time.process_time(), os.times()
    found = host.files("infrastructure", None, paths)
    children = os.times().children_user - began[1].children_user
    assert len(found.contents) == 2000
    assert time.process_time() - began[0] + children < 0.5  # seconds of processor, several times what it takes


# A folder without git


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    (folder / "config").mkdir(parents=True)
    (folder / COMMON).write_bytes(b"tag: one\r\n")
    (tmp_path / "secret").write_text("secret")
    return folder


def test_a_folder_without_git_is_read_as_it_is(host: Checkout, plain: Path) -> None:
    (plain / "link.yaml").symlink_to("config/common.yaml")
    found = host.files("plain", None, [COMMON, "link.yaml", "none.yaml", f"{COMMON}/none"])
    assert found == Files("", "", {COMMON: b"tag: one\r\n", "link.yaml": b"tag: one\r\n"})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("config", "is not a file"),
        ("out", "is a symbolic link that leaves the folder"),
        ("loop", "is a symbolic link that leads back to itself"),
        ("pipe", "is not a file"),
        ("../secret", "is outside of the folder"),
        ("/etc/passwd", "is outside of the folder"),
    ],
)
def test_what_is_no_file_of_the_folder_is_refused(host: Checkout, plain: Path, path: str, said: str) -> None:
    (plain / "out").symlink_to("../secret")
    (plain / "loop").symlink_to("loop")
    os.mkfifo(plain / "pipe")
    with pytest.raises(ProviderError, match=said):
        host.files("plain", None, [path])


def test_nothing_is_committed_to_a_folder_without_git(host: Checkout, plain: Path) -> None:
    refused(host, CommitRequest("plain", "", "", {COMMON: b"tag: two\n"}, "Roll out"), "is not a git checkout")


# Checkouts that cannot be used


def test_a_missing_folder_is_named(host: Checkout, plain: Path) -> None:
    with pytest.raises(ProviderError, match=r"the checkout .*/nowhere does not exist; `path` names a folder"):
        host.files("nowhere", None, [COMMON])
    with pytest.raises(ProviderError, match="is not a folder"):
        host.files(f"plain/{COMMON}", None, ["x"])


def test_a_bare_repository_is_refused_in_gits_words(host: Checkout, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare.git")], check=True)
    with pytest.raises(ProviderError, match="cannot be used: fatal: this operation must be run in a work tree"):
        host.files("bare.git", None, [COMMON])


def test_a_broken_repository_is_not_taken_for_a_plain_folder(host: Checkout, plain: Path) -> None:
    (plain / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.raises(ProviderError, match="cannot be used: fatal: not a git repository: /nowhere/at/all"):
        host.files("plain", None, [COMMON])


def test_somebody_elses_repository_is_refused_in_gits_words(
    host: Checkout, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(ProviderError, match="detected dubious ownership") as caught:
        host.files("infrastructure", None, [COMMON])
    assert "\n" not in str(caught.value)


def test_a_missing_git_is_named(host: Checkout, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProviderError, match="needs the git command, and it is not on PATH; install git"):
        host.files("infrastructure", None, [COMMON])


def test_the_shells_own_git_variables_do_not_lead_elsewhere(
    host: Checkout, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = checkouts.create(tmp_path / "other")
    before = other.head
    monkeypatch.setenv("GIT_DIR", str(other.git_dir))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.git_dir / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.top))
    wanted = CommitRequest("infrastructure", "main", "", {COMMON: b"tag: two\n"}, "Roll out")
    head = host.files("infrastructure", None, []).head
    commit = host.commit(dataclasses.replace(wanted, expected_head=head))
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    assert (repository.head, repository.status) == (commit, "")
    assert (other.head, other.status) == (before, "")


def test_blob_ids_are_those_of_git(repository: Repository) -> None:
    assert blob_id(b"tag: one\n") == repository.git("rev-parse", f"HEAD:{COMMON}")
