from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import Conflict, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.model import Address, Change, Resource, Secret, SecretRef
from fleet.oci import Denied
from fleet.provider import Context, Credentials, RegistryImage, Tag
from fleet.reference import ImageReference
from fleet.sandbox.http import Fault, Request, Response, Service
from fleet.sandbox.quay import RunningQuay, serve_quay
from fleet.sandbox.registry import Registry
from fleet.secrets import SecretSource
from fleet_quay import Quay
from fleet_quay.specs import QuaySettings, Repository, Robot, marked, unmarked
from tests.debian import programs
from tests.images import Image, push
from tests.subjects.common import publish

CLIMATE = RegistryImage("climate", "climate-image", description="For climate people.")
OURS = "managed by fleet ours"


@pytest.fixture
def quay() -> Iterator[RunningQuay]:
    with serve_quay() as running:
        yield running


def provider(quay: RunningQuay, token: str | None = None, fleet: str = "ours", **keys: Any) -> Quay:
    secrets = {"TOKEN": token or quay.token, "PASSWORD": "own-password"}

    def secret(source: SecretSource) -> Secret:
        return Secret(secrets[source.env or ""])

    keys = {"namespace": "example", "url": quay.url, "auth": {"token": {"env": "TOKEN"}}, **keys}
    settings = QuaySettings.model_validate({"type": "quay", **keys})
    return Quay("quay", settings, Context(fleet, Path(), secret, lambda: None))


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


def apply(quay: Quay, resources: Sequence[Resource]) -> None:
    """Bring about what differs, one change at a time as the core does."""
    found = quay.read([resource.address for resource in resources])
    for resource in resources:
        if found.get(resource.address) != resource.spec:
            change = Change(resource.address, found.get(resource.address), resource.spec)
            quay.apply([change], no_reveal)


def issued(quay: Quay, stored: str | None = None) -> Credentials:
    """A login of the climate image's robot, proved as it is before a code host stores it."""
    source = quay.home(CLIMATE).resources[1].address
    made = quay.issue(source, stored)
    quay.prove(source, made)
    assert made.values["username"].expose() == made.key
    return Credentials(made.key, made.values["password"])


def forget(quay: Quay, resources: Sequence[Resource]) -> None:
    found = quay.read([resource.address for resource in resources])
    for resource in reversed(resources):
        if resource.address in found:
            quay.apply([Change(resource.address, found[resource.address], None, removal="forget")], no_reveal)


def assert_at(quay: Quay, resources: Sequence[Resource]) -> None:
    assert dict(quay.read([resource.address for resource in resources])) == {
        resource.address: resource.spec for resource in resources
    }


def seed_repository(quay: RunningQuay, name: str, description: str = "", **keys: Any) -> dict[str, Any]:
    held = {"description": description, "is_public": True, "last_modified": 0, "permissions": {}, **keys}
    quay.state.repositories[f"example/{name}"] = held
    return held


def seed_robot(quay: RunningQuay, name: str, description: str = "") -> dict[str, Any]:
    held = {"description": description, "token": "T" * 64, "created": "", "unstructured_metadata": {}}
    quay.state.robots[f"example+{name}"] = held
    return held


def push_as_token(quay: RunningQuay, name: str, *tags: str) -> None:
    token = quay.quay.tokens.sign("", [{"type": "repository", "name": f"example/{name}", "actions": ["pull", "push"]}])
    push(f"{quay.url}/v2/example/{name}", Image(), *tags, headers={"authorization": f"Bearer {token}"})


def seed_tags(quay: RunningQuay, full: str, names: Sequence[str]) -> dict[str, Any]:
    """A public repository whose tags were pushed a second after each other."""
    digest = publish(quay.quay.tokens, f"{quay.registry_host}/{full}", "any")
    assert isinstance(quay.quay.registry, Registry)
    quay.quay.registry.repositories[full]["tags"] = dict.fromkeys(names, digest)
    quay.state.pushed[full] = {name: number for number, name in enumerate(names)}
    held = {"description": "", "is_public": True, "last_modified": 0, "permissions": {}}
    quay.state.repositories[full] = held
    quay.loopback.records.clear()
    return held


