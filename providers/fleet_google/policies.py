"""Who may do what, as Google's policies say it: what a member holds, and a policy with the wanted roles. Pure.

Only the bindings of our own members are ever touched. A policy is read in version 3, so that bindings under a condition
stay as they are: https://cloud.google.com/iam/docs/reference/rest/v1/Policy
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Binding, Policy

CONDITION = " under a condition"
"""Is said behind a role that a member holds under a condition, which a grant of ours never has."""


def roles_of(policy: Policy, member: str) -> tuple[str, ...]:
    """The roles that a member holds by its own name."""
    return tuple(sorted({_spelled(binding) for binding in policy.bindings if member in binding.members}))


def with_roles(policy: Policy, member: str, roles: Collection[str]) -> Policy:
    """The same policy, where a member holds these roles and no others; the etag stays."""
    changed = type(policy)(version=3, etag=policy.etag)
    changed.bindings.extend(_without(policy, member, roles))
    changed.audit_configs.extend(policy.audit_configs)
    held = roles_of(changed, member)
    for role in roles:
        if role in held:
            continue
        plain = [binding for binding in changed.bindings if _spelled(binding) == role]
        if plain:
            plain[0].members.append(member)
        else:
            changed.bindings.add(role=role, members=[member])
    return changed


def _without(policy: Policy, member: str, roles: Collection[str]) -> Iterator[Binding]:
    """The bindings that stay, without the member where it holds something else; an empty one goes."""
    for binding in policy.bindings:
        kept = type(binding)()
        kept.CopyFrom(binding)
        if member in kept.members and _spelled(binding) not in roles:
            kept.members.remove(member)
        if kept.members:
            yield kept


def _spelled(binding: Binding) -> str:
    return f"{binding.role}{CONDITION}" if binding.HasField("condition") else str(binding.role)
