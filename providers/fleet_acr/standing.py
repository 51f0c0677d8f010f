"""What the Resource Manager's answers say of a token. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from fleet.provider import Credential
from fleet_acr.specs import PushToken, owner_in

if TYPE_CHECKING:
    from azure.mgmt.containerregistry.models import ScopeMap, Token, TokenPassword

SLOTS = ("password1", "password2")

_UNDATED = datetime.min.replace(tzinfo=UTC)


def standing_token(name: str, scope_maps: Mapping[str, ScopeMap], tokens: Mapping[str, Token]) -> PushToken | None:
    """What stands under a name: a token with what it may do, or a scope map that waits for its token."""
    token, own = tokens.get(name), scope_maps.get(name)
    if token is None and own is None:
        return None
    used = scope_map_of(token) if token is not None else name
    held = scope_maps.get(used)
    return PushToken(
        owner=owner_in(own.properties.description) if own is not None and own.properties else None,
        scope_map=used,
        actions=tuple(sorted(held.properties.actions or ())) if held is not None and held.properties else (),
        status=_status(token),
    )


def scope_map_of(token: Token | None) -> str:
    """The name of the scope map that a token has, empty where it has none."""
    properties = token.properties if token is not None else None
    return str(properties.scope_map_id or "").rpartition("/")[2] if properties else ""


def _status(token: Token | None) -> Literal["enabled", "disabled", "absent"]:
    if token is None:
        return "absent"
    return "disabled" if token.properties is not None and token.properties.status == "disabled" else "enabled"


def passwords_of(token: Token | None) -> list[Credential]:
    """The passwords that a token has, oldest first; what has no date is oldest of all."""
    properties = token.properties if token is not None else None
    passwords = properties.credentials.passwords if properties and properties.credentials else None
    found = [
        Credential(key_of(slot, entry.creation_time), entry.creation_time or _UNDATED, is_enabled=not _is_over(entry))
        for entry in passwords or ()
        for slot in SLOTS
        if entry.name == slot
    ]
    return sorted(found, key=lambda credential: credential.created)


def _is_over(password: TokenPassword) -> bool:
    return password.expiry is not None and password.expiry <= datetime.now(UTC)


def key_of(slot: str, made: datetime | None) -> str:
    """The slot and the moment: a slot's next password is another one."""
    return f"{slot}@{(made or _UNDATED).isoformat()}"


def slot_of(key: str) -> str:
    """The slot of a password by its key."""
    return key.partition("@")[0]
