"""Amazon ECR: what is made, who may push, and everything that AWS says no to, against the sandbox's account."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from fleet.errors import OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.model import Address, Change, Resource, Secret, SecretRef
from fleet.provider import Context, Credentials, LoginStep, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.ecr import RunningEcr, serve_ecr
from fleet.sandbox.http import Fault, Loopback, Request, Response
from fleet_ecr import Ecr
from fleet_ecr.keys import docker_login
from fleet_ecr.policies import PUSH_ACTIONS, kept_by, lifecycle_policy, push_policy, text_of
from fleet_ecr.specs import EcrSettings, IdentityProvider, Names, Repository, Role, User
from tests.debian import programs
from tests.images import Image, push
from tests.subjects.ecr import KEY, SECRET, documented_policy, is_write, without

CLIMATE = RegistryImage("climate", "climate-image", source="example-org/climate-image")
OCEAN = RegistryImage("ocean", "ocean-image", source="example-org/ocean-image")
SUBJECT = "repo:example-org/climate-image:ref:refs/heads/main"


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEcr]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null/")
    with serve_ecr((KEY, SECRET), claims=lambda token: json.loads(token) if token.startswith("{") else None) as running:
        running.aws.operators[KEY].policy = documented_policy(running.aws.account)
        yield running


def provider(ecr: RunningEcr, fleet: str = "ours", **keys: Any) -> Ecr:
    settings = EcrSettings.model_validate(
        {"type": "ecr", "account": ecr.aws.account, "region": "us-west-2", "url": ecr.url, **keys}
    )
    context = Context(fleet, Path(), lambda source: Secret("own-secret"), lambda: None)
    return Ecr("ecr", settings, context)


def offline(**keys: Any) -> Ecr:
    settings = {"type": "ecr", "account": "123456789012", "region": "us-west-2", **keys}
    return Ecr("ecr", EcrSettings.model_validate(settings), Context("ours", Path(), lambda s: Secret(""), lambda: None))


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


def apply(ecr: Ecr, image: RegistryImage = CLIMATE) -> list[Resource]:
    """Bring about what differs, one change at a time as the core does."""
    resources = list(ecr.home(image).resources)
    found = ecr.read([resource.address for resource in resources])
    for resource in resources:
        if found.get(resource.address) != resource.spec:
            ecr.apply([Change(resource.address, found.get(resource.address), resource.spec)], no_reveal)
    assert dict(ecr.read([resource.address for resource in resources])) == {
        resource.address: resource.spec for resource in resources
    }
    return resources


def claims(subject: str = SUBJECT, **more: str) -> str:
    issuer = "https://token.actions.githubusercontent.com"
    return json.dumps({"iss": issuer, "aud": "sts.amazonaws.com", "sub": subject, **more})


def assume(ecr: RunningEcr, role: str, token: str) -> Mapping[str, str]:
    """What the login action does with a run's OIDC token."""
    from boto3 import Session

    sts = Session(region_name="us-west-2").client("sts", endpoint_url=ecr.url)
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="build", WebIdentityToken=token)
    found: Mapping[str, str] = answer["Credentials"]
    return found


def copy(ecr: RunningEcr, tmp_path: Path, name: str, login: Credentials) -> bool:
    """Whether skopeo, which knows nothing of fleet, can push with a login."""
    layout = tmp_path / "layout"
    source = f"oci:{layout}" if layout.exists() else Image().lay_out(layout)
    target = f"docker://{ecr.registry_host}/{name}:1"
    options = ["--preserve-digests", "--dest-tls-verify=false"]
    credentials = f"--dest-creds={login.username}:{login.password.expose()}"
    return programs().skopeo("copy", *options, credentials, source, target).returncode == 0


