"""Which permissions of Azure a change needs, and which of them a login lacks. Pure.

https://learn.microsoft.com/azure/role-based-access-control/role-definitions: a role allows its `actions` less its
`notActions`, `*` stands for anything, case does not matter, and what one role leaves out another may allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.provider import Change, TryAgain

_REGISTRIES = "Microsoft.ContainerRegistry/registries"
_MAKING: tuple[str, ...] = ("scopeMaps/write", "tokens/write", "generateCredentials/action")
_CHANGING: tuple[str, ...] = ("scopeMaps/write", "tokens/write")
_FORGETTING: tuple[str, ...] = ("tokens/delete", "scopeMaps/delete")


@dataclass(frozen=True, slots=True)
class Grant:
    """What one role allows."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, permission: str) -> bool:
        """Whether the role holds a permission."""
        return _any(self.actions, permission) and not _any(self.not_actions, permission)


def needed_for(change: Change) -> tuple[str, ...]:
    """The permissions that a change of a token needs; one that is made is also given a password."""
    changing = _MAKING if change.before is None else _CHANGING
    return tuple(f"{_REGISTRIES}/{word}" for word in (_FORGETTING if change.after is None else changing))


def lacking(needed: Iterable[str], grants: Iterable[Grant]) -> list[str]:
    """Those of some permissions that no role holds."""
    held = list(grants)
    return [permission for permission in needed if not any(grant.allows(permission) for grant in held)]


def any_held(grants: Iterable[Grant]) -> bool:
    """Whether some role holds a permission to write that fleet needs."""
    needed = [f"{_REGISTRIES}/{word}" for word in {*_MAKING, *_CHANGING, *_FORGETTING}]
    return len(lacking(needed, grants)) < len(needed)


def grants_in(page: Any) -> list[Grant]:
    """The roles in a listing of permissions; raises TryAgain for what is none."""
    entries = page.get("value") if isinstance(page, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise TryAgain("Azure sends something that is no listing of permissions")
    return [Grant(_texts(entry.get("actions")), _texts(entry.get("notActions"))) for entry in entries]


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(text for text in found if isinstance(text, str)) if isinstance(found, list) else ()


def _any(patterns: Iterable[str], permission: str) -> bool:
    joined = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return any(re.fullmatch(pattern, permission, re.IGNORECASE) for pattern in joined)
