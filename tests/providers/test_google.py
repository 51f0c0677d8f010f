from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.artifactregistry_v1 import CleanupPolicy, Repository
from google.iam.v1.policy_pb2 import Policy

from fleet.errors import Conflict, ProviderError, TryAgain
from fleet.model import Address, Change, Resource
from fleet.oci import OciClient
from fleet.provider import Home, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.google import FLEETS_PERMISSIONS
from fleet.sandbox.google.artifacts import ArtifactsApi
from fleet.sandbox.google.cel import CelError, evaluate
from fleet.sandbox.http import Request, Response
from fleet.sandbox.token import new_key
from fleet.testing.running import rig_of
from fleet_google import ArtifactRegistry, ContainerRegistry
from fleet_google.settings import ArtifactRegistrySettings, ContainerRegistrySettings
from fleet_google.specs import HostRepository, Pool, PoolProvider, account_id, provider_id
from fleet_google.specs import Repository as Wanted
from tests.debian import programs
from tests.google_cloud import (
    CLIMATE,
    MEMBER,
    OTHER,
    PLACE,
    POOLS,
    Sandbox,
    apply,
    assert_at,
    context,
    no_reveal,
    patiently,
    sandbox,
)
from tests.images import Image, push
from tests.subjects.google import ISSUER, WRITER, GcrSubject


@pytest.fixture
def google() -> Iterator[Sandbox]:
    with sandbox() as served:
        yield served


def test_an_image_gets_a_repository_where_the_builds_of_its_default_branch_may_write(google: Sandbox) -> None:
    ours = google.gar(keep=5, immutable=True)
    home = ours.home(CLIMATE)
    assert home.name == f"{google.loopback.host}/example-project/climate-image/climate-image"
    apply(ours, home.resources)
    assert_at(ours, home.resources)
    standing = google.state.repositories[f"{PLACE}/climate-image"]
    assert (standing.format_.name, standing.description, dict(standing.labels)) == (
        "DOCKER",
        "For climate.",
        {"fleet": "ours"},
    )
    assert standing.cleanup_policies["fleet-keep"].most_recent_versions.keep_count == 5
    (binding,) = google.state.policies[f"{PLACE}/climate-image"].bindings
    assert (binding.role, [*binding.members]) == (WRITER, [MEMBER])
    provider = google.state.pools["fleet"]["providers"]["gh-example-org"]
    assert provider["attributeCondition"] == "assertion.repository_owner == 'example-org'"


def test_a_build_logs_in_with_its_own_identity_and_no_file_of_it_is_written(google: Sandbox) -> None:
    login = google.gar().home(CLIMATE).login
    assert login is not None
    (step,) = login.steps
    assert (login.username, login.password) == ("oauth2accesstoken", "${{ steps.google.outputs.auth_token }}")
    assert (dict(login.secrets), dict(login.permissions), step.action) == ({}, {"id-token": "write"}, "google-auth")
    assert dict(step.inputs) == {
        "project_id": "example-project",
        "workload_identity_provider": f"{POOLS}/fleet/providers/gh-example-org",
        "create_credentials_file": "false",
    }


def test_a_build_pushes_to_its_own_repository_and_to_no_neighbour(google: Sandbox) -> None:
    ours = google.gar()
    home, other = ours.home(CLIMATE), ours.home(OTHER)
    apply(ours, [*home.resources, *other.resources])
    login = google.build_login(home)
    assert google.may_push(home, login)
    assert not google.may_push(other, login)
    client = OciClient(google.loopback.url, context("ours", "").http())
    assert client.granted(other.name.partition("/")[2], login) == frozenset()


