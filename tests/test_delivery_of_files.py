"""Managed files by pull request: a new image's workflows are merged by a person, and its hub follows the build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github.model import Ruleset
from fleet.sandbox.github.model_pulls import Pull
from fleet.testing.crash import CRASH_POINTS
from tests.test_delivery import killed, planned
from tests.test_whole_way import SOURCE, WholeFleet, file_of, whole

__all__ = ["whole"]

VALUES = "example-org/infrastructure"
BUILD = ".github/workflows/build.yaml"


def pulls(whole: WholeFleet) -> list[Pull]:
    return list(whole.github.state.repository(SOURCE).pulls.values())


def finish(whole: WholeFleet, *, merge: bool) -> None:
    """Somebody merges the newest pull request, or closes it."""
    client = whole.client()
    pull = client.get_repo(SOURCE).get_pull(pulls(whole)[-1].number)
    if merge:
        pull.merge()
    else:
        pull.edit(state="closed")
    whole.github.actions.wait(20)
    client.close()


def by_pull_request(whole: WholeFleet) -> None:
    whole.document["code_hosts"]["github"]["delivery"] = "pull-request"
    whole.save()


def test_an_image_is_made_its_files_are_proposed_and_the_hub_follows_what_a_merge_built(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    by_pull_request(whole)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert "1 proposed" in capsys.readouterr().out
    (pull,) = pulls(whole)
    assert (pull.head, pull.title) == ("fleet/example/files", "Update the files that fleet manages")
    assert f"- `{BUILD}`: new" in (pull.body or "")
    code, text = planned(capsys)
    assert code == ExitCode.OK, text
    assert f"{SOURCE}  proposed in " in text
    assert f"waits for the first build of {SOURCE}" in text
    finish(whole, merge=True)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert whole.head[:12] in whole.little.at_head("three.yaml")
    assert planned(capsys)[0] == ExitCode.OK
    assert len(pulls(whole)) == 1


def test_a_newer_build_is_proposed_with_the_commits_that_it_brings(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    first = whole.head[:12]
    whole.github.state.create_repository(VALUES, {"three.yaml": whole.little.at_head("three.yaml")})
    whole.document["hubs"]["three"]["values"] = {"repository": VALUES, "files": ["three.yaml"]}
    by_pull_request(whole)
    whole.github.commit(SOURCE, {"apt.txt": "jq\n"}, "Bring `jq` for @everybody\n\nIt is small.")
    whole.github.actions.wait(20)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    (pull,) = whole.github.state.repository(VALUES).pulls.values()
    body = pull.body or ""
    assert f"`{whole.image}:{first}` → `{whole.image}:{whole.head[:12]}`, which 1 hub will read: `three`" in body
    assert "<summary>1 commit</summary>" in body
    assert f"  ```text\n  {whole.head[:12]} Bring `jq` for @everybody\n  ```" in body
    assert planned(capsys)[0] == ExitCode.OK


def test_an_edited_file_is_proposed_anew_past_the_branchs_rules_and_held_when_closed(
    whole: WholeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.document["templates"]["user-image"]["on_edit"] = "overwrite"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    by_pull_request(whole)
    edited = "# mine\n" + file_of(whole, BUILD)
    whole.github.commit(SOURCE, {BUILD: edited}, "by hand [skip ci]")
    state, now = whole.github.state, whole.github.state.clock.now()
    rule = Ruleset(1, "reviews", "active", ("~DEFAULT_BRANCH",), (), ({"type": "pull_request"},), now, now)
    state.repository(SOURCE).rulesets[1] = rule
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert file_of(whole, BUILD) == edited
    assert pulls(whole)[0].title == "Update the files that fleet manages [skip ci]"
    finish(whole, merge=False)
    code, text = planned(capsys)
    assert (code, "was closed unmerged" in text) == (ExitCode.OK, True)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK
    assert len(pulls(whole)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_there_is_one_pull_request_in_the_end(
    whole: WholeFleet,
    when: Literal["before", "after"],
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    whole.document["templates"]["user-image"]["on_edit"] = "overwrite"
    whole.save()
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    by_pull_request(whole)
    whole.github.commit(SOURCE, {BUILD: "# mine\n" + file_of(whole, BUILD)}, "by hand [skip ci]")
    points = 0
    for nth in (1, 2, 3, 4):
        points += killed(whole.github.loopback, nth, when)
    assert main(["apply", "-auto-approve"]) == ExitCode.OK, capsys.readouterr()
    assert planned(capsys)[0] == ExitCode.OK
    assert len(pulls(whole)) == 1
    assert points >= 3
    record_property(CRASH_POINTS, points)
