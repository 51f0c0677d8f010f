"""Who may push: a role that GitHub's runs assume, or a user, each with one inline policy for one repository.

IAM has the same calls for both, so they are written once. All that stands beside our policy is taken away: what such an
identity may do elsewhere is nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.provider import Conflict, Context, ProviderError
from fleet_ecr.aws import GONE, Aws, Document, entries, tags_of
from fleet_ecr.policies import (
    AUDIENCE,
    ISSUER,
    PUSH_POLICY,
    push_policy,
    pushed_by,
    trust_policy,
    trusted_by,
)
from fleet_ecr.repositories import refuse_foreign
from fleet_ecr.specs import PATH, ROLE, TAG, USER, IdentityProvider, Names, Role, User

_EXISTS = ("EntityAlreadyExists",)

Identity = Role | User


@dataclass(frozen=True, slots=True)
class _Noun:
    """What IAM calls a kind of identity: in its calls, and in its answers."""

    call: str
    answer: str

    @property
    def name(self) -> str:
        """The parameter that names one."""
        return f"{self.answer}Name"


_NOUNS = {ROLE: _Noun("role", "Role"), USER: _Noun("user", "User")}


class Identities:
    """The roles and users of one account, and its trust in GitHub Actions."""

    def __init__(self, aws: Aws, names: Names, context: Context) -> None:
        self._aws = aws
        self._names = names
        self._context = context

    def read(self, kind: str, names: Collection[str]) -> dict[str, Identity]:
        """Those that exist: a listing of all roles or users with their policies and tags, up to 1000 in a request."""
        noun = _NOUNS[kind]
        details = self._aws.pages(
            "iam",
            "get_account_authorization_details",
            f"{noun.answer}DetailList",
            Filter=[noun.answer],
            MaxItems=1000,
        )
        found = {str(detail.get(noun.name)): detail for detail in details}
        return {name: self._of_detail(kind, found[name]) for name in names if name in found}

    def make(self, kind: str, name: str, wanted: Identity, *, is_new: bool) -> None:
        """Make an identity what it is to be, from wherever it stands; its policy comes last."""
        noun = _NOUNS[kind]
        before = None if is_new else self._one(kind, name)
        if before is None:
            if self._create(noun, name, wanted):
                self._put_policy(noun, name, wanted)
                return
            before = self._one(kind, name)
            if before is None:
                raise Conflict(f"the {kind} {name} comes and goes in IAM: somebody else is at work on it")
        found = self._of_detail(kind, before)
        refuse_foreign(found.owner, self._context.fleet, f"{kind} {name}")
        self._strip(noun, name, before, keep=PUSH_POLICY)
        if isinstance(found, Role) and isinstance(wanted, Role) and found.trusts != wanted.trusts:
            trust = json.dumps(trust_policy(self._names.issuer_arn, wanted.trusts))
            self._aws.call("iam", "update_assume_role_policy", RoleName=name, PolicyDocument=trust)
        if found.pushes_to != wanted.pushes_to:
            self._put_policy(noun, name, wanted)
        if found.owner != wanted.owner:
            self._aws.call("iam", f"tag_{noun.call}", **{noun.name: name}, Tags=self._tags())

    def forget(self, kind: str, name: str) -> None:
        """Delete an identity of ours with all that hangs on it."""
        noun = _NOUNS[kind]
        before = self._one(kind, name)
        if before is None or tags_of(before).get(TAG) != self._context.fleet:
            return
        if kind == USER:
            for key in self._aws.pages("iam", "list_access_keys", "AccessKeyMetadata", UserName=name):
                self._aws.call("iam", "delete_access_key", GONE, UserName=name, AccessKeyId=key["AccessKeyId"])
        self._strip(noun, name, before, keep=None)
        self._aws.call("iam", f"delete_{noun.call}", GONE, **{noun.name: name})

    def read_issuer(self) -> IdentityProvider | None:
        """The account's trust in GitHub Actions, if it has any: one request."""
        known = self._known_audiences()
        if known is None:
            return None
        return IdentityProvider(audience=AUDIENCE if AUDIENCE in known else ", ".join(sorted(known)) or "nobody")

    def make_issuer(self) -> None:
        """Have the account trust GitHub Actions; who else it trusts, and for whom, stays."""
        known = self._known_audiences()
        if known is None:
            url, audiences = f"https://{ISSUER}", [AUDIENCE]
            made = self._aws.call("iam", "create_open_id_connect_provider", _EXISTS, Url=url, ClientIDList=audiences)
            if made is not None:
                return
            known = self._known_audiences() or ()
        if AUDIENCE not in known:
            self._aws.call(
                "iam",
                "add_client_id_to_open_id_connect_provider",
                OpenIDConnectProviderArn=self._names.issuer_arn,
                ClientID=AUDIENCE,
            )

    def _known_audiences(self) -> Collection[str] | None:
        arn = self._names.issuer_arn
        answer = self._aws.call("iam", "get_open_id_connect_provider", GONE, OpenIDConnectProviderArn=arn)
        return None if answer is None else [str(each) for each in answer.get("ClientIDList") or ()]

    def _one(self, kind: str, name: str) -> Document | None:
        """One identity in the shape that the listing has; None where it is not there."""
        noun = _NOUNS[kind]
        named: Mapping[str, Any] = {noun.name: name}
        answer = self._aws.call("iam", f"get_{noun.call}", GONE, **named)
        if answer is None:
            return None
        policies = []
        for policy in self._names_of(noun, name, "policies", "PolicyNames"):
            got = self._aws.call("iam", f"get_{noun.call}_policy", GONE, **named, PolicyName=policy)
            policies.append({"PolicyName": policy, "PolicyDocument": got and got.get("PolicyDocument")})
        attached = self._aws.pages("iam", f"list_attached_{noun.call}_policies", "AttachedPolicies", **named)
        groups = self._aws.pages("iam", "list_groups_for_user", "Groups", **named) if kind == USER else ()
        return {
            **answer[noun.answer],
            f"{noun.answer}PolicyList": policies,
            "AttachedManagedPolicies": list(attached),
            "GroupList": [group["GroupName"] for group in groups],
        }

    def _names_of(self, noun: _Noun, name: str, what: str, key: str) -> list[str]:
        page = self._aws.ask("iam", f"list_{noun.call}_{what}", **{noun.name: name})
        found = page.get(key)
        if not isinstance(found, list):
            raise ProviderError(f"the answer has no list {key}; is it AWS?")
        return [str(each) for each in found]

    def _of_detail(self, kind: str, detail: Document) -> Identity:
        noun = _NOUNS[kind]
        owner = tags_of(detail).get(TAG)
        listed = detail.get(f"{noun.answer}PolicyList") or ()
        policies = {str(policy.get("PolicyName")): policy.get("PolicyDocument") or {} for policy in listed}
        pushes_to = pushed_by(policies, self._names.repositories_arn)
        attached = tuple(sorted(str(each.get("PolicyArn")) for each in detail.get("AttachedManagedPolicies") or ()))
        if kind == USER:
            groups = tuple(sorted(str(each) for each in detail.get("GroupList") or ()))
            return User(owner=owner, pushes_to=pushes_to, attached=attached, groups=groups)
        trusts = trusted_by(detail.get("AssumeRolePolicyDocument") or {}, self._names.issuer_arn)
        return Role(owner=owner, pushes_to=pushes_to, trusts=trusts, attached=attached)

    def _create(self, noun: _Noun, name: str, wanted: Identity) -> bool:
        """Make an identity; False where it exists already. Its tag comes with it, so it is ours from the first."""
        more: dict[str, Any] = {}
        if isinstance(wanted, Role):
            more["AssumeRolePolicyDocument"] = json.dumps(trust_policy(self._names.issuer_arn, wanted.trusts))
        named = {noun.name: name, "Path": PATH, "Tags": self._tags(), **more}
        return self._aws.call("iam", f"create_{noun.call}", _EXISTS, **named) is not None

    def _put_policy(self, noun: _Noun, name: str, wanted: Identity) -> None:
        text = json.dumps(push_policy(self._names.arn(wanted.pushes_to)))
        named = {noun.name: name, "PolicyName": PUSH_POLICY, "PolicyDocument": text}
        self._aws.call("iam", f"put_{noun.call}_policy", **named)

    def _strip(self, noun: _Noun, name: str, before: Document, keep: str | None) -> None:
        """Take away all rights of an identity but one inline policy."""
        named: Mapping[str, Any] = {noun.name: name}
        for policy in entries(before, f"{noun.answer}PolicyList"):
            if policy["PolicyName"] != keep:
                self._aws.call("iam", f"delete_{noun.call}_policy", GONE, **named, PolicyName=policy["PolicyName"])
        for attached in entries(before, "AttachedManagedPolicies"):
            self._aws.call("iam", f"detach_{noun.call}_policy", GONE, **named, PolicyArn=attached["PolicyArn"])
        for group in before["GroupList"]:
            self._aws.call("iam", "remove_user_from_group", GONE, **named, GroupName=group)

    def _tags(self) -> list[dict[str, str]]:
        return [{"Key": TAG, "Value": self._context.fleet}]
