"""Every right that fleet needs of Google: what its lack says, and what of it is known before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from fleet.errors import ProviderError, TryAgain
from fleet.model import Change, Resource
from fleet.provider import ImageReference, RegistryImage
from fleet.sandbox.google import FLEETS_PERMISSIONS
from fleet.sandbox.http import Fault, Response
from tests.google_cloud import CLIMATE, PLACES, Place, Sandbox, in_a_sentence, no_reveal, sandbox

AR = "artifactregistry.repositories"


@pytest.fixture
def google() -> Iterator[Sandbox]:
    with sandbox() as served:
        yield served


@pytest.fixture(params=[*PLACES])
def place(google: Sandbox, request: pytest.FixtureRequest) -> Place:
    return Place(google, request.param)


def _nothing(place: Place) -> None:
    """Nothing stands yet."""


def _make(place: Place) -> None:
    place.made()


def _make_account(place: Place) -> None:
    place.made(push="key")


def _delete_the_pool(place: Place) -> None:
    place.made()
    pool = place.state.pools["fleet"]
    pool["state"] = pool["providers"]["gh-example-org"]["state"] = "DELETED"


def _delete_the_provider(place: Place) -> None:
    place.made()
    place.state.pools["fleet"]["providers"]["gh-example-org"]["state"] = "DELETED"


def _change_the_account(place: Place) -> None:
    place.made(push="key")
    (account,) = place.state.accounts.values()
    account.disabled, account.description = True, "made by hand"


def _change_the_repository(place: Place) -> None:
    place.stands(labels={"fleet": "ours"}, description="Changed by hand.")


def _read_many_accounts(place: Place) -> None:
    ours = place.ours(push="key")
    images = [RegistryImage("k", f"image-{number}") for number in range(4)]
    ours.read([resource.address for image in images for resource in ours.home(image).resources])


def _list_tags(place: Place) -> None:
    ours = place.ours()
    list(ours.tags(ours.home(CLIMATE).name))


def _forget_the_account(place: Place) -> None:
    ours = place.ours(push="key")
    account = ours.home(CLIMATE).resources[1]
    ours.apply([Change(account.address, account.spec, None, removal="forget")], no_reveal)


def _issue_keys(place: Place) -> None:
    ours = place.ours(push="key")
    for _ in range(3):
        ours.issue(ours.home(CLIMATE).resources[1].address, None)


Step = Callable[[Place], None]

CALLS: Mapping[str, tuple[Step, Step]] = {
    f"{AR}.list": (_nothing, _make),
    f"{AR}.create": (_nothing, _make),
    f"{AR}.get": (_nothing, _make),
    f"{AR}.update": (_change_the_repository, _make),
    f"{AR}.getIamPolicy": (_nothing, _make),
    f"{AR}.setIamPolicy": (_nothing, _make),
    "artifactregistry.dockerimages.list": (_make, _list_tags),
    "iam.workloadIdentityPools.get": (_nothing, _make),
    "iam.workloadIdentityPools.create": (_nothing, _make),
    "iam.workloadIdentityPools.undelete": (_delete_the_pool, _make),
    "iam.workloadIdentityPoolProviders.get": (_nothing, _make),
    "iam.workloadIdentityPoolProviders.create": (_nothing, _make),
    "iam.workloadIdentityPoolProviders.undelete": (_delete_the_provider, _make),
    "iam.serviceAccounts.get": (_nothing, _make_account),
    "iam.serviceAccounts.list": (_nothing, _read_many_accounts),
    "iam.serviceAccounts.create": (_nothing, _make_account),
    "iam.serviceAccounts.enable": (_change_the_account, _make_account),
    "iam.serviceAccounts.update": (_change_the_account, _make_account),
    "iam.serviceAccounts.delete": (_make_account, _forget_the_account),
    "iam.serviceAccountKeys.list": (_make_account, _issue_keys),
    "iam.serviceAccountKeys.create": (_make_account, _issue_keys),
    "iam.serviceAccountKeys.delete": (_make_account, _issue_keys),
}
"""For each right: how the world comes to be, and what fleet does then that takes the right."""

PULLING = f"{AR}.downloadArtifacts"
"""What docker's protocol asks for, which names no right."""

