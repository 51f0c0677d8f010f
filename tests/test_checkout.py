"""The code host that is a local git checkout: what it reads, what it commits, what it refuses."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from fleet.gitblob import blob_id
from fleet.provider import CommitRequest, Conflict, Files, ProviderError, TryAgain
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
    assert not isinstance(caught.value, Conflict | TryAgain)
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


# Committing


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


def test_blob_ids_are_those_of_git(repository: Repository) -> None:
    assert blob_id(b"tag: one\n") == repository.git("rev-parse", f"HEAD:{COMMON}")
