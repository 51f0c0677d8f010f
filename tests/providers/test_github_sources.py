"""Source repositories on GitHub: what stops a plan, what is read, what is made, and what happens meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.apply import Status
from fleet.errors import ProviderError, TryAgain
from fleet.model import Address, Change, Secret
from fleet.provider import SourceRepository, Timeouts
from fleet.sandbox.github import Limits
from fleet.sandbox.github.clock import Lag
from fleet.sandbox.github.model import EVERYTHING, Protection, Ruleset
from fleet.sandbox.github.model_actions import Secret as StoredSecret
from fleet.sandbox.http import Fault, Request, Response, Service
from fleet.testing.running import rig_of
from fleet_github import GitHub
from fleet_github.specs import ManagedFiles
from tests.github_creation import SandboxClock, TemplatedSubject, create
from tests.providers.github_bench import (
    ACTION,
    BUILD,
    IMAGE,
    PUSHED,
    SEED,
    SOURCE,
    TEMPLATE,
    TEST,
    TESTED,
    Bench,
    ids,
    open_bench,
)

CHANGED = replace(SOURCE, managed=ids({BUILD: PUSHED + b"# more\n", TEST: TESTED}))
GENERATED = replace(SOURCE, template=TEMPLATE, seed={})


@pytest.fixture
def bench(tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[Bench]:
    with open_bench(tmp_path) as (opened, judge):
        yield opened
    judge.report(record_property)


# --- what stops a plan


def _rule(bench: Bench) -> None:
    now = bench.github.state.clock.now()
    rule = Ruleset(1, "reviews", "active", ("~DEFAULT_BRANCH",), (), ({"type": "pull_request"},), now, now)
    bench.github.state.repository(IMAGE).rulesets[1] = rule


def _set(what: str, login: str = "ada", **values: Any) -> Callable[[Bench], None]:
    """Change the organisation or the image's repository, and log in as somebody."""

    def change(bench: Bench) -> None:
        bench.login(login)
        found: Any = getattr(bench.github.state, what)("example-org" if what == "account" else IMAGE)
        for name, value in values.items():
            setattr(found, name, value)

    return change


STOPS: Mapping[str, tuple[Callable[[Bench], object], str]] = {
    "archived": (_set("repository", archived=True), "cannot be written: the repository is archived"),
    "renamed": (
        lambda bench: bench.github.state.rename_repository(bench.github.state.repository(IMAGE), "other"),
        f"{IMAGE} was renamed or transferred to example-org/other",
    ),
    "transferred": (
        lambda bench: bench.github.state.transfer_repository(
            bench.github.state.repository(IMAGE), bench.github.state.create_organization("others", admins=["ada"])
        ),
        f"{IMAGE} was renamed or transferred to others/image",
    ),
    "a ruleset": (_rule, "rules of the branch main forbid it: pull_request (ruleset reviews)"),
    "a protection": (
        lambda bench: bench.github.state.repository(IMAGE).protection.update(main=Protection(("ci",))),
        "forbid it: required status checks (protection of main)",
    ),
    "no Actions": (_set("repository", actions_enabled=False), f"would build nothing: Actions are disabled in {IMAGE}"),
    "own actions only": (_set("repository", allowed_actions="local_only"), "its workflows use actions/checkout@"),
    "chosen actions": (
        _set("repository", allowed_actions="selected", allowed_patterns=("docker/*",)),
        f"the settings of Actions do not allow {ACTION}@",
    ),
    "a member without rights": (lambda bench: bench.login("ben"), "the token's owner may not push there"),
}


@pytest.mark.parametrize("how", STOPS)
def test_what_is_sure_to_be_refused_is_said_before_a_write(bench: Bench, how: str) -> None:
    bench.make()
    disturb, sentence = STOPS[how]
    disturb(bench)
    assert sentence in bench.objections(replace(CHANGED, secrets={}))


def test_nothing_is_asked_where_nothing_changes(bench: Bench) -> None:
    bench.make()
    _rule(bench)
    assert bench.changes() == []
    before = bench.github.loopback.count()
    assert bench.provider().preflight([]) == {}
    assert bench.github.loopback.count() == before


@pytest.mark.parametrize("patterns", [("jupyterhub/*",), (f"{ACTION}@*",)])
def test_chosen_actions_that_are_enough_stop_nothing(bench: Bench, patterns: tuple[str, ...]) -> None:
    bench.make()
    _set("repository", allowed_actions="selected", allowed_patterns=patterns)(bench)
    assert bench.objections(CHANGED) == ""


def test_an_admin_whom_the_protection_does_not_bind_is_not_stopped(bench: Bench) -> None:
    bench.make()
    protection = Protection(("ci",), required_reviews=1, enforce_admins=False)
    bench.github.state.repository(IMAGE).protection["main"] = protection
    assert bench.objections(CHANGED) == ""
    assert bench.make(CHANGED) == ["files"]