def test_an_image_gets_a_repository_and_a_robot_of_its_own(quay: RunningQuay) -> None:
    ours = provider(quay)
    home = ours.home(CLIMATE)
    assert home.name == f"{quay.registry_host}/example/climate-image"
    apply(ours, home.resources)
    assert_at(ours, home.resources)
    held = quay.state.repositories["example/climate-image"]
    assert held["description"] == f"For climate people.\n\n{OURS}"
    assert held["permissions"] == {"example+climate-image": "write"}
    assert quay.state.robots["example+climate-image"]["description"] == OURS


def test_tags_come_newest_first_by_pages_and_no_further_than_asked(quay: RunningQuay) -> None:
    names = [f"v{number:03}" for number in range(250)]
    seed_tags(quay, "example/climate-image", names)
    ours, name = provider(quay), f"{quay.registry_host}/example/climate-image"
    tags = ours.tags(name)
    assert next(tags) == Tag("v249", Image().digest, datetime.fromtimestamp(249, UTC))
    assert (quay.loopback.count("GET", "/api/.*"), quay.loopback.count()) == (1, 1)
    assert [tag.name for tag in tags] == names[-2::-1]
    assert quay.loopback.count() == 3
    assert list(ours.tags(f"{name}-nowhere")) == []


def test_a_tag_that_is_pushed_again_is_the_newest(quay: RunningQuay) -> None:
    seed_tags(quay, "example/climate-image", ["old", "new"])
    push_as_token(quay, "climate-image", "old")
    assert [tag.name for tag in provider(quay).tags(f"{quay.registry_host}/example/climate-image")] == ["old", "new"]


def test_tags_of_another_namespace_are_listed_where_they_are_public(quay: RunningQuay) -> None:
    quay.state.organization("upstream")
    seed_tags(quay, "upstream/open", ["1"])
    seed_tags(quay, "upstream/closed", ["1"])["is_public"] = False
    ours = provider(quay)
    assert [tag.name for tag in ours.tags(f"{quay.registry_host}/upstream/open")] == ["1"]
    for name in ("closed", "nowhere"):
        with pytest.raises(ProviderError, match=f"does not show upstream/{name} to this token"):
            list(ours.tags(f"{quay.registry_host}/upstream/{name}"))


@pytest.mark.parametrize("entry", [{}, {"name": "1", "manifest_digest": "sha256:0", "start_ts": "now"}, {"name": 1}])
def test_what_is_no_tag_is_not_listed_as_one(quay: RunningQuay, entry: dict[str, Any]) -> None:
    answer = Response.of_json({"tags": [entry]})
    quay.loopback.faults.append(Fault("status", path=".*/tag/", response=answer, times=None))
    with pytest.raises(ProviderError, match="something that is no tag"):
        list(provider(quay).tags(f"{quay.registry_host}/example/image"))


def test_home_asks_nobody_and_refuses_names_that_quay_will_not_take(quay: RunningQuay) -> None:
    ours = provider(quay)
    for name in ("x", "Big", "a--b", "a__b", "a/b", "end-", "a" * 256):
        with pytest.raises(ValueError, match="lower-case letters and digits"):
            ours.home(RegistryImage("key", name))
    with pytest.raises(ValueError, match="ends like fleet's own mark"):
        ours.home(RegistryImage("key", "fine", description=f"Mine.\n{OURS}"))
    assert quay.loopback.count() == 0


def test_a_skopeo_with_the_issued_credential_pushes_here_and_nowhere_else(quay: RunningQuay, tmp_path: Path) -> None:
    ours = provider(quay)
    for image in (CLIMATE, RegistryImage("other", "other-image")):
        apply(ours, ours.home(image).resources)
    login = issued(ours)
    source = Image().lay_out(tmp_path / "layout")

    def copy(name: str) -> int:
        credentials = f"--dest-creds={login.username}:{login.password.expose()}"
        target = f"docker://{quay.registry_host}/example/{name}:1"
        options = ["--preserve-digests", "--dest-tls-verify=false"]
        return programs().skopeo("copy", *options, credentials, source, target).returncode

    assert copy("climate-image") == 0
    assert copy("other-image") != 0
    tag = ImageReference(f"{quay.registry_host}/example/climate-image", "1")
    assert ours.resolve([tag, tag._replace(tag="2")]) == {tag: Image().digest}