def test_keyless_a_build_assumes_a_role_and_keeps_no_secret() -> None:
    home = offline(prefix="hubs").home(CLIMATE)
    host = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    assert home.name == f"{host}/hubs/climate-image"
    name = "fleet-us-west-2-hubs+climate-image"
    assert [str(resource.address) for resource in home.resources] == [
        "ecr:repository:hubs/climate-image",
        "ecr:oidc-provider:token.actions.githubusercontent.com",
        f"ecr:role:{name}",
    ]
    assert home.resources[2].spec == Role(owner="ours", pushes_to="hubs/climate-image", trusts=SUBJECT)
    assert home.login is not None
    assert (home.login.secrets, home.login.permissions) == ({}, {"id-token": "write"})
    role = {"role-to-assume": f"arn:aws:iam::123456789012:role/fleet/{name}", "aws-region": "us-west-2"}
    assert home.login.steps == (
        LoginStep("Assume the role that may push", "aws-credentials", "aws", role),
        LoginStep("Log in to Amazon ECR", "ecr-login", "ecr", {"mask-password": "true"}),
    )
    output = "docker_password_123456789012_dkr_ecr_us_west_2_amazonaws_com"
    assert home.login.password == f"${{{{ steps.ecr.outputs.{output} }}}}"


def test_the_branch_is_the_one_that_builds_push_from() -> None:
    role = offline().home(replace(CLIMATE, branch="trunk")).resources[2].spec
    assert isinstance(role, Role)
    assert role.trusts.endswith(":ref:refs/heads/trunk")


def test_a_key_is_two_secrets_of_one_user() -> None:
    login = offline(push="key").home(CLIMATE).login
    assert login is not None
    source = Address("ecr", "user", "fleet-us-west-2-climate-image")
    assert dict(login.secrets) == {
        "AWS_ACCESS_KEY_ID": SecretRef(source=source, field="id"),
        "AWS_SECRET_ACCESS_KEY": SecretRef(source=source, field="secret"),
    }
    assert login.steps[0].inputs["aws-access-key-id"] == "${{ secrets.AWS_ACCESS_KEY_ID }}"
    assert login.permissions == {}


@pytest.mark.parametrize(
    ("region", "host", "partition"),
    [
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "aws-cn"),
        ("us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "aws-us-gov"),
    ],
)
def test_other_partitions_have_their_own_names(region: str, host: str, partition: str) -> None:
    ours = offline(region=region)
    assert ours.host == host
    login = ours.home(CLIMATE).login
    assert login is not None
    assert login.steps[0].inputs["role-to-assume"].startswith(f"arn:{partition}:iam::")


def test_names_fit_into_iam_and_stay_apart() -> None:
    names = Names(EcrSettings(type="ecr", account="123456789012", region="ap-southeast-2"))
    long = [names.identity(f"{'a' * 80}{end}") for end in ("x", "y")]
    assert [len(name) for name in long] == [64, 64]
    assert len(set(long)) == 2
    assert names.identity("a/b") != names.identity("a-b")


@pytest.mark.parametrize("name", ["x", "Big", "a--b", "end-", "a//b", "/a", "a" * 257])
def test_a_name_that_ecr_will_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"ECR cannot take .* 2 to 256 lower-case letters and digits"):
        offline().home(replace(CLIMATE, name=name))


def test_keyless_needs_to_know_who_builds() -> None:
    unknown = RegistryImage("climate", "climate-image")
    with pytest.raises(ValueError, match=r"write `repository:` for climate, `source:` for ecr, or `push: key`"):
        offline().home(unknown)
    role = offline(source="example-org/{image}").home(unknown).resources[2].spec
    assert isinstance(role, Role)
    assert role.trusts == SUBJECT


@pytest.mark.parametrize("action", PUSH_ACTIONS)
def test_the_policy_allows_a_push_to_its_own_repository_and_nothing_else(action: str) -> None:
    arn = "arn:aws:ecr:us-west-2:123456789012:repository/climate-image"
    policy = IAMPolicy(json.dumps(push_policy(arn)))
    assert policy.is_action_permitted(action, arn) is PermissionResult.PERMITTED
    for other in (f"{arn}-2", arn.replace("climate", "ocean"), arn.replace("us-west-2", "us-east-1"), "*"):
        assert policy.is_action_permitted(action, other) is PermissionResult.NEUTRAL
    for more in ("ecr:DeleteRepository", "ecr:BatchDeleteImage", "ecr:SetRepositoryPolicy", "iam:CreateUser"):
        assert policy.is_action_permitted(more, arn) is PermissionResult.NEUTRAL