@pytest.mark.parametrize(
    "claims",
    [
        {"ref": "refs/heads/another"},
        {"ref": "refs/pull/7/merge"},
        {"source": "example-org/other-image"},
        {"source": "example-org/climate-image-too"},
    ],
    ids=str,
)
def test_another_branch_a_pull_request_or_another_repository_logs_in_and_may_not_push(
    google: Sandbox, claims: dict[str, Any]
) -> None:
    ours = google.gar()
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    assert not google.may_push(home, google.build_login(home, **claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"source": "somebody/climate-image"},
        {"iss": "https://issuer.example.org"},
        {"audience": "https://another.example.org"},
        {"exp": 1},
    ],
    ids=str,
)
def test_a_token_of_another_owner_issuer_audience_or_time_is_not_exchanged(
    google: Sandbox, claims: dict[str, Any]
) -> None:
    ours = google.gar()
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    with pytest.raises(KeyError, match="access_token"):
        google.build_login(home, **claims)


def test_a_token_that_somebody_else_signed_is_not_exchanged(google: Sandbox) -> None:
    ours = google.gar()
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    google.state.issuers[ISSUER] = new_key().public_key()
    with pytest.raises(KeyError, match="access_token"):
        google.build_login(home)


def test_a_skopeo_with_the_exchanged_token_pushes_here_and_nowhere_else(google: Sandbox, tmp_path: Path) -> None:
    ours = google.gar()
    home, other = ours.home(CLIMATE), ours.home(OTHER)
    apply(ours, [*home.resources, *other.resources])
    login, source = google.build_login(home), Image().lay_out(tmp_path / "layout")

    def copy(name: str) -> int:
        credentials = f"--dest-creds={login.username}:{login.password.expose()}"
        options = ["--preserve-digests", "--dest-tls-verify=false"]
        return programs().skopeo("copy", *options, credentials, source, f"docker://{name}:1").returncode

    assert copy(home.name) == 0
    assert copy(other.name) != 0
    tag = ImageReference(home.name, "1")
    assert ours.resolve([tag, tag._replace(tag="2")]) == {tag: Image().digest}


def test_home_asks_nobody_and_says_what_is_missing(google: Sandbox) -> None:
    for name in ("Big", "a_b", "a.b", "9lives", "end-", "a" * 64):
        with pytest.raises(ValueError, match="lower-case letters, digits and hyphens"):
            google.gar().home(RegistryImage("key", name, source="example-org/x"))
    with pytest.raises(ValueError, match="give the image a `repository:`"):
        google.gar().home(RegistryImage("key", "name"))
    with pytest.raises(ValueError, match="too long together"):
        google.gar().home(RegistryImage("key", "name", source=f"example-org/{'x' * 100}"))
    with pytest.raises(ValueError, match="project_number"):
        google.gar(project_number=None).home(CLIMATE)
    assert google.loopback.count() == 0


def test_without_an_override_everything_is_googles_own() -> None:
    keys = {"type": "gar", "project": "p", "location": "us-west4", "push": {"username": "u", "password": {"env": "P"}}}
    provider = ArtifactRegistry("gar", ArtifactRegistrySettings.model_validate(keys), context("ours", ""))
    assert provider.home(CLIMATE).name == "us-west4-docker.pkg.dev/p/climate-image/climate-image"
    gcr = {"type": "gcr", "project": "p", "host": "eu.gcr.io"}
    registry = ContainerRegistry("gcr", ContainerRegistrySettings.model_validate(gcr), context("ours", ""))
    assert registry.home(RegistryImage("key", "name")) == Home("eu.gcr.io/p/name")


def test_who_else_may_do_something_stays_and_so_do_conditions(google: Sandbox) -> None:
    ours = google.gar()
    home = ours.home(CLIMATE)
    apply(ours, home.resources[:-1])
    policy = Policy(etag=b"by hand", version=3)
    policy.bindings.add(role=WRITER, members=["user:ada@example.org"])
    policy.bindings.add(role="roles/artifactregistry.repoAdmin", members=[MEMBER, "group:ops@example.org"])
    conditional = policy.bindings.add(role=WRITER, members=["user:eve@example.org"])
    conditional.condition.expression = "request.time < timestamp('2030-01-01T00:00:00Z')"
    google.state.policies[f"{PLACE}/climate-image"] = policy
    apply(ours, home.resources)
    assert_at(ours, home.resources)
    after = google.state.policies[f"{PLACE}/climate-image"]
    held = {(one.role, one.HasField("condition")): [*one.members] for one in after.bindings}
    assert held == {
        (WRITER, False): ["user:ada@example.org", MEMBER],
        ("roles/artifactregistry.repoAdmin", False): ["group:ops@example.org"],
        (WRITER, True): ["user:eve@example.org"],
    }


