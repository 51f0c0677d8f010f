"""Service accounts and their keys: what they may do, how they replace each other, and that none is left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from google.cloud.iam_admin_v1 import ServiceAccount
from google.iam.v1.policy_pb2 import Policy

from fleet.errors import ProviderError, TryAgain, Unsure
from fleet.oci import LoginRefused
from fleet.provider import Change, Credentials, Home, ImageReference, Issued, RegistryImage
from fleet.sandbox.http import Fault, Request, Response
from fleet.testing.killing import killed_at_every_write, making
from fleet_google import ArtifactRegistry
from fleet_google.registry import GoogleRegistry
from fleet_google.specs import account_id
from tests.debian import programs
from tests.google_cloud import CLIMATE, OTHER, PLACE, Sandbox, apply, assert_at, no_reveal, patiently, sandbox
from tests.images import Image
from tests.subjects.github import GitHubSubject
from tests.subjects.google import WRITER, GarWithKeysSubject

PLACED = "us-central1/climate-image"
EMAIL = "fleet-climate-image-959edffc@example-project.iam.gserviceaccount.com"


@pytest.fixture
def google() -> Iterator[Sandbox]:
    with sandbox() as served:
        yield served


def made(google: Sandbox) -> tuple[ArtifactRegistry, Home, Home]:
    """Two images with an account each."""
    ours = google.gar(push="key")
    home, other = ours.home(CLIMATE), ours.home(OTHER)
    apply(ours, [*home.resources, *other.resources])
    return ours, home, other


def issue(ours: GoogleRegistry, home: Home, stored: str | None = None) -> tuple[Issued, Credentials]:
    """A new key of an image's account, and what a build logs in with."""
    assert home.login is not None
    (ref,) = home.login.secrets.values()
    issued = ours.issue(ref.source, stored)
    return issued, Credentials(home.login.username, issued.values[ref.field])


def test_an_image_gets_an_account_that_may_write_to_its_repository(google: Sandbox) -> None:
    ours, home, other = made(google)
    assert_at(ours, [*home.resources, *other.resources])
    account = google.state.accounts[EMAIL]
    assert (account.email, account.description) == (EMAIL, "managed by fleet ours")
    (binding,) = google.state.policies[f"{PLACE}/climate-image"].bindings
    assert (binding.role, [*binding.members]) == (WRITER, [f"serviceAccount:{EMAIL}"])
    assert not google.state.keys
    assert home.login is not None
    assert (home.login.username, home.login.password) == ("_json_key_base64", "${{ secrets.DOCKER_PASSWORD }}")


def test_a_key_pushes_to_its_own_repository_and_to_no_neighbour(google: Sandbox) -> None:
    ours, home, other = made(google)
    issued, login = issue(ours, home)
    ours.prove(home.resources[1].address, issued)
    assert google.may_push(home, login)
    assert not google.may_push(other, login)
    assert login.password.expose() not in repr((issued, login, ours))


def test_a_skopeo_with_a_key_pushes_here_and_nowhere_else(google: Sandbox, tmp_path: Path) -> None:
    ours, home, other = made(google)
    _, login = issue(ours, home)
    source = Image().lay_out(tmp_path / "layout")

    def copy(name: str) -> int:
        credentials = f"--dest-creds={login.username}:{login.password.expose()}"
        options = ["--preserve-digests", "--dest-tls-verify=false"]
        return programs().skopeo("copy", *options, credentials, source, f"docker://{name}:1").returncode

    assert copy(home.name) == 0
    assert copy(other.name) != 0
    tag = ImageReference(home.name, "1")
    assert ours.resolve([tag]) == {tag: Image().digest}


def test_a_key_that_may_push_to_a_neighbour_is_not_handed_out(google: Sandbox) -> None:
    ours, home, _ = made(google)
    policy = google.state.policies[f"{PLACE}/other-image"]
    policy.bindings.add(role="roles/artifactregistry.repoAdmin", members=[f"serviceAccount:{EMAIL}"])
    issued, _ = issue(ours, home)
    with pytest.raises(ProviderError, match="may push to other-image too"):
        ours.prove(home.resources[1].address, issued)


def test_a_key_that_is_not_known_everywhere_yet_is_waited_for(google: Sandbox) -> None:
    ours, home, _ = made(google)
    issued, _ = issue(ours, home)
    held = google.state.policies.pop(f"{PLACE}/climate-image")
    with pytest.raises(TryAgain, match="cannot push yet") as caught:
        ours.prove(home.resources[1].address, issued)
    assert caught.value.after == 10
    google.state.policies[f"{PLACE}/climate-image"] = held
    ours.prove(home.resources[1].address, issued)


def test_an_account_that_is_not_known_everywhere_yet_is_waited_for(google: Sandbox) -> None:
    google.state.slow = 3
    ours = google.gar(push="key")
    resources = ours.home(CLIMATE).resources
    assert patiently(ours, resources) >= 10
    assert_at(ours, resources)


def test_a_build_with_the_old_key_goes_on_until_the_new_one_is_stored(google: Sandbox) -> None:
    ours, home, _ = made(google)
    account = home.resources[1].address
    old, with_old = issue(ours, home)
    new, with_new = issue(ours, home, stored=old.key)
    assert [credential.key for credential in ours.credentials(account)] == [old.key, new.key]
    assert google.may_push(home, with_old)
    assert google.may_push(home, with_new)
    ours.revoke(account, new.key)
    assert google.may_push(home, with_new)
    with pytest.raises(LoginRefused):
        google.may_push(home, with_old)


