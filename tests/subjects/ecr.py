"""Amazon ECR as the contract suite must be told of it: keyless, with keys that fleet issues, with an operator's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from fleet.provider import Credentials, Login, Secret
from fleet.sandbox.aws import Aws
from fleet.sandbox.aws_rights import EVERYTHING, Operator
from fleet.sandbox.ecr import Ecr
from fleet.sandbox.http import Request, Response
from fleet.testing import Subject
from fleet_ecr.policies import push_policy, trust_policy
from fleet_ecr.specs import EcrSettings, Names
from tests.images import Image, push
from tests.subjects.common import (
    ISSUES_NOTHING,
    NO_CODE_HOST,
    OF_CODE_HOSTS,
    OF_ISSUERS,
    OF_LOGINS,
    OF_TRANSPORT,
    SAME_CLIENT,
    VARIANT,
    Row,
)

KEY, SECRET = "AKIAOPERATOROPERATOR", "canary-operators-secret"
OWN_KEY, OWN_SECRET = "AKIAOPERATORSOWNKEY0", "canary-own-secret"
OPEN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
"""A trust in everybody."""
READS = re.compile(r"(Describe|Get|List|BatchGet|BatchCheck)")
DOCS = Path(__file__).parents[2] / "docs/registries/ecr.md"


def documented_policy(account: str) -> dict[str, Any]:
    """The rights that the docs say fleet needs."""
    found = re.search(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    document: dict[str, Any] = json.loads(found[1].replace("123456789012", account))
    return document


def without(policy: Mapping[str, Any], action: str) -> dict[str, Any]:
    """A policy without one action."""
    statements = [
        {**statement, "Action": [each for each in statement["Action"] if each != action]}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def is_write(request: Request) -> bool:
    """Whether a request may change something: AWS takes every call as a POST."""
    target = request.headers.get("x-amz-target", "").partition(".")[2]
    action = target or re.sub(rb".*\bAction=(\w+).*", rb"\1", request.body, flags=re.DOTALL).decode()
    if request.path.startswith("/v2"):
        return request.method in ("POST", "PUT", "PATCH", "DELETE")
    return not READS.match(action)


class EcrSubject(Subject):
    """An account whose operator has the rights that the docs name; builds assume a role."""

    type = "ecr"
    environment: ClassVar[Mapping[str, str]] = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null/",
    }
    without: ClassVar[Mapping[str, str]] = {"login": "builds assume a role, and no secret is kept"}
    credentials = frozenset({"role"})
    throttled = Response.of_json({"__type": "ThrottlingException"}, 429, {"retry-after": "7"})
    push: Any = "keyless"
    identity = "role"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.aws = Aws()
        self.operator: Operator = self.aws.operator(KEY, SECRET, documented_policy(self.aws.account))
        self.service = self.ecr = Ecr(self.aws)

    def close(self) -> None:
        self.aws.close()

    def writes(self, request: Request) -> bool:
        return is_write(request)

    def entry(self, url: str) -> Mapping[str, Any]:
        source = {"source": "example-org/{image}"} if self.push == "keyless" else {}
        return {"account": self.aws.account, "region": self.aws.region, "url": url, "push": self.push, **source}

    @property
    def names(self) -> Names:
        """How things are called in this account."""
        return Names(EcrSettings(type="ecr", account=self.aws.account, region=self.aws.region))

    def snapshot(self) -> object:
        with self.aws.lock:
            iam = self.aws.iam
            repositories = {
                name: (held.image_tag_mutability, held.image_scanning_configuration, held.lifecycle_policy)
                for name, held in self.aws.ecr.repositories.items()
            }
            tags = {name: self._tags(name) for name in repositories}
            roles = {
                each.name: (each.assume_role_policy_document, each.policies, sorted(each.managed_policies), each.tags)
                for each in iam.roles.values()
            }
            users = {
                each.name: (each.policies, sorted(each.managed_policies), iam.tagger.list_tags_for_resource(each.arn))
                for each in iam.users.values()
            }
            keys = {name: len(iam.users[name].access_keys) for name in users}
            issuers = {arn: each.client_id_list for arn, each in iam.open_id_providers.items()}
            groups = {group: sorted(user.name for user in held.users) for group, held in iam.groups.items()}
            held = [sorted(each.items()) for each in (repositories, tags, roles, users, keys, issuers, groups)]
            return str(held).replace(self.aws.account, "ACCOUNT")

    def _tags(self, name: str) -> list[tuple[str, str]]:
        found = self.aws.ecr.list_tags_for_resource(self.aws.arn(name))["tags"]
        return sorted((tag["Key"], tag["Value"]) for tag in found)

    def occupy(self, image: str, owner: str | None) -> None:
        tags = [{"Key": "fleet", "Value": owner}] if owner else []
        self.aws.ecr.create_repository(image, None, None, {"scanOnPush": False}, "MUTABLE", tags)
        self.occupy_identity(image, tags)

    def occupy_identity(self, image: str, tags: list[dict[str, str]]) -> None:
        """Make an image's role or user."""
        name, iam = self.names.identity(image), self.aws.iam
        policy = json.dumps(push_policy(self.aws.arn(image)))
        if self.identity == "user":
            iam.create_user(self.aws.region, name, "/fleet/", tags)
            iam.put_user_policy(name, "fleet-push", policy)
        elif self.identity == "role":
            subject = f"repo:example-org/{image}:ref:refs/heads/main"
            trust = json.dumps(trust_policy(self.names.issuer_arn, subject))
            iam.create_role(name, trust, "/fleet/", None, "", tags, 3600)
            iam.put_role_policy(name, "fleet-push", policy)

    def drift(self, image: str) -> None:
        held = self.aws.ecr.repositories[image]
        held.image_tag_mutability, held.image_scanning_configuration = "IMMUTABLE", {"scanOnPush": True}
        name, iam = self.names.identity(image), self.aws.iam
        everything = json.dumps(EVERYTHING)
        if self.identity == "none":
            return
        managed = iam.create_policy("By hand", "/", everything, f"by-hand-{image}", [])
        if self.identity == "role":
            iam.put_role_policy(name, "by-hand", everything)
            iam.put_role_policy(name, "fleet-push", everything)
            iam.update_assume_role_policy(name, json.dumps(OPEN))
            iam.attach_role_policy(managed.arn, name)
        else:
            iam.put_user_policy(name, "by-hand", everything)
            iam.put_user_policy(name, "fleet-push", everything)
            iam.attach_user_policy(managed.arn, name)
            iam.create_group("builders")
            iam.add_user_to_group("builders", name)

    def expire(self) -> None:
        self.operator.expired = True

    def renew(self) -> None:
        self.operator.expired = False

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        def take(action: str) -> Callable[[], None]:
            return lambda: setattr(self.operator, "policy", without(self.operator.policy, action))

        words = ["ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:ListTagsForResource"]
        if self.identity != "none":
            words.append("iam:GetAccountAuthorizationDetails")
        if self.identity == "role":
            words.append("iam:GetOpenIDConnectProvider")
        return {word: take(word) for word in words}

    def publish(self, name: str, tag: str) -> str:
        host, _, path = name.partition("/")
        pusher = self.aws.operator("AKIAPUSHER", "pushers-secret")
        login = Credentials("AWS", Secret(self.aws.password(pusher.key)))
        return push(f"http://{host}/v2/{quote(path)}", Image(), tag, headers=login.headers())

    def docker_login(self, login: Login, secrets: Mapping[str, Secret]) -> Credentials:
        """What the login action does: it trades the key for a password of the registry."""
        (step, _), secret = login.steps, secrets["AWS_SECRET_ACCESS_KEY"].expose()
        stored = secrets.get("AWS_ACCESS_KEY_ID")
        key = stored.expose() if stored else step.inputs["aws-access-key-id"]
        with self.aws.lock:
            assert self.aws.secret_of(key) == secret
            return Credentials("AWS", Secret(self.aws.password(key)))

    def disarm(self, image: str) -> None:
        self.aws.iam.delete_user_policy(self.names.identity(image), "fleet-push")