class Racing:
    """Somebody else who writes a policy each time just before fleet does, for a number of times."""

    def __init__(self, google: Sandbox, times: int) -> None:
        self.judge, self.cloud, self.left = google.judge, google.cloud, times

    def handle(self, request: Request) -> Response:
        if request.path.endswith(":setIamPolicy") and self.left:
            self.left -= 1
            policy = self.cloud.artifacts.policy(f"{PLACE}/climate-image")
            policy.bindings.add(role="roles/artifactregistry.reader", members=[f"user:{self.left}@example.org"])
            policy.etag = b"raced %d" % self.left
            self.cloud.state.policies[f"{PLACE}/climate-image"] = policy
        return self.judge.handle(request)


def test_a_policy_that_somebody_else_changes_meanwhile_is_read_anew(google: Sandbox) -> None:
    ours = google.gar()
    google.loopback.service = Racing(google, 2)
    apply(ours, ours.home(CLIMATE).resources)
    members = [member for one in google.state.policies[f"{PLACE}/climate-image"].bindings for member in one.members]
    assert sorted(members) == sorted([MEMBER, "user:0@example.org", "user:1@example.org"])
    google.loopback.service = Racing(google, 100)
    with pytest.raises(Conflict, match="somebody else keeps changing"):
        apply(ours, ours.home(replace(CLIMATE, source="example-org/moved")).resources)


def test_what_google_takes_time_for_is_waited_for(google: Sandbox) -> None:
    google.state.slow = 2
    ours = google.gar()
    resources = ours.home(CLIMATE).resources
    assert patiently(ours, resources) >= 12
    assert_at(ours, resources)


def test_a_deleted_pool_and_provider_whose_names_stay_taken_are_brought_back(google: Sandbox) -> None:
    ours = google.gar()
    resources = ours.home(CLIMATE).resources
    apply(ours, resources)
    pool = google.state.pools["fleet"]
    pool["state"] = pool["providers"]["gh-example-org"]["state"] = "DELETED"
    apply(ours, resources)
    assert_at(ours, resources)


@pytest.mark.parametrize("state", ["ACTIVE", "DELETED"])
def test_a_provider_that_somebody_sets_otherwise_meanwhile_is_refused_and_left_alone(
    google: Sandbox, state: str
) -> None:
    ours = google.gar()
    pool, provider, *_ = ours.home(CLIMATE).resources
    apply(ours, [pool, provider])
    standing = google.state.pools["fleet"]["providers"]["gh-example-org"]
    standing |= {"state": state, "attributeCondition": "assertion.actor == 'eve'"}
    before = dict(standing)
    with pytest.raises(ProviderError, match="is there already, perhaps deleted, and is not as fleet needs it"):
        ours.apply([Change(provider.address, None, provider.spec)], no_reveal)
    assert standing == before


def test_a_pool_that_is_still_being_made_is_waited_for(google: Sandbox) -> None:
    ours = google.gar()
    pool = ours.home(CLIMATE).resources[0]
    apply(ours, [pool])
    google.state.hidden[google.state.pools["fleet"]["name"]] = 1
    with pytest.raises(TryAgain, match="about to make the workload identity pool") as caught:
        ours.apply([Change(pool.address, None, pool.spec)], no_reveal)
    assert caught.value.after == 4


