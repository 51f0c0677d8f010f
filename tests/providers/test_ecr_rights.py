"""Each right that the documentation asks for is needed, and where it lacks, AWS's word for it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import ProviderError
from fleet.model import Address, Change, Resource, Secret, SecretRef
from fleet.provider import Context, Credentials, RegistryImage
from fleet.reference import ImageReference
from fleet.sandbox.aws_rights import EVERYTHING
from fleet.sandbox.ecr import RunningEcr, serve_ecr
from fleet_ecr import Ecr
from fleet_ecr.specs import EcrSettings
from tests.images import Image, push
from tests.subjects.ecr import KEY, OPEN, SECRET, documented_policy, without

CLIMATE, OCEAN = (RegistryImage(name, name, source=f"example-org/{name}") for name in ("climate", "ocean"))
POLICY = documented_policy("123456789012")
DOCUMENTED = sorted({action for statement in POLICY["Statement"] for action in statement["Action"]})


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEcr]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with serve_ecr((KEY, SECRET)) as running:
        running.aws.operators[KEY].policy = documented_policy(running.aws.account)
        yield running


def provider(ecr: RunningEcr, **keys: Any) -> Ecr:
    given = {"type": "ecr", "account": ecr.aws.account, "region": "us-west-2", "url": ecr.url, "keep": 3, **keys}
    context = Context("ours", Path(), lambda source: Secret("own-secret"), lambda: None)
    return Ecr("ecr", EcrSettings.model_validate(given), context)


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


def apply(ecr: Ecr, image: RegistryImage) -> list[Resource]:
    resources = list(ecr.home(image).resources)
    found = ecr.read([resource.address for resource in resources])
    for resource in resources:
        if found.get(resource.address) != resource.spec:
            ecr.apply([Change(resource.address, found.get(resource.address), resource.spec)], no_reveal)
    return resources


def change_by_hand(ecr: RunningEcr) -> None:
    """Another one of everything that fleet sets back."""
    iam, everything = ecr.aws.iam, json.dumps(EVERYTHING)
    for name, repository in ecr.aws.ecr.repositories.items():
        repository.image_tag_mutability, repository.image_scanning_configuration = "IMMUTABLE", {"scanOnPush": True}
        repository.lifecycle_policy = json.dumps({"rules": []})
        ecr.aws.ecr.untag_resource(ecr.aws.arn(name), ["fleet"])
    managed = iam.create_policy("By hand", "/", everything, "by-hand", [])
    (role,), (user,) = iam.roles.values(), iam.users.values()
    iam.update_assume_role_policy(role.name, json.dumps(OPEN))
    iam.put_role_policy(role.name, "by-hand", everything)
    iam.put_role_policy(role.name, "fleet-push", everything)
    iam.attach_role_policy(managed.arn, role.name)
    iam.untag_role(role.name, ["fleet"])
    iam.put_user_policy(user.name, "by-hand", everything)
    iam.attach_user_policy(managed.arn, user.name)
    iam.untag_user(user.name, ["fleet"])
    iam.create_group("builders")
    iam.add_user_to_group("builders", user.name)
    for issuer in iam.open_id_providers.values():
        issuer.client_id_list = ["another"]


def whole_life(ecr: RunningEcr) -> None:
    """All that fleet ever asks of AWS: things made, changed by hand, put right, read, proved, replaced, forgotten."""
    keyless, keyed = provider(ecr), provider(ecr, push="key")
    apply(keyless, CLIMATE)
    apply(keyed, OCEAN)
    change_by_hand(ecr)
    resources = [*apply(keyless, CLIMATE), *apply(keyed, OCEAN)]
    pusher = Credentials("AWS", Secret(ecr.aws.password(ecr.aws.operator("AKIAPUSHER", "pushers-secret").key)))
    tag = ImageReference(f"{ecr.registry_host}/climate", "1")
    digest = push(f"{ecr.url}/v2/climate", Image(), "1", headers=pusher.headers())
    assert keyless.platforms([tag._replace(tag=None, digest=digest)])
    assert keyless.resolve([tag]) == {tag: digest}
    assert [found.name for found in keyless.tags(tag.name)] == ["1"]
    user = resources[-1].address
    issued = [keyed.issue(user, None) for _ in range(3)]
    keyed.prove(user, issued[-1])
    keyed.revoke(user, issued[-1].key)
    for resource in reversed(resources):
        keyless.apply([Change(resource.address, resource.spec, None, removal="forget")], no_reveal)


def test_with_all_rights_nothing_is_refused(ecr: RunningEcr) -> None:
    whole_life(ecr)
    assert (ecr.aws.iam.users, ecr.aws.iam.roles) == ({}, {})


@pytest.mark.parametrize("action", DOCUMENTED)
def test_each_right_is_needed_and_named_where_it_lacks(ecr: RunningEcr, action: str) -> None:
    operator = ecr.aws.operators[KEY]
    operator.policy = without(operator.policy, action)
    with pytest.raises(
        ProviderError, match=rf"(lacks the permission|not authorized to perform:) {action}\b"
    ) as refused:
        whole_life(ecr)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("region", ["us-nowhere-9"])
def test_a_region_that_is_none_is_asked_after(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    settings = EcrSettings.model_validate({"type": "ecr", "account": "123456789012", "region": region})
    ours = Ecr("ecr", settings, Context("ours", Path(), lambda source: Secret(""), lambda: None))
    with pytest.raises(ProviderError, match=rf"AWS in {region} cannot be reached .*; is the region right\?"):
        ours.read([Address("ecr", "repository", "climate")])