def test_keys_whose_answers_were_lost_make_room(google: Sandbox) -> None:
    ours, home, _ = made(google)
    stored, _ = issue(ours, home)
    google.loopback.faults.append(Fault("drop", "POST", ".*/keys", when="after", times=3))
    for _ in range(3):
        with pytest.raises(Unsure):
            issue(ours, home, stored=stored.key)
    issue(ours, home, stored=stored.key)
    standing = [credential.key for credential in ours.credentials(home.resources[1].address)]
    assert len(standing) == 2
    assert stored.key in standing


def test_an_organisation_that_forbids_keys_is_said_in_googles_words(google: Sandbox) -> None:
    ours, home, _ = made(google)
    error = {"code": 400, "message": "Key creation is not allowed on this service account.", "status": "x"}
    google.loopback.faults.append(Fault("status", "POST", ".*/keys", response=Response.of_json({"error": error}, 400)))
    with pytest.raises(ProviderError, match=r"make a key of .*: Key creation is not allowed"):
        issue(ours, home)


def test_many_accounts_are_listed_page_by_page(google: Sandbox) -> None:
    for number in range(150):
        email = f"other-{number:03}@example-project.iam.gserviceaccount.com"
        google.state.accounts[email] = ServiceAccount(email=email, name=f"projects/example-project/{email}")
    ours = google.gar(push="key")
    resources = [resource for n in range(5) for resource in ours.home(RegistryImage("k", f"image-{n}")).resources]
    apply(ours, resources)
    before = google.loopback.count(path=".*/serviceAccounts.*")
    assert_at(ours, resources)
    assert google.loopback.count(path=".*/serviceAccounts.*") - before == 2


def test_an_account_that_somebody_made_is_adopted_and_one_of_another_fleet_is_not(google: Sandbox) -> None:
    ours, home, _ = made(google)
    account = home.resources[1]
    standing = google.state.accounts[EMAIL]
    standing.description, standing.disabled = "made by hand", True
    assert ours.read([account.address])[account.address] != account.spec
    apply(ours, [account])
    assert_at(ours, [account])
    standing.description = "managed by fleet another"
    with pytest.raises(ProviderError, match="belongs to the fleet another"):
        ours.apply([Change(account.address, None, account.spec)], no_reveal)
    ours.apply([Change(account.address, account.spec, None, removal="forget")], no_reveal)
    assert EMAIL in google.state.accounts


def test_an_account_that_is_forgotten_leaves_no_key_and_no_right(google: Sandbox) -> None:
    ours, home, _ = made(google)
    issue(ours, home)
    account = home.resources[1]
    ours.apply([Change(account.address, account.spec, None, removal="forget")], no_reveal)
    assert EMAIL not in google.state.accounts
    assert not google.state.keys
    assert google.state.policies.get(f"{PLACE}/climate-image", Policy()).bindings == []


def test_accounts_have_names_that_google_takes() -> None:
    assert EMAIL.startswith(account_id("climate-image", PLACED))
    assert account_id("climate-image", "europe-west1/climate-image") != account_id("climate-image", PLACED)
    assert len(account_id("a" * 60, PLACED)) == 30
    assert account_id("a" * 60, PLACED) != account_id("a" * 61, PLACED)


def test_in_a_host_that_is_everybodys_a_key_pushes_to_all_of_it(google: Sandbox) -> None:
    google.cloud.host, google.cloud.location = "gcr.io", "us"
    ours = google.gcr(push="key", shared=True)
    home, other = ours.home(CLIMATE), ours.home(OTHER)
    apply(ours, [*home.resources, *other.resources])
    assert_at(ours, [*home.resources, *other.resources])
    issued, login = issue(ours, home)
    ours.prove(home.resources[1].address, issued)
    assert google.may_push(home, login)
    assert google.may_push(other, login)


class KeysOnGitHubSubject(GitHubSubject):
    """Images whose builds push with a key that GitHub stores; only what touches keys and secrets counts as a write."""

    environment: ClassVar[Mapping[str, str]] = GarWithKeysSubject.environment

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.google = GarWithKeysSubject(folder)

    def close(self) -> None:
        super().close()
        self.google.close()

    def handle(self, request: Request) -> Response:
        is_google = request.path.startswith(("/v1/", "/v2", "/v3/", "/token"))
        return (self.google.judge if is_google else self.github).handle(request)

    def writes(self, request: Request) -> bool:
        return super().writes(request) and ("/keys" in request.path or "/secrets/" in request.path)

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        registries = {"registry": {"type": "gar", **self.google.entry(url)}}
        return {**super().document(url, images), "registries": registries}

    def snapshot(self) -> object:
        with self.google.state.lock:
            accounts = self.google.state.accounts
            keys = {email: len([*self.google.state.keys_of(email)]) for email in sorted(accounts)}
            stored = {name: sorted(held.secrets) for name, held in self.state.repositories.items()}
            return keys, sorted(stored.items())


def test_killed_while_a_key_is_made_or_stored_one_key_is_left() -> None:
    assert killed_at_every_write(making, KeysOnGitHubSubject) >= 4