def test_a_pool_or_provider_that_is_set_otherwise_is_left_alone(google: Sandbox) -> None:
    ours = google.gar()
    pool, provider, *_ = ours.home(CLIMATE).resources
    assert provider.spec.objection(None) is None
    assert provider.spec.objection(provider.spec) is None
    odd = PoolProvider(condition="assertion.repository_owner == 'somebody'")
    assert "not as fleet needs it" in (provider.spec.objection(odd) or ("",))[0]
    assert "disabled" in (pool.spec.objection(Pool(disabled=True)) or ("",))[0]
    google.state.pools["fleet"] = {"name": f"{POOLS}/fleet", "state": "ACTIVE", "disabled": True, "providers": {}}
    assert ours.read([pool.address]) == {pool.address: Pool(disabled=True)}


def test_other_labels_and_cleanup_policies_stay(google: Sandbox) -> None:
    ours = google.gar(keep=3)
    resources = ours.home(CLIMATE).resources
    mine = CleanupPolicy(id="mine", action="DELETE", condition={"tag_state": "UNTAGGED"})
    google.state.repositories[f"{PLACE}/climate-image"] = Repository(
        name=f"{PLACE}/climate-image",
        format_="DOCKER",
        labels={"team": "climate"},
        cleanup_policies={"mine": mine, "fleet-delete": {"id": "fleet-delete", "action": "DELETE"}},
        cleanup_policy_dry_run=True,
    )
    repository = resources[2]
    assert ours.read([repository.address]) == {repository.address: Wanted(keep=0)}
    apply(ours, resources)
    assert_at(ours, resources)
    standing = google.state.repositories[f"{PLACE}/climate-image"]
    assert dict(standing.labels) == {"team": "climate", "fleet": "ours"}
    assert sorted(standing.cleanup_policies) == ["fleet-delete", "fleet-keep", "mine"]
    assert not standing.cleanup_policy_dry_run


def test_a_tag_of_an_immutable_repository_is_written_once(google: Sandbox) -> None:
    ours = google.gar(immutable=True)
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    login = google.build_login(home)
    path = home.name.partition("/")[2]
    grant = [{"type": "repository", "name": path, "actions": ["pull", "push"]}]
    headers = {"authorization": f"Bearer {google.cloud.tokens.sign(login.username, grant)}"}
    push(f"{google.loopback.url}/v2/{path}", Image(), "1", headers=headers)
    assert google.judge.handle(Request("PUT", f"/v2/{path}/manifests/1", "", {}, headers, b"{}")).status == 400


def test_repositories_are_listed_page_by_page(google: Sandbox) -> None:
    google.cloud.artifacts = ArtifactsApi(google.state, page=2)
    ours = google.gar()
    homes = [ours.home(RegistryImage(f"k{n}", f"image-{n}", source=f"example-org/image-{n}")) for n in range(5)]
    resources = [resource for home in homes for resource in home.resources]
    apply(ours, list({resource.address: resource for resource in resources}.values()))
    assert_at(ours, resources)


@pytest.mark.parametrize("host", [None, "gcr.io"])
def test_tags_are_listed_with_digest_and_date_newest_first(google: Sandbox, host: str | None) -> None:
    google.cloud.host, google.cloud.location = host, "us" if host else "us-central1"
    ours = google.gcr(shared=True) if host else google.gar()
    home, other = ours.home(RegistryImage("a", "a", source="example-org/a")), ours.home(OTHER)
    apply(ours, [*home.resources, *other.resources])
    digests = {}
    for tag in ("old", "new"):
        path = home.name.partition("/")[2]
        grant = [{"type": "repository", "name": path, "actions": ["pull", "push"]}]
        headers = {"authorization": f"Bearer {google.cloud.tokens.sign('', grant)}"}
        digests[tag] = push(f"{google.loopback.url}/v2/{path}", Image(labels={"tag": tag}), tag, headers=headers)
    google.cloud.artifacts.page = 1
    before = google.loopback.count()
    assert next(ours.tags(home.name)).name == "new"
    assert google.loopback.count() - before == 1
    found = list(ours.tags(home.name))
    assert [(tag.name, tag.digest) for tag in found] == [("new", digests["new"]), ("old", digests["old"])]
    assert found[0].date > found[1].date
    pinned = ImageReference(home.name, None, digests["new"])
    assert dict(ours.platforms([pinned])) == {pinned: ("linux/amd64",)}
    assert list(ours.tags(other.name)) == []
    assert list(google.gar().tags(f"{google.loopback.host}/example-project/nowhere/image")) == []
    with pytest.raises(ProviderError, match="lies in another project"):
        list(ours.tags(f"{google.loopback.host}/another/a/a"))