def test_a_skopeo_with_the_assumed_role_pushes_here_and_nowhere_else(ecr: RunningEcr, tmp_path: Path) -> None:
    ours = provider(ecr)
    apply(ours)
    apply(ours, OCEAN)
    login = ours.home(CLIMATE).login
    assert login is not None
    session = assume(ecr, login.steps[0].inputs["role-to-assume"], claims())
    password = Secret(ecr.aws.password(session["AccessKeyId"]))
    assert copy(ecr, tmp_path, "climate-image", Credentials("AWS", password))
    assert not copy(ecr, tmp_path, "ocean-image", Credentials("AWS", password))
    tag = ImageReference(f"{ecr.registry_host}/climate-image", "1")
    assert ours.resolve([tag, tag._replace(tag="2")]) == {tag: Image().digest}


@pytest.mark.parametrize(
    "token",
    [
        claims("repo:example-org/climate-image:pull_request"),
        claims("repo:example-org/climate-image:ref:refs/heads/other"),
        claims("repo:somebody-else/climate-image:ref:refs/heads/main"),
        claims("repo:example-org/ocean-image:ref:refs/heads/main"),
        claims("repo:example-org/climate-image:environment:production"),
        claims(aud="https://github.com/example-org"),
        claims(iss="https://token.example.org"),
        "no token",
    ],
)
def test_a_run_that_is_not_of_the_branch_cannot_assume_the_role(ecr: RunningEcr, token: str) -> None:
    from botocore.exceptions import ClientError

    ours = provider(ecr)
    apply(ours)
    login = ours.home(CLIMATE).login
    assert login is not None
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
        assume(ecr, login.steps[0].inputs["role-to-assume"], token)


def test_a_skopeo_with_the_issued_key_pushes_here_and_nowhere_else(ecr: RunningEcr, tmp_path: Path) -> None:
    ours = provider(ecr, push="key")
    apply(ours, OCEAN)
    user = apply(ours)[1].address
    issued = ours.issue(user, None)
    ours.prove(user, issued)
    login = docker_login(ours._aws.with_key(issued.key, issued.values["secret"]))
    assert copy(ecr, tmp_path, "climate-image", login)
    assert not copy(ecr, tmp_path, "ocean-image", login)
    ours.revoke(user, "another")
    assert not copy(ecr, tmp_path, "climate-image", login)


