"""Stores Actions secrets, sealed so that only GitHub can read them, and knows again what it stored."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from fleet.provider import Address, Context, Reveal, Secret, SecretRef
from fleet_github.client import Client
from fleet_github.specs import ActionsSecret, Place


def store_credential(client: Client, place: Place, wanted: ActionsSecret, reveal: Reveal) -> dict[str, Any]:
    """Store all secrets of one credential, the one `place` names last; the receipt has the host's own dates."""
    assert wanted.source is not None
    dates = {other: store_secret(client, place.vault, other, reveal(ref)) for other, ref in wanted.also.items()}
    also = {other: receipt_of(dates[other], ref) for other, ref in wanted.also.items()}
    updated_at = store_secret(client, place.vault, place.name, reveal(wanted.source))
    return {**receipt_of(updated_at, wanted.source), **({"also": also} if also else {})}


def receipt_of(updated_at: str, source: SecretRef) -> dict[str, Any]:
    """What is to be known of a secret when it is read again: the host's own date of the change, and whence it came."""
    return {"updated_at": updated_at, "source": source.model_dump(mode="json")}


def store_secret(
    client: Client, vault: str, name: str, value: Secret, audience: Mapping[str, Any] | None = None
) -> str:
    """Seal a secret with its vault's own key and store it, for an `audience` where the vault is an organisation's; the
    answer is the host's own date of the change.

    https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api
    """
    from nacl import encoding, public

    key = client.object(f"{vault}/secrets/public-key")
    box = public.SealedBox(public.PublicKey(key["key"].encode(), encoding.Base64Encoder))
    sealed = base64.b64encode(box.encrypt(value.expose().encode())).decode()
    path = f"{vault}/secrets/{name}"
    client.rest("PUT", path, {"encrypted_value": sealed, "key_id": key["key_id"], **(audience or {})})
    return str(client.object(path)["updated_at"])


def standing_secret(context: Context, address: Address, stored: Mapping[str, str]) -> ActionsSecret | None:
    """A secret that is there; None for one that a killed run of ours may have written, so that it is written again."""
    recorded = context.recorded(address)
    is_wanted = recorded is None or context.wanted(address) is not None
    if context.begun(address) and is_wanted:  # also one recorded before: dates of a second's precision may be equal
        return None
    if recorded is None:
        return ActionsSecret()
    also = recorded.get("also") or {}
    written = {Place.of(address).name: recorded, **also}
    if context.begun(address):  # a killed run was taking it away, the named one last
        written = {name: receipt for name, receipt in written.items() if name in stored}
    changed = any(stored.get(name) != receipt.get("updated_at") for name, receipt in written.items())
    refs = {name: SecretRef.model_validate(receipt["source"]) for name, receipt in also.items()}
    if changed:
        return ActionsSecret(also=refs, changed=True)
    return ActionsSecret(source=SecretRef.model_validate(recorded["source"]), also=refs)
