"""Keys of service accounts, which Google shows once: made, proved, and revoked."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.provider import (
    Address,
    Context,
    Credential,
    Credentials,
    Denied,
    Issued,
    LoginRefused,
    OciClient,
    ProviderError,
    TryAgain,
)
from fleet_google.artifacts import Artifacts
from fleet_google.login import TOO_NEW, KeyLogin
from fleet_google.logins import KEY_USER, PASSWORD
from fleet_google.place import Place, repository_of


def standing(place: Place, account: Address) -> Sequence[Credential]:
    """The keys of a service account, oldest first."""
    return place.iam.keys(place.email(account))


def issue(place: Place, account: Address, stored: str | None) -> Issued:
    """One more key; where two are there, the oldest that is not stored makes room."""
    email, there = place.email(account), standing(place, account)
    spare = [credential.key for credential in there if credential.key != stored]
    for key in spare[: max(0, len(there) - 1)]:
        place.iam.delete_key(email, key)
    key, password = place.iam.make_key(email)
    return Issued(key, {PASSWORD: password})


def revoke(place: Place, account: Address, keep: str | None) -> None:
    """Delete all keys but one, or all."""
    for credential in standing(place, account):
        if credential.key != keep:
            place.iam.delete_key(place.email(account), credential.key)


def prove_push(place: Place, account: Address, client: OciClient, issued: Issued) -> None:
    """Begin and cancel an upload with a key; raises TryAgain where Google does not take it yet."""
    repository = () if place.is_shared else (repository_of(account),)
    path = "/".join((place.settings.project, *repository, "proof"))
    try:
        client.prove_push(path, Credentials(KEY_USER, issued.values[PASSWORD]))
    except (Denied, LoginRefused) as error:
        raise TryAgain(f"the new key of {place.email(account)} cannot push yet: {error}", TOO_NEW) from None


def prove_no_more(place: Place, account: Address, context: Context, issued: Issued) -> None:
    """Ask Google, as the key, what it may do to a neighbour; nothing is written there. Raises ProviderError."""
    name = repository_of(account)
    neighbour = next((other for other in place.artifacts.repositories({name}) if other != name), None)
    if neighbour is None:
        return
    login = KeyLogin(issued.values[PASSWORD], place.settings.project, context)
    if Artifacts(login, place.artifacts.location, place.settings.url).may_write(neighbour):
        raise ProviderError(
            f"the service account {place.email(account)} may push to {neighbour} too, so its key is not stored: "
            f"look at what it may do in the whole project {place.settings.project}"
        )