def test_a_key_that_reaches_a_neighbour_is_refused(ecr: RunningEcr) -> None:
    ours = provider(ecr, push="key")
    apply(ours, OCEAN)
    user = apply(ours)[1].address
    everything = json.dumps({"Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]})
    ecr.aws.iam.users[user.name].policies["by hand"] = everything
    with pytest.raises(ProviderError, match="may do more than push there: it can look into ocean-image"):
        ours.prove(user, ours.issue(user, None))


def test_keys_have_an_age(ecr: RunningEcr) -> None:
    ours = provider(ecr, push="key")
    user = apply(ours)[1].address
    first, second = ours.issue(user, None).key, ours.issue(user, None).key
    standing = ours.credentials(user)
    assert [credential.key for credential in standing] == [first, second]
    assert standing[0].created <= standing[1].created
    assert standing[0].created.tzinfo is not None
    assert ours.credentials(user._replace(name="fleet-nobody")) == []


def test_a_key_for_a_user_that_went_is_explained(ecr: RunningEcr) -> None:
    ours = provider(ecr, push="key")
    with pytest.raises(ProviderError, match="the user fleet-nobody is gone from IAM; plan and apply"):
        ours.issue(Address("ecr", "user", "fleet-nobody"), None)


def test_an_own_key_needs_nobody_in_iam_and_is_proved(ecr: RunningEcr) -> None:
    ours = provider(ecr, push={"username": "AKIAOWN", "password": {"env": "PASSWORD"}})
    home = ours.home(CLIMATE)
    assert [resource.address.kind for resource in home.resources] == ["repository"]
    apply(ours)
    assert home.login is not None
    with pytest.raises(ProviderError, match="AWS refuses the login"):
        ours.reveal(*home.login.secrets.values())
    own = ecr.aws.operator("AKIAOWN", "own-secret", push_policy(ecr.aws.arn("ocean-image")))
    with pytest.raises(ProviderError, match="does not let AWS push to climate-image"):
        provider(ecr, push={"username": "AKIAOWN", "password": {"env": "PASSWORD"}}).reveal(
            *home.login.secrets.values()
        )
    own.policy = push_policy(ecr.aws.arn("climate-image"))
    assert ours.reveal(*home.login.secrets.values()).expose() == "own-secret"


def test_a_lifecycle_policy_is_left_alone_unless_one_is_asked_for(ecr: RunningEcr) -> None:
    apply(provider(ecr))
    held = ecr.aws.ecr.repositories["climate-image"]
    held.lifecycle_policy = json.dumps({"rules": []})
    apply(provider(ecr))
    assert held.lifecycle_policy == json.dumps({"rules": []})
    (found,) = provider(ecr, keep=5).read([Address("ecr", "repository", "climate-image")]).values()
    assert found == Repository(owner="ours", lifecycle='{"rules":[]}')
    apply(provider(ecr, keep=5))
    assert kept_by(json.loads(held.lifecycle_policy)) == 5
    apply(provider(ecr, keep=7))
    assert kept_by(json.loads(held.lifecycle_policy)) == 7


def test_mutability_and_scanning_are_set_and_set_back(ecr: RunningEcr) -> None:
    apply(provider(ecr, immutable=True, scan=True, keep=3))
    held = ecr.aws.ecr.repositories["climate-image"]
    assert (held.image_tag_mutability, held.image_scanning_configuration) == ("IMMUTABLE", {"scanOnPush": True})
    apply(provider(ecr))
    assert (held.image_tag_mutability, held.image_scanning_configuration) == ("MUTABLE", {"scanOnPush": False})
    assert held.encryption_configuration == {"encryptionType": "AES256"}


def test_an_immutable_tag_is_pushed_once(ecr: RunningEcr) -> None:
    import httpx

    apply(provider(ecr, immutable=True))
    pusher = ecr.aws.operator("AKIAPUSHER", "pushers-secret")
    headers = Credentials("AWS", Secret(ecr.aws.password(pusher.key))).headers()
    url = f"{ecr.url}/v2/climate-image"
    push(url, Image(), "1", headers=headers)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        push(url, Image(layer=b"another"), "1", headers=headers)


def test_the_trust_in_github_is_shared_and_stays(ecr: RunningEcr) -> None:
    ecr.aws.iam.create_open_id_connect_provider("https://token.actions.githubusercontent.com", [], ["another"], {})
    ours = provider(ecr)
    resources = apply(ours)
    (held,) = ecr.aws.iam.open_id_providers.values()
    assert held.client_id_list == ["another", "sts.amazonaws.com"]
    issuer = resources[1]
    assert isinstance(issuer.spec, IdentityProvider)
    ours.apply([Change(issuer.address, issuer.spec, None, removal="forget")], no_reveal)
    assert held.client_id_list == ["another", "sts.amazonaws.com"]


def test_forgetting_takes_the_user_with_its_keys_and_leaves_the_repository(ecr: RunningEcr) -> None:
    ours = provider(ecr, push="key")
    repository, user = apply(ours)
    ours.issue(user.address, None)
    for _ in range(2):
        for resource in (user, repository):
            ours.apply([Change(resource.address, resource.spec, None, removal="forget")], no_reveal)
    assert ecr.aws.iam.users == {}
    assert "climate-image" in ecr.aws.ecr.repositories
    assert ours.read([repository.address, user.address]) == {repository.address: Repository()}


def test_what_another_fleet_owns_is_never_forgotten(ecr: RunningEcr) -> None:
    theirs = provider(ecr, "theirs", push="key")
    resources = apply(theirs)
    ours = provider(ecr, push="key")
    for resource in resources:
        ours.apply([Change(resource.address, resource.spec, None, removal="forget")], no_reveal)
        with pytest.raises(ProviderError, match=r"belongs to the fleet theirs: take it out of that fleet's file"):
            ours.apply([Change(resource.address, None, resource.spec)], no_reveal)
    found = theirs.read([resource.address for resource in resources])
    assert [spec.owner for spec in found.values() if isinstance(spec, Repository | User)] == ["theirs", "theirs"]


def test_a_right_that_was_missing_leaves_nothing_in_the_way(ecr: RunningEcr) -> None:
    ours = provider(ecr, keep=3)
    operator = ecr.aws.operators[KEY]
    for action in ("ecr:PutLifecyclePolicy", "iam:PutRolePolicy"):
        operator.policy = without(documented_policy(ecr.aws.account), action)
        with pytest.raises(
            ProviderError, match=rf"lacks the permission {action}; docs/registries/ecr\.md has the whole"
        ):
            apply(ours)
    operator.policy = documented_policy(ecr.aws.account)
    apply(ours)


def test_a_login_of_another_account_writes_nothing(ecr: RunningEcr) -> None:
    ours = provider(ecr, account="123456789012")
    resource = ours.home(CLIMATE).resources[0]
    for attempt in (lambda: ours.read([resource.address]), lambda: ours.apply([change(resource)], no_reveal)):
        with pytest.raises(
            ProviderError, match=rf"is of the account {ecr.aws.account}, and fleet.yaml says 1234567890"
        ):
            attempt()
    assert not any(is_write(record.request) for record in ecr.loopback.records)


def change(resource: Resource) -> Change:
    return Change(resource.address, None, resource.spec)


def test_no_login_and_a_wrong_one_are_told_apart(ecr: RunningEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    address = provider(ecr).home(CLIMATE).resources[0].address
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-wrong-secret")
    with pytest.raises(ProviderError, match=r"AWS refuses the login \(SignatureDoesNotMatch\)") as refused:
        provider(ecr).read([address])
    assert "canary" not in str(refused.value)
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(ProviderError, match=r"the AWS login cannot be used: .*nowhere"):
        provider(ecr).read([address])
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ProviderError, match=r"there is no AWS login: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        provider(ecr).read([address])


def test_a_login_that_has_expired_and_one_that_dies_on_the_way(ecr: RunningEcr) -> None:
    ours = provider(ecr)
    apply(ours)
    ecr.aws.operators[KEY].expired = True
    address = ours.home(CLIMATE).resources[0].address
    with pytest.raises(OutOfBudget, match=r"the AWS login has expired: log in again .*, and run again"):
        ours.read([address])
    with pytest.raises(ProviderError, match="the AWS login has expired: log in again"):
        provider(ecr).read([address])


def test_a_quota_is_named(ecr: RunningEcr) -> None:
    full = Response.of_json({"__type": "LimitExceededException", "message": "10000 repositories."}, 400)
    is_create = lambda request: request.headers.get("x-amz-target", "").endswith("CreateRepository")  # noqa: E731
    ecr.loopback.faults.append(Fault("status", where=is_create, response=full))
    with pytest.raises(ProviderError, match=r"would go over a quota of the account .*10000 repositories\); raise it"):
        apply(provider(ecr))


THROTTLED = {
    "code": Response.of_json({"__type": "ThrottlingException", "message": "Rate exceeded"}, 400, {"retry-after": "3"}),
    "status": Response(429, b"", {"retry-after": "3"}),
    "busy": Response(503, b"<html>", {"retry-after": "3"}),
    "server": Response.of_json({"__type": "ServerException", "message": "oh"}, 500, {"retry-after": "3"}),
}


@pytest.mark.parametrize("answer", THROTTLED)
def test_a_passing_trouble_is_left_to_the_core_with_its_time(ecr: RunningEcr, answer: str) -> None:
    ours = provider(ecr)
    ours.read([])
    before = ecr.loopback.count()
    ecr.loopback.faults.append(Fault("status", response=THROTTLED[answer], times=None))
    with pytest.raises(TryAgain) as trouble:
        ours.read([Address("ecr", "repository", "climate-image")])
    assert trouble.value.after == 3
    assert ecr.loopback.count() == before + 1


@pytest.mark.parametrize("kind", ["drop", "truncate", "garbage"])
def test_a_key_whose_answer_is_lost_is_in_no_message(ecr: RunningEcr, kind: Any) -> None:
    ours = provider(ecr, push="key")
    user = apply(ours)[1].address
    is_create = lambda request: b"Action=CreateAccessKey" in request.body  # noqa: E731
    ecr.loopback.faults.append(Fault(kind, where=is_create, when="after"))
    with pytest.raises(Unsure) as lost:
        ours.issue(user, None)
    shown = "".join(traceback.TracebackException.from_exception(lost.value, capture_locals=True).format())
    (key,) = ecr.aws.iam.users[user.name].access_keys
    assert key.secret_access_key not in shown


class Paged:
    """An AWS with more repositories than fit on one page."""

    def handle(self, request: Request) -> Response:
        if b"GetCallerIdentity" in request.body:
            result = "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
            return Response(200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode())
        if request.headers["x-amz-target"].endswith("ListTagsForResource"):
            return Response.of_json({"tags": []})
        page = int(request.json().get("nextToken", "0"))
        entries = [{"repositoryName": f"image-{page}-{n}", "imageTagMutability": "MUTABLE"} for n in range(3)]
        return Response.of_json({"repositories": entries, **({"nextToken": str(page + 1)} if page < 4 else {})})


def test_all_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with Loopback(Paged()) as loopback:
        ours = offline(url=loopback.url)
        addresses = [Address("ecr", "repository", name) for name in ("image-0-0", "image-4-2", "image-5-0")]
        assert list(ours.read(addresses)) == addresses[:2]
        assert loopback.count() == 1 + 5 + 2


def test_the_newest_tags_come_first_and_need_a_request_for_each_thousand(ecr: RunningEcr) -> None:
    ours = provider(ecr)
    apply(ours)
    name = f"{ecr.registry_host}/climate-image"
    pusher = ecr.aws.operator("AKIAPUSHER", "pushers-secret")
    headers = Credentials("AWS", Secret(ecr.aws.password(pusher.key))).headers()
    images = {str(n): Image(layer=bytes([n])) for n in range(3)}
    for tag, image in images.items():
        push(f"{ecr.url}/v2/climate-image", image, tag, headers=headers)
    held = ecr.ecr.registry.repositories["climate-image"]
    for n in range(1500):  # too many to push: what AWS tells of them is enough
        digest = f"sha256:{n:064x}"
        held["tags"][f"old-{n}"], held["manifests"][digest] = digest, "application/vnd.oci.image.manifest.v1+json"
    before = ecr.loopback.count()
    first = list(islice(ours.tags(name), 3))
    assert ecr.loopback.count() == before + 2
    assert [(tag.name, tag.digest) for tag in first] == [(tag, images[tag].digest) for tag in ("2", "1", "0")]
    assert first[0].date.tzinfo is not None
    assert list(ours.tags(f"{name}-nowhere")) == []


def test_images_say_what_they_run_on(ecr: RunningEcr) -> None:
    ours = provider(ecr)
    apply(ours)
    pusher = ecr.aws.operator("AKIAPUSHER", "pushers-secret")
    headers = Credentials("AWS", Secret(ecr.aws.password(pusher.key))).headers()
    digest = push(f"{ecr.url}/v2/climate-image", Image(architecture="arm64"), "1", headers=headers)
    reference = ImageReference(f"{ecr.registry_host}/climate-image", None, digest)
    assert ours.platforms([reference]) == {reference: ("linux/arm64",)}


def test_a_new_image_takes_as_many_requests_as_the_docs_say(ecr: RunningEcr) -> None:
    apply(provider(ecr), OCEAN)
    ours = provider(ecr)
    resources = ours.home(CLIMATE).resources
    ours.read([resource.address for resource in resources])
    before = ecr.loopback.count()
    for resource in (resources[0], resources[2]):
        ours.apply([change(resource)], no_reveal)
    assert ecr.loopback.count() == before + 3


def test_policies_are_compared_by_what_they_mean() -> None:
    document = lifecycle_policy(3)
    assert kept_by(json.loads(json.dumps(document, indent=4))) == 3
    assert kept_by({"rules": []}) is None
    assert text_of({"b": ["y", "x"], "a": 1}) == '{"a":1,"b":["x","y"]}'


def test_a_missing_sdk_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(
        ProviderError, match=r"needs the package 'boto3'; install it with: pip install 'hubfleet\[aws\]'"
    ):
        offline().read([Address("ecr", "repository", "climate-image")])


def test_the_sdk_is_imported_with_the_first_request() -> None:
    script = "import sys, fleet_ecr; print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