class Unordered:
    """A Google that does not know of an order."""

    def __init__(self, google: Sandbox) -> None:
        self.judge = google.judge

    def handle(self, request: Request) -> Response:
        query = {name: values for name, values in request.query.items() if name != "orderBy"}
        return self.judge.handle(replace(request, query=query))


def test_tags_in_another_order_than_was_asked_for_are_not_believed(google: Sandbox) -> None:
    ours = google.gar()
    home = ours.home(CLIMATE)
    apply(ours, home.resources)
    path, moment = home.name.partition("/")[2], datetime(2026, 1, 30, tzinfo=UTC)
    digests = [f"sha256:{number:064x}" for number in range(3)]
    google.cloud.registry.repositories[path] = {"tags": {}, "manifests": dict.fromkeys(digests, ""), "blobs": []}
    google.state.uploads |= {(path, digest): moment + n * timedelta(days=1) for n, digest in enumerate(digests)}
    assert list(ours.tags(home.name)) == []
    google.loopback.service = Unordered(google)
    with pytest.raises(ProviderError, match="does not list the images of climate-image newest first, as asked"):
        list(ours.tags(home.name))


@pytest.mark.parametrize("order", ["colour desc", "upload_time down", "upload_time desc,name"])
def test_the_sandbox_refuses_an_order_that_google_does_not_know(google: Sandbox, order: str) -> None:
    google.state.repositories[f"{PLACE}/x"] = Repository(name=f"{PLACE}/x", format_="DOCKER")
    path = f"/v1/{PLACE}/x/dockerImages"
    answer = google.judge.handle(Request("GET", path, path, {"orderBy": [order]}, BEARER, b""))
    assert json.loads(answer.body)["error"]["status"] == "INVALID_ARGUMENT"


def test_fleet_logs_in_with_the_key_of_a_service_account(google: Sandbox) -> None:
    create = Request(
        "POST", "/v1/projects/example-project/serviceAccounts", "", {}, BEARER, b'{"accountId":"fleet-ci"}'
    )
    account = json.loads(google.judge.handle(create).body)
    host = {"host": google.loopback.host, **BEARER}
    made = google.judge.handle(Request("POST", f"/v1/{account['name']}/keys", "", {}, host, b"{}"))
    shown = base64.b64decode(json.loads(made.body)["privateKeyData"]).decode()
    ours = google.gar(secret=shown, auth={"key": {"env": "KEY"}})
    for address, permission in (("repository:us-central1/x", "registry.repositories.list"), ("pool:x", "Pools.get")):
        with pytest.raises(ProviderError, match=permission.replace(".", r"\.")):
            ours.read([Address.parse(f"gar:{address}")])
    assert google.loopback.count("POST", "/token") == 1
    with pytest.raises(ProviderError, match="is not the key of a service account"):
        google.gar(secret="{}", auth={"key": {"env": "KEY"}}).read([Address("gar", "pool", "fleet")])


BEARER = {"authorization": "Bearer fleets-token"}


def test_builds_push_to_a_gcr_host_only_where_fleet_yaml_says_in_words_that_it_is_shared(google: Sandbox) -> None:
    google.cloud.host, google.cloud.location = "gcr.io", "us"
    with pytest.raises(ValueError, match="say `shared: true`"):
        google.gcr().home(CLIMATE)
    ours = google.gcr(shared=True)
    home = ours.home(CLIMATE)
    assert "may push to every image" in home.notes[0]
    assert "type: gar" in home.notes[0]
    apply(ours, [*home.resources, *ours.home(OTHER).resources])
    assert_at(ours, home.resources)
    assert home.resources[2] == Resource(Address("gcr", "repository", "us/gcr.io"), HostRepository())
    assert google.may_push(home, google.build_login(home))
    assert google.may_push(ours.home(OTHER), google.build_login(home))