OF_NEW: Mapping[str, tuple[Callable[[Bench], object], str]] = {
    "no Actions": (_set("account", enabled_repositories="none"), "Actions are disabled in example-org"),
    "Actions in chosen ones": (_set("account", enabled_repositories="selected"), "and a new one is not chosen"),
    "chosen actions": (
        _set("account", allowed_actions="selected", allowed_patterns=("docker/*",)),
        f"the settings of Actions do not allow {ACTION}@",
    ),
    "no public ones": (
        _set("account", "ben", members_can_create_public=False),
        "example-org lets its members create no public repositories",
    ),
    "none at all": (
        _set("account", "ben", members_can_create_public=False, members_can_create_private=False),
        "example-org lets the token's owner create no repositories",
    ),
}


@pytest.mark.parametrize("how", OF_NEW)
def test_what_a_new_repository_would_run_into_is_said_before_it_is_made(bench: Bench, how: str) -> None:
    disturb, sentence = OF_NEW[how]
    disturb(bench)
    assert sentence in bench.objections()


def test_owners_may_make_what_members_may_not(bench: Bench) -> None:
    _set("account", members_can_create_public=False)(bench)
    assert bench.objections() == ""


def test_a_plan_without_room_for_private_repositories_is_said(bench: Bench) -> None:
    bench.github.state.account("example-org").private_repositories = 0
    assert "has room for 0 more private repositories, and 1 are to be made" in bench.objections(
        replace(SOURCE, visibility="private")
    )
    assert bench.objections() == ""


def test_the_own_token_of_a_workflow_cannot_make_anything_elsewhere(bench: Bench) -> None:
    fleet = bench.github.state.create_repository("example-org/fleet", {"fleet.yaml": "version: 1\n"})
    bench.secret = bench.github.state.create_job_token(fleet, {"contents": "write", "actions": "read"})
    assert "reaches example-org/fleet and nothing else, as a workflow's own" in bench.objections()


def test_the_scopes_of_a_classic_token_are_looked_at(bench: Bench) -> None:
    bench.login("ada", scopes=["repo"])
    assert "lacks the scope workflow" in bench.objections()
    bench.login("ada", scopes=["repo", "workflow"])
    assert bench.objections() == ""


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [
        ("nobody", "has no organisation and no user nobody"),
        ("ben", "only ben's token can create there"),
    ],
)
def test_an_owner_that_nothing_can_be_made_for_is_said(bench: Bench, owner: str, sentence: str) -> None:
    assert sentence in bench.objections(replace(SOURCE, repository=f"{owner}/image"))


def test_a_template_that_is_none_is_said(bench: Bench) -> None:
    bench.github.state.create_repository("example-org/plain", {"a": "b"})
    bench.github.state.create_repository("example-org/empty", is_template=True)
    for name, sentence in {
        "nothing": "the token sees no repository example-org/nothing",
        "plain": "example-org/plain is no template repository",
        "empty": "example-org/empty is empty",
    }.items():
        assert sentence in bench.objections(replace(GENERATED, template=f"example-org/{name}"))


def test_a_hundred_changes_are_looked_over_in_a_few_requests(bench: Bench) -> None:
    sources = [replace(SOURCE, repository=f"example-org/image-{number}") for number in range(100)]
    changes = [change for source in sources for change in bench.changes(source)]
    before = bench.github.loopback.count()
    assert bench.provider().preflight(changes) == {}
    assert bench.github.loopback.count() - before == 4 + 3


def test_a_workflow_that_a_fine_grained_token_may_not_write_is_said_by_its_right(bench: Bench) -> None:
    bench.make(replace(SOURCE, managed={}))
    bench.login("ada", *(right for right in EVERYTHING if right != "workflows"))
    with pytest.raises(ProviderError, match="the token needs contents=write and workflows=write"):
        bench.make()
    assert len(bench.messages()) == 2


# --- the connection


def test_no_redirect_is_followed(bench: Bench) -> None:
    bench.make()
    bench.github.state.rename_repository(bench.github.state.repository(IMAGE), "other")
    resource = bench.provider().workshop(SOURCE)[0]
    writes = bench.writes()
    with pytest.raises(ProviderError, match=f"{IMAGE} was renamed or transferred to example-org/other"):
        bench.provider().apply([Change(resource.address, None, resource.spec)], lambda _: Secret("canary"))
    assert bench.writes() == writes


def test_every_request_is_counted(bench: Bench) -> None:
    bench.make()
    assert len(bench.spent) == bench.github.loopback.count()


def test_an_answer_is_waited_for_as_long_as_the_run_says(bench: Bench) -> None:
    bench.timeouts = Timeouts(connect=1, read=0.1, total=1)
    bench.github.loopback.faults.append(Fault("hang", seconds=1))
    with pytest.raises(TryAgain, match="does not answer"):
        bench.changes()


