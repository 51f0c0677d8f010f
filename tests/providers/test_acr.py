from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, OutOfBudget, ProviderError, TryAgain
from fleet.model import Address, Change, Resource, Secret, SecretRef
from fleet.oci import Denied, LoginRefused
from fleet.provider import Context, Credentials, ImageReference, Issued, OciClient, RegistryImage
from fleet.sandbox.acr import Acr as AcrService
from fleet.sandbox.azure import MAY_ASK, RIGHTS, AzureState, Client
from fleet.sandbox.http import Fault, Loopback, Response
from fleet.secrets import SecretSource
from fleet_acr import Acr
from fleet_acr.permissions import Grant, lacking
from fleet_acr.specs import AcrSettings, actions_on, owner_in, token_name
from tests.debian import programs
from tests.images import Image, push
from tests.subjects.acr import AUTHORITY, server_context

CLIMATE = RegistryImage("climate", "climate-image")
SOURCE = Address("acr", "token", "climate-image")
OWN_LOGIN = {"username": "builder", "password": {"env": "PUSH"}}


@dataclass
class Service:
    """Azure on loopback, with one application that may do all that fleet needs."""

    acr: AcrService
    loopback: Loopback

    @property
    def state(self) -> AzureState:
        return self.acr.state

    @property
    def client(self) -> Client:
        return self.state.clients["the-application"]

    def provider(self, fleet: str = "ours", secret: str = "s3cret", **keys: Any) -> Acr:
        """The provider as a run opens it."""
        auth = {"tenant": self.state.tenant, "client_id": "the-application", "authority": self.loopback.url}
        given = {
            "type": "acr",
            "registry": "example",
            "url": self.loopback.url,
            "manager": self.loopback.url,
            "subscription": self.state.subscription,
            "resource_group": "hubs",
            "auth": {**auth, "client_secret": {"env": "SECRET"}},
            **keys,
        }
        settings = AcrSettings.model_validate({key: value for key, value in given.items() if value is not None})

        def read(source: SecretSource) -> Secret:
            return Secret({"SECRET": secret, "PUSH": "own-password"}[source.env or ""])

        return Acr("acr", settings, Context(fleet, Path(), read, lambda: None))

    def publish(self, name: str, *tags: str) -> str:
        """Push an image behind fleet's back."""
        token = self.acr.tokens.sign("", [{"type": "repository", "name": name, "actions": ["pull", "push"]}])
        return push(f"{self.loopback.url}/v2/{name}", Image(), *tags, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("SSL_CERT_FILE", AUTHORITY)
    state = AzureState()
    state.clients["the-application"] = Client("s3cret")
    acr = AcrService(state)
    with Loopback(acr, tls=server_context()) as loopback:
        yield Service(acr, loopback)


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


def make(acr: Acr, *images: RegistryImage) -> Sequence[Resource]:
    resources = [resource for image in images for resource in acr.home(image).resources]
    for resource in resources:
        acr.apply([Change(resource.address, None, resource.spec)], no_reveal)
    return resources


def works(azure: Service, login: Credentials) -> bool:
    try:
        OciClient(azure.loopback.url, azure.provider().context.http()).prove_push("climate-image", login)
    except (Denied, LoginRefused):
        return False
    return True


def login_of(issued: Issued) -> Credentials:
    return Credentials(token_name("climate-image"), issued.values["password"])


def test_an_image_has_a_token_that_may_push_to_its_repository_and_nothing_else() -> None:
    keys = {"type": "acr", "registry": "Example", "namespace": "hubs", "subscription": "s", "resource_group": "g"}
    settings = AcrSettings.model_validate(keys)
    home = Acr("acr", settings, Context("ours", Path(), lambda _: Secret(""), lambda: None)).home(CLIMATE)
    assert home.name == "example.azurecr.io/hubs/climate-image"
    (token,) = home.resources
    assert token.address == Address("acr", "token", "hubs/climate-image")
    assert token.spec.model_dump()["actions"] == actions_on("hubs/climate-image")
    assert home.login is not None
    assert home.login.username == token_name("hubs/climate-image")
    assert home.login.password == "${{ secrets.ACR_PASSWORD }}"
    assert home.login.secrets == {"ACR_PASSWORD": SecretRef(source=token.address, field="password")}


def test_what_cannot_be_is_a_sentence_before_any_request(azure: Service) -> None:
    with pytest.raises(ValueError, match="'Big' cannot be the name of an image"):
        azure.provider().home(RegistryImage("key", "Big"))
    with pytest.raises(ValueError, match="must know its `subscription` and `resource_group`"):
        azure.provider(subscription=None).home(CLIMATE)
    with pytest.raises(ValueError, match="no keyless push for Azure"):
        azure.provider(push="keyless")
    with pytest.raises(ValueError, match="Azure is asked over https only"):
        azure.provider(manager="http://127.0.0.1:1")
    with pytest.raises(ValueError, match="5 to 50 letters and digits, and not 'a-b'"):
        azure.provider(registry="a-b")
    with pytest.raises(ValueError, match="the id or the domain of a directory of Entra, and not 'no where'"):
        azure.provider(auth={"tenant": "no where", "client_id": "x", "client_secret": {"env": "SECRET"}})
    assert azure.provider(subscription=None, push=OWN_LOGIN).home(CLIMATE).resources == ()
    assert azure.loopback.count() == 0


PART = st.from_regex(r"[a-z0-9]+([._/-][a-z0-9]+)*", fullmatch=True)


@given(PART, PART)
def test_names_of_tokens_are_azures_and_no_two_repositories_share_one(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9-]{5,50}", token_name(one))
    assert (token_name(one) == token_name(other)) == (one == other)


def test_a_mark_is_the_whole_description() -> None:
    assert owner_in("managed by fleet ours") == "ours"
    assert owner_in("once managed by fleet ours") is None
    assert owner_in(None) is None


def test_a_skopeo_with_the_issued_password_pushes_here_and_nowhere_else(azure: Service, tmp_path: Path) -> None:
    ours = azure.provider()
    make(ours, CLIMATE, RegistryImage("other", "other-image"))
    azure.publish("other-image", "1")
    issued = ours.issue(SOURCE, None)
    ours.prove(SOURCE, issued)
    source = Image().lay_out(tmp_path / "layout")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(Path(AUTHORITY).read_bytes())

    def copy(name: str) -> int:
        login = login_of(issued)
        options = ["--preserve-digests", f"--dest-cert-dir={certificates}"]
        options.append(f"--dest-creds={login.username}:{login.password.expose()}")
        return programs().skopeo("copy", *options, source, f"docker://{azure.loopback.host}/{name}:2").returncode

    assert copy("climate-image") == 0
    assert copy("other-image") != 0
    tag = ImageReference(f"{azure.loopback.host}/climate-image", "2")
    assert ours.resolve([tag, tag._replace(tag="3")]) == {tag: Image().digest}
    frozen = tag._replace(digest=Image().digest)
    assert ours.platforms([frozen]) == {frozen: ("linux/amd64",)}


def test_slots_take_turns_and_both_passwords_work_until_the_old_one_is_revoked(azure: Service) -> None:
    ours = azure.provider()
    make(ours, CLIMATE)
    first = ours.issue(SOURCE, None)
    second = ours.issue(SOURCE, first.key)
    assert works(azure, login_of(first))
    assert works(azure, login_of(second))
    assert [credential.key for credential in ours.credentials(SOURCE)] == [first.key, second.key]
    ours.revoke(SOURCE, second.key)
    assert not works(azure, login_of(first))
    assert works(azure, login_of(second))
    third = ours.issue(SOURCE, second.key)
    assert third.key.startswith("password1@")
    assert works(azure, login_of(second))


def test_what_was_never_stored_makes_room_and_the_stored_password_does_not(azure: Service) -> None:
    ours = azure.provider()
    make(ours, CLIMATE)
    stored = ours.issue(SOURCE, None)
    for _ in range(3):
        lost = ours.issue(SOURCE, stored.key)
    assert works(azure, login_of(stored))
    assert works(azure, login_of(lost))


def test_a_token_that_may_do_more_is_not_trusted_and_one_that_may_less_is_refused(azure: Service) -> None:
    ours = azure.provider()
    make(ours, CLIMATE)
    issued = ours.issue(SOURCE, None)
    held = azure.state.scope_maps[token_name("climate-image")]
    held["actions"] += ["repositories/climate-image-another/content/write"]
    with pytest.raises(ProviderError, match=r"may do more than push to climate-image: .* grants it push"):
        ours.prove(SOURCE, issued)
    held["actions"] = ["repositories/climate-image/content/read"]
    with pytest.raises(Denied, match="does not let fleet-climate-image push"):
        ours.prove(SOURCE, issued)


def test_a_password_that_is_not_known_yet_is_tried_again(azure: Service) -> None:
    ours = azure.provider()
    make(ours, CLIMATE)
    issued = ours.issue(SOURCE, None)
    azure.loopback.faults.append(Fault("status", path="/oauth2/token", response=Response(401, b"{}")))
    with pytest.raises(TryAgain, match="is not known everywhere"):
        ours.prove(SOURCE, issued)
    ours.prove(SOURCE, issued)


def test_a_token_with_rights_elsewhere_is_read_as_such_and_put_right(azure: Service) -> None:
    ours = azure.provider()
    (resource,) = make(ours, CLIMATE)
    name = token_name("climate-image")
    azure.state.scope_maps["everything"] = {"description": "", "actions": ["repositories/*/content/write"]}
    azure.state.tokens[name]["scope_map"] = "everything"
    found = ours.read([resource.address])[resource.address]
    assert found.model_dump()["actions"] == ("repositories/*/content/write",)
    ours.apply([Change(resource.address, found, resource.spec)], no_reveal)
    assert ours.read([resource.address]) == {resource.address: resource.spec}
    assert "everything" in azure.state.scope_maps


MISTAKES = {
    "subscription": ({"subscription": "1f2e"}, "SubscriptionNotFound"),
    "resource group": ({"resource_group": "elsewhere"}, "check `subscription`, `resource_group: elsewhere`"),
    "registry": ({"registry": "another"}, "ResourceNotFound"),
    "secret": ({"secret": "wrong"}, "its secret is wrong or has expired"),
    "tenant": ({"auth": {"tenant": "nowhere"}}, "refuses the login of the application the-application"),
}


@pytest.mark.parametrize(("keys", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_setting_is_one_sentence_and_nothing_is_written(
    azure: Service, keys: dict[str, Any], words: str
) -> None:
    if "auth" in keys:
        auth = {"client_id": "the-application", "client_secret": {"env": "SECRET"}, "authority": azure.loopback.url}
        keys = {"auth": {**auth, **keys["auth"]}}
    ours = azure.provider(**keys)
    for attempt in (partial(ours.read, [SOURCE]), partial(make, ours, CLIMATE)):
        with pytest.raises(FleetError) as caught:
            attempt()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert azure.state.scope_maps == {}


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_quota_is_named_and_not_waited_for(azure: Service, status: int) -> None:
    document = {"error": {"code": "QuotaExceeded", "message": "The registry has 100 tokens."}}
    full = Response.of_json(document, status)
    azure.loopback.faults.append(Fault("status", method="PUT", path=".*/tokens/.*", response=full))
    with pytest.raises(
        ProviderError, match=r"a quota of the registry example is reached \(QuotaExceeded: .*100 tokens"
    ):
        make(azure.provider(), CLIMATE)
    make(azure.provider(), CLIMATE)


def test_a_busy_registry_is_asked_again(azure: Service) -> None:
    busy = Response.of_json({"error": {"code": "RegistryStatusConflict", "message": "Not ready."}}, 409)
    azure.loopback.faults.append(Fault("status", method="PUT", path=".*/tokens/.*", response=busy))
    with pytest.raises(TryAgain, match="still busy with an earlier change"):
        make(azure.provider(), CLIMATE)


def test_a_login_that_expires_on_the_way_ends_the_run_so_that_it_can_go_on(azure: Service) -> None:
    ours = azure.provider()
    ours.read([SOURCE])
    azure.client.expired = True
    with pytest.raises(OutOfBudget, match="stopped working during the run"):
        ours.read([SOURCE])


def test_reading_without_a_role_on_the_registry_names_it(azure: Service) -> None:
    azure.client.role = ""
    name = f"{azure.loopback.host}/climate-image"
    for attempt in (lambda acr: acr.resolve([ImageReference(name, "1")]), lambda acr: list(acr.tags(name))):
        with pytest.raises(ProviderError, match="give it the role AcrPull on the registry"):
            attempt(azure.provider())


@pytest.mark.parametrize("right", ["tokens/write", "generateCredentials/action", "tokens/delete"])
def test_a_missing_permission_is_named_by_azures_own_word(azure: Service, right: str) -> None:
    ours = azure.provider()
    azure.client.rights.discard(f"Microsoft.ContainerRegistry/registries/{right}")

    def whole_life() -> None:
        (resource,) = make(ours, CLIMATE)
        ours.issue(SOURCE, None)
        ours.apply([Change(resource.address, resource.spec, None, removal="forget")], no_reveal)

    with pytest.raises(ProviderError, match=rf"lacks the permission Microsoft\.ContainerRegistry/registries/{right}"):
        whole_life()


@pytest.mark.parametrize("right", RIGHTS)
def test_a_permission_that_lacks_is_known_before_anything_is_written(azure: Service, right: str) -> None:
    ours = azure.provider()
    (resource,) = make(ours, CLIMATE)
    made = Change(resource.address, None, resource.spec)
    gone = Change(resource.address, resource.spec, None, removal="forget")
    azure.client.rights.discard(right)
    found = {**ours.preflight([made]), **ours.preflight([gone])}
    if right.endswith("read"):
        assert found == {}, "reading has been tried by then"
    else:
        (objection,) = found.values()
        assert objection.reason == f"cannot be written: the login of acr lacks {right} on the registry example"
        assert "docs/registries/acr.md" in objection.remedy


def test_a_login_that_may_not_ask_what_it_may_is_believed(azure: Service) -> None:
    azure.client.rights = {right for right in azure.client.rights if right != MAY_ASK and not right.endswith("write")}
    (resource,) = azure.provider().home(CLIMATE).resources
    assert azure.provider().preflight([Change(resource.address, None, resource.spec)]) == {}


def test_a_login_that_may_only_read_plans_for_another(azure: Service) -> None:
    azure.client.rights = {right for right in azure.client.rights if right.endswith("read")}
    (resource,) = azure.provider().home(CLIMATE).resources
    assert azure.provider().preflight([Change(resource.address, None, resource.spec)]) == {}


def test_roles_add_up_and_take_away_from_themselves_only() -> None:
    writer = Grant(("Microsoft.ContainerRegistry/registries/*",), ("*/DELETE",))
    assert lacking([RIGHTS[1], RIGHTS[2]], [writer]) == [RIGHTS[2]]
    assert lacking([RIGHTS[1], RIGHTS[2]], [writer, Grant(("microsoft.containerregistry/*/delete",))]) == []
    assert lacking([RIGHTS[1]], [Grant(("*/read",)), Grant(())]) == [RIGHTS[1]]


@pytest.mark.parametrize("page", [{}, [], {"value": 1}, {"value": ["*"]}])
def test_what_is_no_listing_of_permissions_is_not_taken_for_one(azure: Service, page: object) -> None:
    answer = Response.of_json(page)
    azure.loopback.faults.append(Fault("status", path=".*/permissions", response=answer, times=None))
    (resource,) = azure.provider().home(CLIMATE).resources
    with pytest.raises(TryAgain, match="no listing of permissions"):
        azure.provider().preflight([Change(resource.address, None, resource.spec)])


def test_the_role_of_the_documentation_holds_what_fleet_asks_for() -> None:
    text = Path("docs/registries/acr.md").read_text(encoding="utf-8")
    role = json.loads(text.split("```json\n")[1].split("```")[0])
    assert {*RIGHTS, MAY_ASK} <= {*role["Actions"]}


def test_the_passwords_of_many_tokens_take_one_listing(azure: Service) -> None:
    ours = azure.provider()
    images = [RegistryImage(f"image-{number}", f"image-{number}") for number in range(3)]
    sources = [resource.address for resource in make(ours, *images)]
    issued = [ours.issue(source, None).key for source in sources]
    before = azure.loopback.count()
    nowhere = Address("acr", "token", "nowhere")
    standing = ours.standing([*sources, nowhere])
    assert azure.loopback.count() == before + 1
    assert [[credential.key for credential in standing[source]] for source in sources] == [[key] for key in issued]
    assert standing[nowhere] == []


def test_without_azures_packages_the_command_that_installs_them_is_named(
    azure: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "fleet_acr.azure", raising=False)
    monkeypatch.setitem(sys.modules, "azure.mgmt.containerregistry", None)
    ours = azure.provider()
    assert ours.home(CLIMATE).resources
    with pytest.raises(ProviderError, match=r"pip install 'hubfleet\[azure\]'"):
        ours.read([SOURCE])


def test_tags_come_newest_first_and_no_further_than_they_are_asked_for(azure: Service) -> None:
    azure.acr.page = 2
    for number in range(5):
        azure.publish("climate-image", f"v{number}")
    name = f"{azure.loopback.host}/climate-image"
    tags = azure.provider().tags(name)
    newest, *others = islice(tags, 2)
    assert (newest.name, newest.digest) == ("v4", Image().digest)
    assert newest.date >= others[0].date
    assert azure.loopback.count("GET", r"/acr/v1/climate-image/_tags") == 2, "a challenge and a page"
    assert [tag.name for tag in tags] == ["v2", "v1", "v0"]
    assert list(azure.provider().tags(f"{name}-nowhere")) == []


def test_an_own_login_needs_no_azure_and_is_proved(azure: Service) -> None:
    azure.state.scope_maps["by-hand"] = {"description": "", "actions": [*actions_on("climate-image")]}
    passwords = {"password1": {"value": "own-password", "created": ""}}
    azure.state.tokens["builder"] = {"scope_map": "by-hand", "status": "enabled", "passwords": passwords}
    azure.publish("climate-image", "1")
    ours = azure.provider(auth=None, push=OWN_LOGIN)
    login = ours.home(CLIMATE).login
    assert login is not None
    assert ours.reveal(*login.secrets.values()).expose() == "own-password"
    tag = ImageReference(f"{azure.loopback.host}/climate-image", "1")
    assert ours.resolve([tag]) == {tag: Image().digest}
    assert azure.state.access == {}
    azure.state.tokens["builder"]["status"] = "disabled"
    with pytest.raises(LoginRefused, match="refuses the login builder"):
        ours.reveal(*login.secrets.values())


def test_without_auth_fleet_is_whoever_is_logged_in_here(azure: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "AZURE_TENANT_ID": azure.state.tenant,
        "AZURE_CLIENT_ID": "the-application",
        "AZURE_CLIENT_SECRET": "s3cret",
        "AZURE_AUTHORITY_HOST": azure.loopback.url,
        "REQUESTS_CA_BUNDLE": AUTHORITY,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    make(azure.provider(auth=None), CLIMATE)
    assert [*azure.state.tokens] == ["fleet-climate-image"]