class EcrKeySubject(EcrSubject):
    """The same where builds push with an access key that fleet issues."""

    push = "key"
    identity = "user"
    credentials = frozenset({"user"})
    without: ClassVar[Mapping[str, str]] = {
        **VARIANT,
        "neighbour": "a registry with Basic login says nothing; the provider asks AWS itself before it hands a key out",
    }


class OwnLoginEcrSubject(EcrSubject):
    """The same with an operator's own access key for pushing, so that nobody is made in IAM."""

    environment: ClassVar[Mapping[str, str]] = {**EcrSubject.environment, "PUSH_SECRET": OWN_SECRET}
    push: Any = {"username": OWN_KEY, "password": {"env": "PUSH_SECRET"}}  # noqa: RUF012 - never changed
    identity = "none"
    credentials = frozenset()
    without: ClassVar[Mapping[str, str]] = {
        **VARIANT,
        "neighbour": "an operator's own login may do more, and fleet says nothing",
        "issuer": ISSUES_NOTHING,
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.own = self.aws.operator(OWN_KEY, OWN_SECRET)

    def expire(self) -> None:
        super().expire()
        self.own.expired = True

    def renew(self) -> None:
        super().renew()
        self.own.expired = False

    def disarm(self, image: str) -> None:
        self.own.policy = without_everything()


def without_everything() -> Mapping[str, Any]:
    """A policy that allows to log in, and nothing else."""
    return {"Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}]}


ROWS: Mapping[str, Row] = {
    "ecr": Row(
        EcrSubject,
        {
            NO_CODE_HOST: OF_CODE_HOSTS,
            "builds assume a role, and no secret is kept": sorted([*OF_LOGINS, *OF_ISSUERS]),
        },
    ),
    "ecr with keys": Row(EcrKeySubject, {NO_CODE_HOST: OF_CODE_HOSTS, SAME_CLIENT: OF_TRANSPORT}),
    "ecr with an own login": Row(
        OwnLoginEcrSubject,
        {NO_CODE_HOST: OF_CODE_HOSTS, ISSUES_NOTHING: OF_ISSUERS, SAME_CLIENT: OF_TRANSPORT},
    ),
}