def test_each_thread_has_a_client_of_its_own(bench: Bench) -> None:
    client, found = bench.provider()._client, []
    threads = [threading.Thread(target=lambda: found.append(client._line)) for _ in "ab"]
    for thread in threads:
        thread.start()
        thread.join()
    assert found[0] is not found[1]
    assert found[0].requester is not found[1].requester


# --- reading


def many(bench: Bench, number: int) -> tuple[GitHub, list[Address]]:
    """A provider, and the addresses of repositories that stand already."""
    provider = bench.provider()
    for index in range(number):
        bench.github.state.create_repository(f"example-org/image-{index}", {"a": "b"})
    sources = [replace(SOURCE, repository=f"example-org/image-{n}", secrets={}, managed={}) for n in range(number)]
    return provider, [resource.address for source in sources for resource in provider.workshop(source)]


@pytest.mark.parametrize("most", [1, 3, 7])
def test_what_a_query_leaves_out_is_asked_again(bench: Bench, most: int) -> None:
    provider, addresses = many(bench, 10)
    bench.github.state.settings.graphql_most_repositories = most
    assert set(provider.read(addresses)) == set(addresses)


def test_a_repository_that_cannot_be_read_is_named_and_takes_few_requests(bench: Bench) -> None:
    provider, addresses = many(bench, 25)
    bench.github.state.settings.graphql_broken.add("example-org/image-7")
    with pytest.raises(TryAgain, match=r"does not answer for example-org/image-7: [^;]*$"):
        provider.read(addresses)
    assert bench.github.loopback.count("POST", "/graphql") == 2


def test_a_second_list_of_secrets_costs_nothing_and_no_secret_is_kept(bench: Bench) -> None:
    bench.make()
    bench.changes()
    bench.changes()
    listed = [record.status for record in bench.github.loopback.records if record.path.endswith("/secrets")]
    assert listed[-2:] == [200, 304] or listed[-2:] == [304, 304]
    (kept,) = (bench.folder / "cache").iterdir()
    assert "PUSH_PASSWORD" in kept.read_text()
    assert "canary-password" not in kept.read_text()


@pytest.mark.parametrize("spoilt", ["", "[]", "{", '{"example-org/image": 1}', '{"example-org/image": {"etag": "x"}}'])
def test_a_spoilt_cache_is_as_good_as_none(bench: Bench, spoilt: str) -> None:
    bench.make()
    bench.changes()
    next((bench.folder / "cache").iterdir()).write_text(spoilt)
    assert bench.changes() == []


def test_a_secret_that_changed_is_seen_through_the_cache(bench: Bench) -> None:
    bench.make()
    assert bench.changes() == []
    bench.github.state.clock.advance(5)
    now = bench.github.state.clock.now()
    bench.github.state.repository(IMAGE).secrets["PUSH_PASSWORD"] = StoredSecret("PUSH_PASSWORD", "x", now, now)
    assert bench.make() == ["secret"]


def test_files_anywhere_are_read_as_the_plan_wants_them_or_as_they_were_written(bench: Bench) -> None:
    elsewhere = replace(SOURCE, managed=ids({BUILD: PUSHED, ".dockerignore": b"data\n"}))
    bench.make(elsewhere)
    (files,) = (address for address in bench.wanted if address.kind == "files")
    wanted = bench.wanted.pop(files)
    assert bench.provider().read([files]) == {files: wanted}, "by the receipt"
    del bench.receipts[files]
    bench.wanted[files] = wanted
    assert bench.provider().read([files]) == {files: wanted}, "by the plan"


def test_a_file_that_leaves_the_managed_ones_is_left_alone(bench: Bench) -> None:
    bench.make()
    assert bench.changes(replace(SOURCE, managed=ids({BUILD: PUSHED}))) == []
    assert TEST in bench.files()


# --- making


def test_everything_is_made_in_order_and_then_there_is_nothing_to_do(bench: Bench) -> None:
    assert bench.make() == ["repository", "secret", "files"]
    assert bench.changes() == []
    assert bench.files() == {**SEED, BUILD: PUSHED, TEST: TESTED}
    made = bench.github.state.repository(IMAGE)
    assert (made.description, made.visibility, made.topics) == ("An image", "public", ("fleet-ours",))
    assert made.secrets["PUSH_PASSWORD"].value == "canary-password"


def test_an_empty_repository_gets_its_first_content(bench: Bench) -> None:
    bench.github.state.create_repository(IMAGE)
    bench.make()
    assert bench.files() == {**SEED, BUILD: PUSHED, TEST: TESTED}


