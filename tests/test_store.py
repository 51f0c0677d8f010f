"""State, journal and lock: what survives a kill, what a damaged file says, and who may write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import FleetError, Locked
from fleet.journal import GroupBegan, GroupDone, Intended, RunBegan, RunEnded, Step
from fleet.pace import Pace
from fleet.state import State
from fleet.store import FolderStore
from tests.shelf import put

AT = "2026-01-01T00:00:00Z"


def began(group: str, title: str = "new") -> GroupBegan:
    step = Step.of(put(group, title))
    return GroupBegan(run="r1", at=AT, group=group, provider="shelf", steps=(step,))


def done(group: str, title: str = "new", before: str | None = None) -> GroupDone:
    return GroupDone(run="r1", at=AT, group=group, plan="p1", steps=(Step.of(put(group, title, before)),))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    folder = tmp_path / ".fleet"
    folder.mkdir()
    return FolderStore(folder, "example")


def test_a_fleet_without_state_starts_empty(store: FolderStore) -> None:
    assert store.load() == State(fleet="example")


def test_what_the_journal_says_is_in_the_state_without_a_snapshot(store: FolderStore) -> None:
    store.append(began("a"))
    store.append(done("a", "new", before="old"))
    thing = store.load().things["shelf:book:a"]
    assert (thing.previous or {})["title"] == "old"
    assert thing.current["title"] == "new"


def test_a_group_without_an_end_is_known_as_begun(store: FolderStore) -> None:
    store.append(began("a"))
    store.append(Intended(run="r1", at=AT, group="a", blobs=("b10b",)))
    assert store.load().begun["a"].blobs == ("b10b",)
    store.append(done("a"))
    assert store.load().begun == {}


def test_a_run_without_an_end_is_known_as_killed(store: FolderStore) -> None:
    store.append(RunBegan(run="r1", at=AT, plan="p1", user="u", host="h", version="0"))
    assert store.load().runs[0].exit_code is None
    store.append(RunEnded(run="r1", at=AT, exit_code=3))
    assert store.load().runs[0].exit_code == 3


def test_a_snapshot_and_what_came_after_it_are_one_state(store: FolderStore) -> None:
    store.append(done("a"))
    store.save(store.load())
    store.append(done("b"))
    assert set(store.load().things) == {"shelf:book:a", "shelf:book:b"}


def test_a_line_that_a_kill_cut_off_is_as_if_never_written(store: FolderStore) -> None:
    store.append(done("a"))
    with (store.folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"event":"group-do')
    assert set(store.load().things) == {"shelf:book:a"}
    with store.lock("r2", Pace()):
        store.append(done("b"))
    assert set(store.load().things) == {"shelf:book:a", "shelf:book:b"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("state.json", b"{", "damaged"),
        ("state.json", b"[]", "damaged"),
        ("state.json", b'{"format_version": 1, "fleet": "example", "things": 3}', "damaged"),
        ("state.json", b'{"format_version": 99, "fleet": "example"}', "newer fleet"),
        ("state.json", b'{"format_version": 1, "fleet": "other"}', "belongs to the fleet 'other'"),
        ("journal.jsonl", b"not json\n{}\n", "line 1 is damaged"),
        ("journal.jsonl", b'{"event":"intended","run":"r","at":"t","group":"g","blobs":[]}\n', "damaged"),
    ],
)
def test_a_damaged_file_is_a_sentence_that_says_what_to_do(
    store: FolderStore, name: str, content: bytes, words: str
) -> None:
    (store.folder / name).write_bytes(content)
    with pytest.raises(FleetError, match=words):
        store.load()
    assert (store.folder / name).read_bytes() == content


def test_a_journal_that_was_cut_short_is_noticed(store: FolderStore) -> None:
    store.append(done("a"))
    store.save(store.load())
    (store.folder / "journal.jsonl").write_bytes(b"")
    with pytest.raises(FleetError, match="shorter"):
        store.load()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(FleetError, match="cannot be written"),
        FolderStore(tmp_path / "file", "example").lock("r", Pace()),
    ):
        pass


def test_two_runs_cannot_write_at_once(store: FolderStore) -> None:
    with (
        store.lock("r1", Pace()),
        pytest.raises(Locked, match="run r1"),
        FolderStore(store.folder, "example").lock("r2", Pace()),
    ):
        pass


def test_the_lock_of_a_dead_run_is_taken_over_with_a_note(store: FolderStore) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from fleet.pace import Pace\nfrom fleet.store import FolderStore\n"
        "with FolderStore(Path(sys.argv[1]), 'example').lock('r1', Pace()):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.folder)], check=False)
    with store.lock("r2", Pace()) as note:
        assert note is not None
        assert "r1" in note
    with store.lock("r3", Pace()) as note:
        assert note is None


def test_state_files_stay_out_of_git(store: FolderStore) -> None:
    with store.lock("r1", Pace()):
        assert (store.folder / ".gitignore").read_text() == "*\n"


def test_the_snapshot_is_json_that_people_can_read(store: FolderStore) -> None:
    store.append(done("a"))
    store.save(store.load())
    document = json.loads((store.folder / "state.json").read_text())
    assert document["things"]["shelf:book:a"]["plan"] == "p1"


def test_a_begun_group_knows_whose_run_it_was(store: FolderStore) -> None:
    store.append(began("a"))
    assert store.load().begun["a"].run == "r1"