def test_a_token_is_read_back_and_never_made_anew(quay: RunningQuay) -> None:
    ours = provider(quay)
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    held = quay.state.robots["example+climate-image"]["token"]
    for again in (ours, provider(quay)):
        assert issued(again).password.expose() == held
    assert quay.loopback.count("POST", ".*/regenerate") == 0


class Listening:
    """A service that keeps what was answered."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answered = b""

    def handle(self, request: Request) -> Response:
        response = self.service.handle(request)
        self.answered += response.body
        return response


def test_a_read_fetches_no_token(quay: RunningQuay) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    quay.loopback.service = listening = Listening(quay.loopback.service)
    assert_at(ours, resources)
    assert b"example+climate-image" in listening.answered
    assert quay.state.robots["example+climate-image"]["token"].encode() not in listening.answered


def test_a_read_costs_one_listing_of_each_and_one_request_per_image(quay: RunningQuay) -> None:
    ours = provider(quay)
    wanted = [resource for n in range(5) for resource in ours.home(RegistryImage(str(n), f"image-{n}")).resources]
    apply(ours, wanted)
    for number in range(150):
        seed_repository(quay, f"unwanted-{number}")
        seed_robot(quay, f"unwanted-{number}")
    quay.loopback.records.clear()
    assert_at(ours, wanted)
    assert quay.loopback.count() == 2 + 1 + 5  # pages of repositories, robots, roles


def test_the_world_moves_back_from_wherever_it_went(quay: RunningQuay) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    seed_repository(quay, "hidden", is_public=False, permissions={"example+climate-image": "admin"})
    quay.state.repositories["example/climate-image"].update(is_public=False, permissions={})
    team = {"members": ["example+climate-image"], "repositories": {"hidden": "write"}}
    quay.state.organizations["example"]["teams"]["builders"] = team
    drifted = ours.read([resources[1].address])[resources[1].address]
    full = "example/climate-image"
    assert drifted == Robot(owner="ours", repository=full, role=None, elsewhere=("hidden",), teams=("builders",))
    apply(ours, resources)
    assert_at(ours, resources)
    assert quay.state.repositories["example/hidden"]["permissions"] == {}
    assert team["members"] == []


@pytest.mark.parametrize("role", ["read", "admin"])
def test_a_changed_role_is_seen_and_set_back(quay: RunningQuay, role: str) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    quay.state.repositories["example/climate-image"]["permissions"]["example+climate-image"] = role
    found = ours.read([resources[1].address])[resources[1].address]
    assert isinstance(found, Robot)
    assert found.role == role
    apply(ours, resources)
    assert_at(ours, resources)


def test_a_deleted_robot_is_made_anew_with_another_token(quay: RunningQuay) -> None:
    ours = provider(quay)
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    old = quay.state.robots.pop("example+climate-image")["token"]
    quay.state.repositories["example/climate-image"]["permissions"].clear()
    with pytest.raises(ProviderError, match=r"robot example\+climate-image is gone from .*; plan and apply"):
        issued(ours)
    apply(ours, home.resources)
    assert issued(ours).password.expose() not in ("", old)


def test_what_is_equal_but_for_the_mark_is_adopted_without_a_new_token(quay: RunningQuay) -> None:
    seed_repository(quay, "climate-image", "For climate people.", permissions={"example+climate-image": "write"})
    seed_robot(quay, "climate-image", "made by hand")
    ours = provider(quay)
    home = ours.home(CLIMATE)
    found = ours.read([resource.address for resource in home.resources])
    changes = [Change(resource.address, found[resource.address], resource.spec) for resource in home.resources]
    assert [change.action for change in changes] == ["adopt", "adopt"]
    for change in changes:
        ours.apply([change], no_reveal)
    assert_at(ours, home.resources)
    assert quay.state.robots["example+climate-image"]["token"] == "T" * 64


def test_a_robot_of_somebody_else_with_other_rights_is_no_adoption(quay: RunningQuay) -> None:
    seed_repository(quay, "climate-image", OURS, permissions={"example+climate-image": "write"})
    seed_repository(quay, "hidden", permissions={"example+climate-image": "write"})
    seed_robot(quay, "climate-image", "made by hand")
    ours = provider(quay)
    address = ours.home(CLIMATE).resources[1].address
    found = ours.read([address])[address]
    assert found == Robot(repository="example/climate-image", elsewhere=("hidden",))


def test_what_another_fleet_owns_is_seen_and_never_written(quay: RunningQuay) -> None:
    theirs = "managed by fleet theirs"
    repository, robot = seed_repository(quay, "climate-image", theirs), seed_robot(quay, "climate-image", theirs)
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    found = ours.read([resource.address for resource in resources])
    assert [spec.owner for spec in found.values() if isinstance(spec, Repository | Robot)] == ["theirs", "theirs"]
    for resource in resources:
        with pytest.raises(ProviderError, match=r"belongs to the fleet theirs: take it out of that fleet's file"):
            ours.apply([Change(resource.address, found[resource.address], resource.spec)], no_reveal)
    forget(ours, resources)
    assert (repository["description"], robot["description"], repository["permissions"]) == (theirs, theirs, {})


def test_forgetting_takes_mark_and_credential_and_leaves_the_images(quay: RunningQuay) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    for _ in range(2):
        forget(ours, resources)
        assert quay.state.robots == {}
        held = quay.state.repositories["example/climate-image"]
        assert (held["description"], held["permissions"]) == ("For climate people.", {})


def test_forgetting_an_adopted_robot_takes_its_right_and_leaves_it(quay: RunningQuay) -> None:
    seed_robot(quay, "climate-image", "made by hand")
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    forget(ours, resources)
    assert quay.state.robots["example+climate-image"]["description"] == "made by hand"
    assert quay.state.repositories["example/climate-image"]["permissions"] == {}


def test_a_credential_that_reaches_a_neighbour_is_refused(quay: RunningQuay) -> None:
    ours = provider(quay)
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    seed_repository(quay, "a-public-one")
    seed_repository(quay, "hidden", is_public=False, permissions={"example+climate-image": "write"})
    with pytest.raises(ProviderError, match="grants it pull and push on example/hidden; look at the teams"):
        issued(provider(quay))


def test_a_credential_is_proved_before_it_leaves(quay: RunningQuay) -> None:
    ours = provider(quay)
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    quay.state.repositories["example/climate-image"]["permissions"] = {"example+climate-image": "read"}
    with pytest.raises(Denied, match=r"does not let example\+climate-image push to example/climate-image"):
        issued(provider(quay))


def test_an_own_login_needs_no_robot_and_is_proved(quay: RunningQuay) -> None:
    ours = provider(quay, push={"username": "example+builder", "password": {"env": "PASSWORD"}})
    home = ours.home(CLIMATE)
    assert [resource.address.kind for resource in home.resources] == ["repository"]
    apply(ours, home.resources)
    assert home.login is not None
    seed_robot(quay, "builder")["token"] = "own-password"
    with pytest.raises(Denied, match=r"does not let example\+builder push"):
        ours.reveal(*home.login.secrets.values())
    quay.state.repositories["example/climate-image"]["permissions"]["example+builder"] = "write"
    assert ours.reveal(*home.login.secrets.values()).expose() == "own-password"
    assert set(quay.state.robots) == {"example+builder"}


def test_a_wrong_namespace_is_named_at_plan_time(quay: RunningQuay) -> None:
    ours = provider(quay, namespace="exampel")
    for resource in ours.home(CLIMATE).resources:
        with pytest.raises(ProviderError, match="has no organisation exampel; check the `namespace`"):
            ours.read([resource.address])


@pytest.mark.parametrize(
    ("scopes", "sentence"),
    [
        (
            ("repo:create", "repo:admin"),
            "does not let this token list the robots of example: it needs the scopes .*org:admin",
        ),
        (("repo:admin", "org:admin"), "does not let this token make public repositories in example: .*repo:create"),
        (
            ("org:admin", "repo:create"),
            "does not let this token see who may push to example/climate-image: .*repo:admin",
        ),
    ],
)
def test_a_missing_scope_is_named(quay: RunningQuay, scopes: tuple[str, ...], sentence: str) -> None:
    seed_repository(quay, "neighbour")
    weak = provider(quay, quay.state.token("example", scopes=scopes))
    with pytest.raises(ProviderError, match=sentence):
        apply(weak, weak.home(CLIMATE).resources)
    assert quay.state.robots == {}
    assert set(quay.state.repositories) == {"example/neighbour"}


def test_another_organisation_is_told_from_one_that_is_not_there(quay: RunningQuay) -> None:
    quay.state.organization("others")
    ours = provider(quay, namespace="others")
    with pytest.raises(ProviderError, match="its user must be an administrator of others"):
        apply(ours, ours.home(CLIMATE).resources)


def test_a_wrong_token_and_one_that_dies_on_the_way(quay: RunningQuay) -> None:
    wrong = provider(quay, "canary-wrong-token")
    with pytest.raises(ProviderError, match="refuses the token of `auth`: it is wrong, expired or revoked") as refused:
        wrong.read([wrong.home(CLIMATE).resources[0].address])
    assert "canary" not in repr(refused.value)
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources[:1])
    quay.state.tokens[quay.token]["expired"] = True
    with pytest.raises(OutOfBudget, match=r"stopped working during the run; make a new one .* and run again"):
        ours.apply([Change(resources[1].address, None, resources[1].spec)], no_reveal)


def test_a_private_repository_over_the_subscription_is_explained(quay: RunningQuay) -> None:
    quay.state.organizations["example"]["private_limit"] = 0
    ours = provider(quay)
    private = RegistryImage("climate", "climate-image", visibility="private")
    with pytest.raises(ProviderError, match=r"its subscription's limit is reached; raise the limit, or write `visib"):
        apply(ours, ours.home(private).resources)
    assert quay.state.repositories == {}
    apply(ours, ours.home(CLIMATE).resources)
    with pytest.raises(ProviderError, match="its subscription's limit is reached"):
        apply(ours, ours.home(private).resources)


def test_a_mirror_is_not_pushed_to(quay: RunningQuay) -> None:
    seed_repository(quay, "climate-image", state="READ_ONLY")
    ours = provider(quay)
    with pytest.raises(ProviderError, match=r"is read-only in .*set its state to Normal"):
        apply(ours, ours.home(CLIMATE).resources)


def test_what_came_to_be_since_the_plan_is_taken_as_it_stands(quay: RunningQuay) -> None:
    ours = provider(quay)
    seed_repository(quay, "climate-image", is_public=False)
    seed_robot(quay, "climate-image", OURS)
    for resource in ours.home(CLIMATE).resources:
        ours.apply([Change(resource.address, None, resource.spec)], no_reveal)
    assert_at(ours, ours.home(CLIMATE).resources)
    assert quay.state.robots["example+climate-image"]["token"] == "T" * 64


def test_what_went_since_the_plan_is_made_anew(quay: RunningQuay) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    for resource in resources:
        ours.apply([Change(resource.address, resource.spec, resource.spec)], no_reveal)
    assert_at(ours, resources)


def test_a_robot_without_its_repository_is_told_so(quay: RunningQuay) -> None:
    ours = provider(quay)
    robot = ours.home(CLIMATE).resources[1]
    with pytest.raises(Conflict, match=r"the repository example/climate-image is gone from .*; run again"):
        ours.apply([Change(robot.address, None, robot.spec)], no_reveal)


def test_a_new_image_takes_seven_requests(quay: RunningQuay) -> None:
    ours = provider(quay)
    for image in (RegistryImage("first", "first"), CLIMATE):
        resources = ours.home(image).resources
        quay.loopback.records.clear()
        for resource in resources:
            ours.apply([Change(resource.address, None, resource.spec)], no_reveal)
    assert quay.loopback.count(path="/api/.*") == 3  # repository, robot, role
    assert quay.loopback.count(path="/v2/.*") == 4  # token, upload begun, cancelled, token for the neighbour
    assert sum(ours.cost(Change(resource.address, None, resource.spec)) for resource in resources) == 7


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_a_write_that_is_cut_off_is_finished_by_the_next_try(quay: RunningQuay, nth: int, when: Any) -> None:
    resources = provider(quay).home(CLIMATE).resources
    quay.loopback.faults.append(Fault("drop", "write", nth=nth, when=when))
    with pytest.raises(Unsure, match="may or may not have acted"):
        apply(provider(quay), resources)
    apply(provider(quay), resources)
    assert_at(provider(quay), resources)
    assert len(quay.state.robots) == len(quay.state.repositories) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", response=Response(429, headers={"retry-after": "3"})),
        Fault("status", response=Response(503)),
        Fault("drop"),
        Fault("truncate"),
        Fault("garbage"),
        Fault("hang", seconds=0.01),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.response.status}",
)
def test_passing_troubles_of_a_read_are_tried_again(quay: RunningQuay, fault: Fault) -> None:
    ours = provider(quay)
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    quay.loopback.faults.append(fault)
    with pytest.raises(TryAgain) as trouble:
        ours.read([resource.address for resource in resources])
    assert trouble.value.after == (3.0 if fault.response.status == 429 else None)
    assert_at(ours, resources)


def test_an_answer_that_is_no_quays_is_explained(quay: RunningQuay) -> None:
    ours = provider(quay)
    address = ours.home(CLIMATE).resources[0].address
    quay.loopback.faults.append(Fault("status", response=Response.of_json({"hello": "world"})))
    with pytest.raises(ProviderError, match="no list of repositories; is it a Quay"):
        ours.read([address])
    quay.loopback.faults.append(Fault("status", response=Response(302, headers={"location": "/signin"})))
    with pytest.raises(ProviderError, match="answers 302 when asked to list the repositories of example"):
        ours.read([address])


def test_private_images_are_resolved_with_the_token(quay: RunningQuay) -> None:
    ours = provider(quay)
    private = RegistryImage("climate", "climate-image", visibility="private")
    home = ours.home(private)
    apply(ours, home.resources)
    grant = {"type": "repository", "name": "example/climate-image", "actions": ["pull", "push"]}
    login = {"authorization": f"Bearer {quay.quay.tokens.sign('', [grant])}"}
    push(f"{quay.url}/v2/example/climate-image", Image(), "1", headers=login)
    assert ours.resolve([ImageReference(home.name, "1")]) == {ImageReference(home.name, "1"): Image().digest}


@pytest.mark.parametrize(
    ("text", "description", "owner"),
    [
        (marked("Mine.", "ours"), "Mine.", "ours"),
        (marked("", "ours"), "", "ours"),
        ("Mine.\r\n\r\nmanaged by fleet ours\r\n", "Mine.", "ours"),
        ("managed by fleet ours\nMine.", "managed by fleet ours\nMine.", None),
        ("Mine, managed by fleet ours", "Mine, managed by fleet ours", None),
        ("Managed by fleet ours", "Managed by fleet ours", None),
        ("managed by fleet two words", "managed by fleet two words", None),
        (None, "", None),
    ],
)
def test_only_the_whole_last_line_is_a_mark(text: str | None, description: str, owner: str | None) -> None:
    assert unmarked(text) == (description, owner)


def test_keyless_is_refused_by_name() -> None:
    keys = {"type": "quay", "namespace": "example", "auth": {"token": {"env": "TOKEN"}}, "push": "keyless"}
    with pytest.raises(ValueError, match="fleet has no keyless push for Quay"):
        QuaySettings.model_validate(keys)


def test_a_secret_that_is_not_there_is_refused(quay: RunningQuay) -> None:
    with pytest.raises(ProviderError, match="quay has no secret other at quay:robot:example"):
        provider(quay).reveal(SecretRef(source=Address("quay", "robot", "example+x"), field="other"))