def test_what_somebody_has_begun_is_not_seeded(bench: Bench) -> None:
    bench.github.state.create_repository(IMAGE, {"notes.txt": "mine"})
    bench.make()
    assert set(bench.files()) == {"notes.txt", BUILD, TEST}


def test_a_deleted_seed_file_stays_deleted(bench: Bench) -> None:
    bench.make()
    bench.github.commit(IMAGE, {"environment.yml": None})
    assert bench.make(replace(SOURCE, description="Another")) == ["repository"]
    assert "environment.yml" not in bench.files()


def test_a_template_is_waited_for(bench: Bench) -> None:
    bench.github.state.settings.generate_lag = Lag(requests=5)
    bench.make(GENERATED)
    assert bench.files() == {"environment.yml": b"dependencies: []\n", BUILD: PUSHED, TEST: TESTED}
    assert bench.changes(GENERATED) == []


def test_a_template_that_never_arrives_is_one_sentence_and_goes_on_when_it_does(bench: Bench) -> None:
    bench.github.state.settings.generate_lag = Lag(requests=30)
    with pytest.raises(TryAgain, match=f"{IMAGE} is still being generated from {TEMPLATE}"):
        bench.make(GENERATED)
    assert bench.github.loopback.count("POST", ".*/generate") == 1
    bench.make(GENERATED)
    assert bench.github.loopback.count("POST", ".*/generate") == 1
    assert bench.changes(GENERATED) == []


class Meddler:
    """Somebody who commits each time when fleet is about to."""

    def __init__(self, bench: Bench, service: Service, times: int) -> None:
        self.bench, self.service, self.left = bench, service, times

    def handle(self, request: Request) -> Response:
        if b"createCommitOnBranch" in request.body and self.left:
            self.left -= 1
            self.bench.github.commit(IMAGE, {"notes.txt": f"{self.left}\n"})
        return self.service.handle(request)


@pytest.mark.parametrize("times", [1, 4])
def test_a_branch_that_moves_between_read_and_commit_is_read_again(bench: Bench, times: int) -> None:
    bench.make()
    loopback = bench.github.loopback
    loopback.service = Meddler(bench, loopback.service, times)
    assert bench.make(CHANGED) == ["files"]
    assert bench.files() == {**SEED, BUILD: PUSHED + b"# more\n", TEST: TESTED, "notes.txt": b"0\n"}


def test_a_commit_before_the_first_content_keeps_it_from_being_seeded(bench: Bench) -> None:
    loopback = bench.github.loopback
    loopback.service = Meddler(bench, loopback.service, 1)
    bench.make()
    assert set(bench.files()) == {"README.md", "notes.txt", BUILD, TEST}


def test_a_branch_that_never_stands_still_is_given_up(bench: Bench) -> None:
    bench.make()
    loopback = bench.github.loopback
    loopback.service = Meddler(bench, loopback.service, 100)
    with pytest.raises(ProviderError, match="its branch moved each of the 5 times"):
        bench.make(CHANGED)


def test_a_source_may_live_with_a_user(bench: Bench) -> None:
    source: SourceRepository = replace(SOURCE, repository="ada/image")
    assert bench.make(source) == ["repository", "secret", "files"]
    assert bench.changes(source) == []


def test_limits_in_the_middle_of_many_creations_cost_the_time_that_they_must() -> None:
    made = create(12, Limits(content_per_minute=10, content_per_hour=35))
    assert made.writes == 12 * 5
    assert made.refused > 0
    assert made.runs > 1, "an hour's limit ends a run, and another goes on"
    assert made.seconds <= 1.15 * made.bound


def test_a_token_that_may_not_see_contents_is_told_once_with_its_right(bench: Bench) -> None:
    _, addresses = many(bench, 25)
    for held in bench.github.state.repositories.values():
        held.visibility = "private"
    bench.login("ada", "administration")
    bench.wanted[Address("github", "files", "example-org/image-0")] = ManagedFiles(files=dict(SOURCE.managed))
    provider = bench.provider()
    with pytest.raises(ProviderError, match=r"the token needs: contents=read; .*; and 20 more$"):
        provider.read([*addresses, Address("github", "files", "example-org/image-0")])
    assert bench.github.loopback.count("POST", "/graphql") == 1


def test_a_saved_plan_finds_its_files_done_without_any_memory() -> None:
    with rig_of(TemplatedSubject) as rig:
        subject = rig.subject
        assert isinstance(subject, TemplatedSubject)
        rig.clock = SandboxClock(subject.github)
        rig.wants("image")
        saved = rig.plan()
        rig.apply_well(saved)
        shutil.rmtree(rig.folder / ".fleet")
        writes = rig.writes()
        ended = rig.apply(saved)
        files = [result for result in ended.results if "files" in result.group.key]
        assert [result.status for result in files] == [Status.FOUND]
        assert rig.writes() == writes
