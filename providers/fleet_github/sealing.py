"""Stores Actions secrets, sealed so that only GitHub can read them."""

from __future__ import annotations

import base64
from typing import Any

from fleet.provider import Reveal, Secret, SecretRef
from fleet_github.client import Client
from fleet_github.specs import ActionsSecret, Place


def store_credential(client: Client, place: Place, wanted: ActionsSecret, reveal: Reveal) -> dict[str, Any]:
    """Store all secrets of one credential, the one `place` names last; the receipt has the host's own dates."""
    assert wanted.source is not None
    dates = {other: _store_secret(client, place.vault, other, reveal(ref)) for other, ref in wanted.also.items()}
    also = {other: {"updated_at": dates[other], "source": _json(ref)} for other, ref in wanted.also.items()}
    updated_at = _store_secret(client, place.vault, place.name, reveal(wanted.source))
    return {"updated_at": updated_at, "source": _json(wanted.source), **({"also": also} if also else {})}


def _json(ref: SecretRef) -> dict[str, Any]:
    return ref.model_dump(mode="json")


def _store_secret(client: Client, vault: str, name: str, value: Secret) -> str:
    """Seal a secret with its vault's own key and store it; the answer is the host's own date of the change.

    https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api
    """
    from nacl import encoding, public

    key = client.object(f"{vault}/secrets/public-key")
    box = public.SealedBox(public.PublicKey(key["key"].encode(), encoding.Base64Encoder))
    sealed = base64.b64encode(box.encrypt(value.expose().encode())).decode()
    path = f"{vault}/secrets/{name}"
    client.rest("PUT", path, {"encrypted_value": sealed, "key_id": key["key_id"]})
    return str(client.object(path)["updated_at"])
