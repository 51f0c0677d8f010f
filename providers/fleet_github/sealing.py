"""Stores Actions secrets, sealed so that only GitHub can read them."""

from __future__ import annotations

import base64
from typing import Any

from fleet.provider import Secret
from fleet_github.client import Client


def store_secret(client: Client, repository: str, name: str, value: Secret) -> dict[str, Any]:
    """Seal a secret with the repository's key and store it; the receipt has the host's own date of the change.

    https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api
    """
    from nacl import encoding, public

    key = client.object(f"/repos/{repository}/actions/secrets/public-key")
    box = public.SealedBox(public.PublicKey(key["key"].encode(), encoding.Base64Encoder))
    sealed = base64.b64encode(box.encrypt(value.expose().encode())).decode()
    path = f"/repos/{repository}/actions/secrets/{name}"
    client.rest("PUT", path, {"encrypted_value": sealed, "key_id": key["key_id"]})
    return {"updated_at": client.object(path)["updated_at"]}
