"""A commit in a checkout, killed at every step: the next run ends where an undisturbed one would have."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.gitblob import blob_id
from fleet.pace import Pace
from fleet.provider import CommitRequest, Conflict, ProviderError, TryAgain
from fleet.testing import crash
from fleet_checkout import Checkout
from tests import checkouts
from tests.checkouts import CHANGES, Repository, checkout, request


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkouts.use_only(checkouts.IDENTITY, tmp_path, monkeypatch)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = checkouts.create(tmp_path / "infrastructure")
    made.write("notes.txt", "mine, untracked\n")
    return made


@pytest.fixture
def host(tmp_path: Path) -> Checkout:
    return checkout(tmp_path)


def apply(host: Checkout, wanted: CommitRequest) -> None:
    """What the core does when it goes on after a kill: recover, read, and commit what is not there yet."""
    unfinished = [blob_id(data) for data in wanted.contents.values()]
    host.recover(wanted.repository, unfinished)
    found = host.files(wanted.repository, None, wanted.contents)
    if found.contents != wanted.contents:
        host.commit(replace(wanted, expected_head=found.head, unfinished=unfinished))


def assert_undisturbed(repository: Repository, before: str) -> None:
    """One commit more, with exactly the new contents, and nothing else left anywhere."""
    assert repository.git("rev-list", f"{before}..HEAD") == repository.head
    assert repository.git("rev-parse", "HEAD^") == before
    assert repository.git("diff", "--name-only", before, "HEAD").split() == sorted(CHANGES)
    assert {path: repository.show(path) for path in CHANGES} == CHANGES
    assert {path: repository.read(path) for path in CHANGES} == CHANGES
    assert repository.status == "?? notes.txt"
    assert repository.read("notes.txt") == "mine, untracked\n"
    assert repository.leftovers == []


def assert_put_back(repository: Repository, before: str) -> None:
    assert repository.head == before
    assert (repository.status, repository.leftovers) == ("?? notes.txt", [])
    assert not (repository.top / "new").exists()


def each_step(repository: Repository, attempt: Callable[[], object]) -> range:
    """The numbers of all steps of an attempt, and one more, which is none; the repository is as it was."""
    before = repository.head
    steps = crash.count_events(attempt)
    assert repository.head != before
    reset(repository, before)
    return range(1, steps + 2)


def reset(repository: Repository, before: str) -> None:
    repository.git("reset", "-q", "--hard", before)


def test_killed_before_any_step_the_next_run_finishes(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    for n in each_step(repository, lambda: host.commit(wanted)):
        end = crash.run_killed_at(n, lambda: host.commit(wanted), group=n % 2 == 0)
        assert end.steps == n - 1
        host.recover("infrastructure", [])
        if repository.head == wanted.expected_head:
            assert_put_back(repository, wanted.expected_head)
        apply(host, wanted)
        assert_undisturbed(repository, wanted.expected_head)
        reset(repository, wanted.expected_head)
    assert not end.killed


def test_commit_alone_settles_what_a_killed_run_left(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    for n in each_step(repository, lambda: host.commit(wanted)):
        crash.run_killed_at(n, lambda: host.commit(wanted))
        with contextlib.suppress(Conflict):  # it was committed before the kill
            host.commit(wanted)
        assert_undisturbed(repository, wanted.expected_head)
        reset(repository, wanted.expected_head)


KILL_GROUP = "kill -KILL 0"

HOOKS = {
    "pre-commit": KILL_GROUP,
    "prepare-commit-msg": KILL_GROUP,
    "commit-msg": KILL_GROUP,
    "reference-transaction": f'test "$1" = prepared && {KILL_GROUP}; true',
    "reference-transaction committed": f'test "$1" = committed && {KILL_GROUP}; true',
    "post-commit": KILL_GROUP,
}


@pytest.mark.parametrize("moment", HOOKS)
def test_killed_together_with_git_the_next_run_finishes(host: Checkout, repository: Repository, moment: str) -> None:
    wanted = request(repository)
    hook = repository.hook(moment.split()[0], HOOKS[moment])
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    assert repository.leftovers
    hook.unlink()
    apply(host, wanted)
    assert_undisturbed(repository, wanted.expected_head)


@pytest.mark.parametrize("moment", ["pre-commit", "reference-transaction", "post-commit"])
def test_recovery_itself_can_be_killed(host: Checkout, repository: Repository, moment: str) -> None:
    wanted = request(repository)
    script = HOOKS[moment]
    for n in itertools.count(1):
        hook = repository.hook(moment, script)
        assert crash.run_in_group(lambda: host.commit(wanted)).killed
        hook.unlink()
        # What the hook has killed may take a moment to let go of the lock, as it may for the next run.
        end = crash.run_killed_at(n, lambda: Pace().repeat(host.limits, lambda: host.recover("infrastructure", [])))
        apply(host, wanted)
        assert_undisturbed(repository, wanted.expected_head)
        reset(repository, wanted.expected_head)
        if not end.killed:
            break
    assert n > 10


def test_putting_back_after_a_failed_hook_can_be_killed(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)

    def attempt() -> None:
        with contextlib.suppress(ProviderError):
            host.commit(wanted)

    for n in itertools.count(1):
        hook = repository.hook("pre-commit", "exit 1")
        end = crash.run_killed_at(n, attempt)
        hook.unlink()
        host.recover("infrastructure", [])
        assert_put_back(repository, wanted.expected_head)
        if not end.killed:
            break
    assert n > 30


def test_what_a_hook_made_of_our_content_and_added_is_put_back(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    hook = repository.hook("pre-commit", f"echo '# checked' >> config/prod.yaml; git add config; {KILL_GROUP}")
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    hook.unlink()
    host.recover("infrastructure", [])
    assert_put_back(repository, wanted.expected_head)


def test_git_killed_alone_leaves_no_lock_behind(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    hook = repository.hook("reference-transaction", 'test "$1" = prepared && kill -KILL $PPID; true')
    with pytest.raises(ProviderError, match="everything was put back"):
        host.commit(wanted)
    assert_put_back(repository, wanted.expected_head)
    hook.unlink()
    host.commit(wanted)
    assert_undisturbed(repository, wanted.expected_head)


def test_while_git_outlives_us_nobody_takes_over(host: Checkout, repository: Repository, tmp_path: Path) -> None:
    wanted = request(repository)
    os.mkfifo(tmp_path / "gate")
    repository.hook("pre-commit", f"kill -KILL $(cat {tmp_path}/pid); read line < {tmp_path}/gate")

    def attempt() -> None:
        (tmp_path / "pid").write_text(str(os.getpid()))
        host.commit(wanted)

    assert crash.run_in_group(attempt).killed
    with pytest.raises(TryAgain, match=r"another run of fleet \(process \d+ on "):
        host.recover("infrastructure", [])
    with pytest.raises(TryAgain):
        host.commit(wanted)
    with (repository.git_dir / "fleet-commit").open() as claim:
        (tmp_path / "gate").write_text("go on\n")
        fcntl.flock(claim, fcntl.LOCK_EX)  # granted when the orphaned git has ended
    apply(host, wanted)
    assert_undisturbed(repository, wanted.expected_head)


def test_recovery_with_nothing_to_recover_writes_nothing(host: Checkout, repository: Repository) -> None:
    def state() -> dict[Path, int]:
        return {path: path.lstat().st_mtime_ns for path in repository.git_dir.rglob("*")}

    before = state()
    host.recover("infrastructure", [])
    assert state() == before


def test_recovery_of_a_folder_without_git_does_nothing(host: Checkout, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    host.recover("plain", [])
    assert list((tmp_path / "plain").iterdir()) == []


def test_after_a_kill_what_the_operator_edited_since_stays(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    hook = repository.hook("pre-commit", KILL_GROUP)
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    hook.unlink()
    repository.write("config/prod.yaml", "tag: edited by hand\n")
    host.recover("infrastructure", [])
    assert repository.read("config/prod.yaml") == "tag: edited by hand\n"
    assert repository.read("config/common.yaml") == "tag: one\n"
    with pytest.raises(ProviderError, match=r"config/prod\.yaml .* has changes that are not committed"):
        host.commit(wanted)
    assert repository.status == " M config/prod.yaml\n?? notes.txt"


@pytest.mark.parametrize("moment", ["pre-commit", "post-commit"])
def test_a_lock_that_the_operator_removed_is_not_missed(host: Checkout, repository: Repository, moment: str) -> None:
    wanted = request(repository)
    hook = repository.hook(moment, KILL_GROUP)
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    hook.unlink()
    (repository.git_dir / "index.lock").unlink()
    apply(host, wanted)
    assert_undisturbed(repository, wanted.expected_head)


def test_a_foreign_lock_on_the_branch_is_left_alone(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    hook = repository.hook("pre-commit", KILL_GROUP)
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    hook.unlink()
    lock = repository.git_dir / "refs/heads/main.lock"
    lock.write_text(wanted.expected_head + "\n")
    host.recover("infrastructure", [])
    assert lock.read_text() == wanted.expected_head + "\n"
    lock.unlink()
    assert_put_back(repository, wanted.expected_head)


def test_content_that_was_being_written_is_finished_even_without_a_journal(
    host: Checkout, repository: Repository
) -> None:
    wanted = request(repository)
    for path, content in CHANGES.items():
        repository.write(path, content)
    ids = [blob_id(content.encode()) for content in CHANGES.values()]
    with pytest.raises(ProviderError, match=r"config/common\.yaml, config/prod\.yaml, new/hub\.yaml"):
        host.commit(replace(wanted, unfinished=[]))
    host.commit(replace(wanted, unfinished=ids))
    assert_undisturbed(repository, wanted.expected_head)


@pytest.mark.parametrize("content", ["", "half of a line"])
def test_a_claim_without_its_content_is_taken_over(host: Checkout, repository: Repository, content: str) -> None:
    wanted = request(repository)
    (repository.git_dir / "fleet-commit").write_text(content)
    host.commit(wanted)
    assert_undisturbed(repository, wanted.expected_head)


def test_recovery_waits_for_another_git_command(host: Checkout, repository: Repository) -> None:
    wanted = request(repository)
    hook = repository.hook("post-commit", KILL_GROUP)
    assert crash.run_in_group(lambda: host.commit(wanted)).killed
    hook.unlink()
    lock = repository.git_dir / "index.lock"
    lock.unlink()
    lock.write_bytes(b"another command's new index")
    with pytest.raises(TryAgain, match="another git command is writing"):
        host.recover("infrastructure", [])
    assert lock.read_bytes() == b"another command's new index"
    lock.unlink()
    host.recover("infrastructure", [])
    assert_undisturbed(repository, wanted.expected_head)