NEVER_CHANGED = ("gcr", f"{AR}.update")
"""The repository behind a host is everybody's."""


def test_each_right_that_fleet_is_given_is_one_that_it_uses() -> None:
    assert CALLS.keys() | {PULLING} == FLEETS_PERMISSIONS


@pytest.mark.parametrize(
    ("place", "permission"),
    [(type_, one) for type_ in PLACES for one in CALLS if (type_, one) != NEVER_CHANGED],
    indirect=["place"],
)
def test_a_call_that_is_denied_names_its_permission(place: Place, permission: str) -> None:
    before, call = CALLS[permission]
    before(place)
    place.google.fleets.permissions = FLEETS_PERMISSIONS - {permission}
    words = f"needs the permission {permission} in the project example-project, if that is the right project"
    with pytest.raises(ProviderError, match=words) as caught:
        call(place)
    assert "docs/registries/gar.md has a role with all of them" in in_a_sentence(caught.value)


def test_an_image_that_may_not_be_read_is_said(place: Place) -> None:
    ours, home = place.made()
    place.google.fleets.permissions = FLEETS_PERMISSIONS - {PULLING}
    tag = ImageReference(home.name, "1")
    assert ours.resolve([tag]) == {}
    with pytest.raises(ProviderError, match=r"does not show .* it does not exist, or it is private") as caught:
        ours.platforms([tag])
    in_a_sentence(caught.value)


def creating(place: Place, *resources: Resource) -> Mapping[str, str]:
    """What preflight has against making these things, by their kind."""
    changes = [Change(resource.address, None, resource.spec) for resource in resources]
    return {address.kind: one.reason for address, one in place.ours().preflight(changes).items()}


def test_rights_that_are_lacking_are_known_before_anything_is_made(place: Place) -> None:
    resources = place.ours().home(CLIMATE).resources
    before = place.google.loopback.count()
    assert creating(place, *resources) == {}
    assert place.google.loopback.count() - before == 1
    place.google.fleets.permissions -= {f"{AR}.setIamPolicy", "iam.workloadIdentityPools.create"}
    said = creating(place, *resources)
    assert said.keys() == {"pool", "writer"}
    assert f"lacks the permission {AR}.setIamPolicy in the project example-project" in said["writer"]


def test_rights_in_what_stands_may_come_from_its_own_policy(place: Place) -> None:
    *_, writer = place.ours().home(CLIMATE).resources
    place.google.fleets.permissions = frozenset()
    before = place.google.loopback.count()
    assert creating(place, writer) == {}
    assert place.google.loopback.count() == before


def test_a_login_that_only_reads_may_plan(place: Place) -> None:
    readers = ("get", "list", "getIamPolicy", "downloadArtifacts")
    place.google.fleets.permissions = frozenset(one for one in FLEETS_PERMISSIONS if one.rpartition(".")[2] in readers)
    assert creating(place, *place.ours().home(CLIMATE).resources) == {}
    with pytest.raises(ProviderError, match="needs the permission"):
        place.made()
    assert (place.state.repositories, place.state.pools) == ({}, {})


def test_a_project_that_does_not_tell_what_may_be_done_is_no_objection(place: Place) -> None:
    place.state.disabled.add("cloudresourcemanager.googleapis.com")
    place.google.fleets.permissions -= {f"{AR}.setIamPolicy"}
    assert creating(place, *place.ours().home(CLIMATE).resources) == {}


@pytest.mark.parametrize("body", [[], {"permissions": "all"}], ids=str)
def test_an_answer_that_is_none_is_not_taken_for_a_lack_of_rights(place: Place, body: object) -> None:
    place.google.loopback.faults.append(Fault("status", path="/v3/.*", response=Response.of_json(body)))
    with pytest.raises(TryAgain, match="sent something that is not the answer"):
        creating(place, *place.ours().home(CLIMATE).resources)