@pytest.mark.parametrize("push", ["keyless", "key"])
def test_the_rights_of_many_images_in_one_repository_are_given_and_taken_by_one_write_each(
    google: Sandbox, push: str
) -> None:
    ours = google.gar(repository="hubs", shared=True, push=push)
    images = [RegistryImage(f"k{n}", f"image-{n}", source=f"example-org/image-{n}") for n in range(5)]
    resources = {one.address: one for image in images for one in ours.home(image).resources}
    rights = [one for one in resources.values() if one.address.kind in ("writer", "account")]
    apply(ours, [one for one in resources.values() if one not in rights])
    ours.apply([Change(one.address, None, one.spec) for one in rights], no_reveal)
    assert_at(ours, [*resources.values()])
    assert google.loopback.count("POST", ".*:setIamPolicy") == 1
    ours.apply([Change(one.address, one.spec, None, removal="forget") for one in rights], no_reveal)
    assert google.loopback.count("POST", ".*:setIamPolicy") == 2
    assert google.state.policies[f"{PLACE}/hubs"].bindings == []
    assert google.state.accounts == {}


def test_images_share_a_repository_only_in_words_and_with_a_warning(google: Sandbox) -> None:
    with pytest.raises(ValueError, match="say shared: true"):
        google.gar(repository="hubs")
    ours = google.gar(repository="hubs", shared=True)
    home, other = ours.home(CLIMATE), ours.home(OTHER)
    assert home.resources[2] == other.resources[2]
    assert "climate may push to every image" in home.notes[0]
    apply(ours, [*home.resources, *other.resources])
    assert_at(ours, [*home.resources, *other.resources])
    assert google.gar().home(CLIMATE).notes == ()


def test_names_are_made_to_fit_and_stay_apart() -> None:
    assert provider_id("Example-Org") == "gh-example-org"
    long = "a-very-long-name-of-an-organisation-"
    assert provider_id(f"{long}one") != provider_id(f"{long}two")
    assert len(provider_id(f"{long}one")) <= 32
    assert account_id("a.b", "eu/a") != account_id("a_b", "eu/a")
    assert len(account_id(long, "eu/a")) <= 30


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("assertion.a == 'x && y'", True),
        ('assertion.a != "x" && !(assertion.b in ["u", "w"])', True),
        ("assertion.b == 'w' || assertion.a.startsWith('x ')", True),
        ('assertion.a + "@" + assertion.b', "x && y@v"),
    ],
)
def test_the_sandbox_evaluates_conditions(text: str, value: object) -> None:
    assert evaluate(text, {"assertion": {"a": "x && y", "b": "v"}}) == value


@pytest.mark.parametrize(
    "text", ["assertion.missing", "assertion.a.matches('x')", "assertion.a ==", "__import__('os')"]
)
def test_the_sandbox_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(CelError):
        evaluate(text, {"assertion": {"a": "x"}})


def test_the_role_in_the_docs_is_what_fleet_needs() -> None:
    text = (Path(__file__).parents[2] / "docs/registries/gar.md").read_text()
    role = yaml.safe_load(text.split("# fleet-role.yaml\n")[1].split("```")[0])
    assert sorted(role["includedPermissions"]) == sorted(FLEETS_PERMISSIONS)


def test_naming_the_provider_in_fleet_yaml_does_not_import_google() -> None:
    script = "import sys; from fleet import plugins; plugins.load('gar'); print('google.auth' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_plan_says_that_rights_are_shared_and_holds_what_images_share_once() -> None:
    with rig_of(GcrSubject) as rig:
        rig.wants("neighbour", "image")
        plan = rig.plan()
        assert [change.address.kind for change in plan.changes] == [
            "pool",
            "provider",
            "repository",
            "writer",
            "writer",
        ]
        assert [note for note in plan.told.notes if "the builds of image may push to every image" in note]
        assert plan.told.resources == 5
        rig.apply_well()
        assert rig.plan().told.notes == ()
