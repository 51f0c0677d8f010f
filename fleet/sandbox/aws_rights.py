"""Who may do what in the sandbox's AWS, by moto's own policy engine.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult

EVERYTHING: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(slots=True)
class Operator:
    """The login of somebody who works with this account: what it may do, and whether it has expired."""

    key: str
    secret: str = field(repr=False)
    policy: Mapping[str, Any] = field(default_factory=lambda: EVERYTHING)
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and the policies that say what it may do."""

    arn: str
    policies: tuple[IAMPolicy, ...]

    def may(self, action: str, resource: str) -> bool:
        """Whether the policies allow an action on a resource, and none denies it."""
        verdicts = {policy.is_action_permitted(action, resource) for policy in self.policies}
        return PermissionResult.PERMITTED in verdicts and PermissionResult.DENIED not in verdicts


def lets_in(statement: Mapping[str, Any], provider: str, issuer: str, claims: Mapping[str, Any]) -> bool:
    """Whether a statement of a trust policy is met; a condition that is not understood is not met."""
    conditions = dict(statement.get("Condition") or {})
    equals = conditions.pop("StringEquals", {})
    return (
        statement.get("Effect") == "Allow"
        and (statement.get("Principal") or {}).get("Federated") == provider
        and statement.get("Action") == "sts:AssumeRoleWithWebIdentity"
        and not conditions
        and all(str(claims.get(name.removeprefix(f"{issuer}:"))) == value for name, value in equals.items())
    )
