"""Commits in a local git checkout: what they change, what is refused, races, hooks, identity and signing."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
from pathlib import Path

import pytest

from fleet.gitblob import blob_id
from fleet.provider import Conflict, ProviderError, TryAgain
from fleet_checkout import Checkout
from tests import checkouts
from tests.checkouts import CHANGES, Repository, checkout, refused, request

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


def assert_done(repository: Repository, before: str, commit: str) -> None:
    assert repository.head == commit
    assert repository.git("rev-parse", "HEAD^") == before
    assert {path: repository.show(path) for path in CHANGES} == CHANGES
    assert {path: repository.read(path) for path in CHANGES} == CHANGES
    assert (repository.status, repository.leftovers) == ("", [])


def test_a_commit_changes_only_the_files_of_the_request(host: Checkout, repository: Repository) -> None:
    before = repository.head
    commit = host.commit(request(repository))
    assert_done(repository, before, commit)
    assert repository.git("log", "-1", "--format=%an %ae %B") == "Ada ada@example.org Roll out two"


def test_what_is_not_concerned_stays_as_it_is(host: Checkout, repository: Repository) -> None:
    repository.write("unrelated.yaml", "a: 1\n")
    before = repository.commit_all("Unrelated")
    repository.write("unrelated.yaml", "a: dirty\n")
    repository.write("untracked.yaml", "b: 1\n")
    commit = host.commit(request(repository))
    assert repository.git("rev-parse", f"{commit}^") == before
    assert repository.status == " M unrelated.yaml\n?? untracked.yaml"
    assert (repository.read("unrelated.yaml"), repository.read("untracked.yaml")) == ("a: dirty\n", "b: 1\n")


def test_paths_of_a_commit_are_relative_to_the_subfolder(host: Checkout, repository: Repository) -> None:
    wanted = request(repository, **{"prod.yaml": "tag: two\n", "new.yaml": "n\n"})
    host.commit(dataclasses.replace(wanted, repository="infrastructure/config"))
    assert (repository.show(PROD), repository.show("config/new.yaml")) == ("tag: two\n", "n\n")
    assert repository.status == ""


def test_a_linked_work_tree_is_committed_to_alone(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", "-b", "rollout", str(tmp_path / "linked"))
    linked, before = Repository(tmp_path / "linked"), repository.head
    commit = host.commit(dataclasses.replace(request(linked), branch="rollout"))
    assert_done(linked, before, commit)
    assert (repository.head, repository.status) == (before, "")


def test_a_submodule_is_a_checkout_too(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    outer, before = checkouts.create(tmp_path / "outer"), repository.head
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository.top), "values")
    outer.commit_all("Submodule")
    inner = Repository(outer.top / "values")
    assert_done(inner, before, host.commit(request(inner)))
    assert outer.status == " M values"


def test_the_mode_of_a_file_is_kept(host: Checkout, repository: Repository) -> None:
    (repository.top / PROD).chmod(0o750)
    repository.commit_all("Executable")
    (repository.top / COMMON).chmod(0o600)
    host.commit(request(repository))
    assert repository.git("ls-tree", "HEAD", PROD).startswith("100755")
    assert repository.git("ls-tree", "HEAD", "new/hub.yaml").startswith("100644")
    assert (repository.top / PROD).stat().st_mode & 0o777 == 0o750
    assert (repository.top / COMMON).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["autocrlf", "eol"])
def test_line_ends_of_the_work_tree_are_gits_business(host: Checkout, repository: Repository, how: str) -> None:
    if how == "autocrlf":
        repository.git("config", "core.autocrlf", "true")
    else:
        repository.write(".gitattributes", "*.yaml text eol=crlf\n")
        repository.commit_all("Attributes")
    repository.git("rm", "-rq", "--cached", ".")
    repository.git("reset", "-q", "--hard")
    assert repository.read(COMMON) == "tag: one\r\n"
    host.commit(request(repository))
    assert (repository.show(COMMON), repository.read(COMMON)) == ("tag: two\n", "tag: two\r\n")
    assert repository.status == ""


def test_a_blob_with_crlf_under_autocrlf_is_not_taken_for_dirty(host: Checkout, repository: Repository) -> None:
    repository.write(COMMON, "tag: one\r\n")
    repository.commit_all("Carriage returns")
    repository.git("config", "core.autocrlf", "true")
    host.commit(request(repository, **{COMMON: "tag: two\r\n"}))
    assert (repository.show(COMMON), repository.read(COMMON)) == ("tag: two\r\n", "tag: two\r\n")


def test_a_file_outside_of_a_sparse_checkout_is_committed_and_stays_away(
    host: Checkout, repository: Repository
) -> None:
    repository.write("other/a.yaml", "a\n")
    repository.commit_all("Other")
    repository.git("sparse-checkout", "set", "other")
    host.commit(request(repository, **{PROD: "tag: two\n", "other/a.yaml": "b\n"}))
    assert (repository.show(PROD), repository.show("other/a.yaml")) == ("tag: two\n", "b\n")
    assert (repository.status, (repository.top / PROD).exists(), repository.leftovers) == ("", False, [])


def test_a_sha256_repository_works(host: Checkout, tmp_path: Path) -> None:
    repository = checkouts.create(tmp_path / "long", "--object-format=sha256")
    before = repository.head
    assert_done(repository, before, host.commit(request(repository)))


def test_nothing_to_change_makes_no_commit(host: Checkout, repository: Repository) -> None:
    assert host.commit(request(repository, **{COMMON: "tag: one\n"})) == repository.head
    assert repository.git("rev-list", "--count", "HEAD") == "1"
    assert repository.leftovers == []


def test_a_message_line_with_a_hash_is_kept(host: Checkout, repository: Repository) -> None:
    repository.git("config", "commit.cleanup", "strip")
    host.commit(dataclasses.replace(request(repository), message="Roll out\n\n#1 of 2\n"))
    assert repository.git("log", "-1", "--format=%B").strip() == "Roll out\n\n#1 of 2"


def test_a_name_as_long_as_names_can_be_is_committed(host: Checkout, repository: Repository) -> None:
    host.commit(request(repository, **{"n" * 255: "x\n"}))
    assert (repository.show("n" * 255), repository.status, repository.leftovers) == ("x\n", "", [])
    refused(host, request(repository, **{"n" * 256: "x\n"}), "cannot be written or read: File name too long")
    assert (repository.status, repository.leftovers) == ("", [])


def test_a_subject_that_looks_like_gits_summary_is_no_trouble(host: Checkout, repository: Repository) -> None:
    wanted = dataclasses.replace(request(repository), message="[main deadbeef] roll [x c0ffee] out")
    assert host.commit(wanted) == repository.head


def test_a_split_index_stays_split(host: Checkout, repository: Repository) -> None:
    repository.git("update-index", "--split-index")
    before = repository.head
    assert_done(repository, before, host.commit(request(repository)))
    assert list(repository.git_dir.glob("sharedindex.*"))


# Refusals


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("git checkout -q --detach", "has no branch checked out .HEAD is detached.; check out main"),
        ("git checkout -q -b other", "has other checked out, not main"),
        ("echo x > config/prod.yaml", "config/prod.yaml in .* has changes that are not committed"),
        ("rm config/prod.yaml", "config/prod.yaml in .* has changes that are not committed"),
        ("chmod +x config/prod.yaml", "config/prod.yaml in .* has changes that are not committed"),
        ("mkdir new; echo mine > new/hub.yaml", "new/hub.yaml in .* has changes that are not committed"),
        ("mkdir -p new/hub.yaml", "new/hub.yaml cannot be a file in .* because it is a folder"),
        ("echo x > new", "new/hub.yaml cannot be a file in .* because new is not a folder"),
        ("ln -s config new", "new/hub.yaml cannot be a file in .* because new is not a folder"),
        ("echo x > a; git add a", "a in .* is staged for another commit; commit it, or unstage it"),
        ("git update-index --assume-unchanged config/prod.yaml; echo x > config/prod.yaml", "--no-assume-unchanged"),
        ("ln -sf common.yaml config/prod.yaml; git commit -qam link", "is a symbolic link; name the file it leads to"),
        (
            "git checkout -qb o; echo o > o; git add o; git commit -qm o; git checkout -q main; echo m > m; git add m; "
            "git commit -qm m; git merge -q --no-commit o >&2",
            "a merge is under way in .*; finish or abort it first",
        ),
    ],
)
def test_a_checkout_that_is_in_use_is_refused(host: Checkout, repository: Repository, commands: str, said: str) -> None:
    subprocess.run(["sh", "-ec", commands], cwd=repository.top, check=True)
    before = repository.head, repository.status, repository.git("ls-files", "-s", "-v")
    refused(host, request(repository), said)
    assert (repository.head, repository.status, repository.git("ls-files", "-s", "-v")) == before
    assert repository.leftovers == []


def test_a_file_named_twice_is_refused(host: Checkout, repository: Repository) -> None:
    refused(host, request(repository, **{COMMON: "a", "config/../config/common.yaml": "b"}), "named twice")


def test_a_commit_in_between_is_a_conflict(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    repository.write("other.yaml", "x\n")
    moved = repository.commit_all("Somebody else")
    with pytest.raises(Conflict, match=f"main in .* is at {moved}, not at {wanted.expected_head}"):
        host.commit(wanted)
    assert (repository.head, repository.status, repository.leftovers) == (moved, "", [])


def test_a_branch_moved_past_the_lock_loses_nothing(host: Checkout, repository: Repository) -> None:
    repository.write("other.yaml", "x\n")
    theirs = repository.commit_all("Somebody else")
    repository.git("reset", "-q", "--hard", "HEAD^")
    repository.hook("pre-commit", f"git update-ref refs/heads/main {theirs}")
    wanted = request(repository)
    with pytest.raises(Conflict, match=f"moved to {theirs}"):
        host.commit(wanted)
    assert repository.head == theirs
    assert (repository.read(COMMON), repository.leftovers) == ("tag: one\n", [])


def test_a_commit_on_top_of_a_lost_race_is_undone(host: Checkout, repository: Repository) -> None:
    repository.write(".gitattributes", "*.yaml filter=race\n")
    repository.commit_all("Filter")
    repository.write("other.yaml", "x\n")
    theirs = repository.commit_all("Somebody else")
    repository.git("reset", "-q", "--hard", "HEAD^")
    wanted = request(repository)
    # a filter runs after our look at the branch and before git's own
    repository.git("config", "filter.race.smudge", f"git update-ref refs/heads/main {theirs}; cat")
    with pytest.raises(Conflict, match=f"moved to {theirs}"):
        host.commit(wanted)
    assert (repository.head, repository.read(COMMON), repository.leftovers) == (theirs, "tag: one\n", [])


def test_while_another_git_command_holds_the_index_we_wait(host: Checkout, repository: Repository) -> None:
    lock = repository.git_dir / "index.lock"
    lock.write_bytes(b"")
    with pytest.raises(TryAgain, match=r"another git command is writing .*; if none is, one was killed: remove .*lock"):
        host.commit(request(repository))
    assert lock.exists()
    lock.unlink()
    host.commit(request(repository))
    assert repository.leftovers == []


def test_of_many_callers_one_commits_and_the_others_hear_of_it(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    heard: list[str] = []

    def run() -> None:
        try:
            heard.append(host.commit(wanted))
        except (Conflict, TryAgain) as error:
            heard.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 6
    assert [word for word in heard if word not in {"Conflict", "TryAgain"}] == [repository.head]
    assert_done(repository, wanted.expected_head, repository.head)


# The operator's hooks, identity and signing


def test_hooks_run_and_see_what_is_committed(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    repository.hook(
        "pre-commit", f"git diff --cached --name-only > {tmp_path}/seen; cat config/prod.yaml >> {tmp_path}/seen"
    )
    repository.hook("commit-msg", "echo 'Reviewed-by: a hook' >> $1")
    host.commit(request(repository))
    assert (tmp_path / "seen").read_text() == "\n".join(sorted(CHANGES)) + "\ntag: two\nkeep: this\n"
    assert repository.git("log", "-1", "--format=%B").strip() == "Roll out two\nReviewed-by: a hook"


def test_a_hook_that_refuses_leaves_everything_as_it_was(host: Checkout, repository: Repository) -> None:
    repository.hook("pre-commit", "printf 'not \\033[31mtoday\\n\\n  because of reasons\\n'; exit 1")
    before = repository.head
    refused(host, request(repository), r"everything was put back: not \\x1b\[31mtoday / because of reasons$")
    assert (repository.head, repository.status, repository.leftovers) == (before, "", [])
    assert not (repository.top / "new").exists()


def test_what_a_hook_says_is_bounded(host: Checkout, repository: Repository) -> None:
    repository.hook("pre-commit", "yes long | head -c 1000000; echo the end; exit 1")
    with pytest.raises(ProviderError, match=r"put back: … ?.*long / the end$") as caught:
        host.commit(request(repository))
    assert len(str(caught.value)) < 1500


def test_what_a_hook_changes_and_adds_is_committed_too(host: Checkout, repository: Repository) -> None:
    repository.hook("pre-commit", "echo '# checked' >> config/prod.yaml; echo made > made; git add config made")
    host.commit(request(repository))
    assert repository.show(PROD) == repository.read(PROD) == "tag: two\nkeep: this\n# checked\n"
    assert (repository.show("made"), repository.status, repository.leftovers) == ("made\n", "", [])


def test_what_a_hook_changed_before_it_refused_is_put_back_and_kept(host: Checkout, repository: Repository) -> None:
    repository.hook("pre-commit", "echo '# reformatted' >> config/prod.yaml; echo files were modified; exit 1")
    refused(host, request(repository), "files were modified")
    assert (repository.status, repository.leftovers) == ("", [])
    assert repository.git("cat-file", "blob", blob_id(b"tag: two\nkeep: this\n# reformatted\n")).endswith("reformatted")


def test_a_hook_may_commit_after_us(host: Checkout, repository: Repository) -> None:
    repository.hook("post-commit", "test -e made || { echo x > made; git add made; git commit -q -m more; }")
    commit = host.commit(request(repository))
    assert repository.git("rev-parse", "HEAD^") == commit
    assert repository.git("log", "-1", "--format=%s", commit) == "Roll out two"
    assert (repository.status, repository.leftovers) == ("", [])


def test_what_a_hook_leaves_running_does_not_hold_us_up(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    repository.hook("post-commit", f"(read line < {tmp_path}/gate) &")
    host.commit(request(repository))
    host.commit(request(repository, **{COMMON: "tag: three\n"}))
    assert (repository.show(COMMON), repository.leftovers) == ("tag: three\n", [])
    (tmp_path / "gate").write_text("end\n")  # lets both of them go


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ("[user]\n\tuseConfigOnly = true\n", "tell me who you are"),
        (checkouts.IDENTITY + "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n", "gpg failed to sign the data"),
    ],
    ids=["identity", "signing"],
)
def test_a_commit_that_git_refuses_leaves_everything_as_it_was(
    host: Checkout,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    said: str,
) -> None:
    before = repository.head
    wanted = request(repository)
    checkouts.use_only(configuration, tmp_path, monkeypatch)
    refused(host, wanted, said)
    assert (repository.head, repository.status, repository.leftovers) == (before, "", [])


def test_a_commit_is_signed_where_the_operator_signs(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "gpg").write_text(
        "#!/bin/sh\ncat > /dev/null; echo a signature; echo; echo '[GNUPG:] SIG_CREATED ' >&2\n"
    )
    (tmp_path / "gpg").chmod(0o755)
    repository.git("config", "commit.gpgSign", "true")
    repository.git("config", "gpg.program", str(tmp_path / "gpg"))
    host.commit(request(repository))
    assert "gpgsig a signature" in repository.git("cat-file", "commit", "HEAD")
