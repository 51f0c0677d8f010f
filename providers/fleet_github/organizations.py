"""What organisations keep for selected repositories: read with a few requests for each thing, whoever shares it.

Nobody's place is taken away: a secret that is stored again goes to the repositories that stood there.
https://docs.github.com/en/rest/actions/secrets, https://docs.github.com/en/rest/actions/variables
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from fleet.provider import Address, Context, ProviderError, Reveal, Secret, SecretRef, Spec, TryAgain
from fleet_github import listing as listing_of
from fleet_github.batches import Document
from fleet_github.client import Client
from fleet_github.listing import Listing
from fleet_github.sealing import receipt_of, standing_secret, store_secret
from fleet_github.specs import (
    ORGANIZATION_SECRET,
    ORGANIZATION_VARIABLE,
    REPOSITORY,
    SELECTED,
    SELECTED_ONLY,
    SELECTED_SECRET,
    OrganizationSecret,
    OrganizationVariable,
    Place,
    Repository,
    Selected,
    SelectedForSecret,
    rests_on,
)

TRIES = 5
"""Repositories that a login is tried at before it is taken for one that pushes nowhere."""

_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is shown of a secret or variable, the repositories that it is given to where these are selected, and the
    repository in question, if there is one."""

    shown: Mapping[str, str]
    selected: Mapping[str, str] | None
    repository: Document | None


def read_organizations(
    context: Context, listing: Listing, addresses: Sequence[Address], found: Mapping[str, Document]
) -> dict[Address, Spec]:
    """What stands at these addresses; `found` has the repositories that are there."""
    paths = {address: path_of(address) for address in addresses}
    secrets = _each(path for address, path in paths.items() if _is_secret(address))
    variables = _each(path for address, path in paths.items() if not _is_secret(address))
    shown = {
        **listing.of(secrets, listing_of.organization_secret),
        **listing.of(variables, listing_of.organization_variable),
    }
    asked = _each(path for address, path in paths.items() if address.kind in SELECTED)
    selected = {
        path: listing.pages(f"{path}/repositories", listing_of.repositories)
        for path in asked
        if shown[path].get("visibility") == SELECTED_ONLY
    }
    world: dict[Address, Spec] = {}
    for address, path in paths.items():
        standing = _Standing(shown[path], selected.get(path), found.get(Place.of(address).repository))
        spec = _spec(context, address, standing) if shown[path] else None
        if spec is not None:
            world[address] = spec
    return world


def _spec(context: Context, address: Address, standing: _Standing) -> Spec | None:
    """What stands at one address; None also for what a killed run of ours may have written: it is written again, so
    that it is known to be ours."""
    if address.kind == ORGANIZATION_SECRET:
        return _secret(context, address, standing.shown)
    if context.begun(address) and context.wanted(address) is not None:
        return None
    if address.kind == ORGANIZATION_VARIABLE:
        return OrganizationVariable.model_validate({**standing.shown, "owner": _owner(context, address)})
    return _selected(context, address, standing)


def path_of(address: Address) -> str:
    """The path of the API at which a secret or variable of an organisation lies."""
    place = Place.of(address)
    return f"{place.vault}/{'secrets' if _is_secret(address) else 'variables'}/{place.name}"


def _is_secret(address: Address) -> bool:
    return address.kind in (ORGANIZATION_SECRET, SELECTED_SECRET)


def _each(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _owner(context: Context, address: Address) -> str | None:
    return context.fleet if context.recorded(address) is not None else None


def _secret(context: Context, address: Address, shown: Mapping[str, str]) -> OrganizationSecret | None:
    """The secret; one of ours that is given to others than selected repositories has been changed."""
    secret = standing_secret(context, address, {Place.of(address).name: shown["updated_at"]})
    if secret is None:
        return None
    opened = secret.source is not None and shown["visibility"] != SELECTED_ONLY
    return OrganizationSecret.model_validate({**secret.model_dump(), **({"changed": True} if opened else {})})


def _selected(context: Context, address: Address, standing: _Standing) -> Selected | None:
    """A repository's place; None where it has none, or where what stands there will be given to others."""
    if standing.selected is not None:
        is_among = standing.repository is not None and Place.of(address).repository.lower() in standing.selected
        return _place(context, address) if is_among else None
    if not _is_kept(context, address):
        return None
    is_private = standing.shown["visibility"] == "private"
    return SelectedForSecret(out_of_reach=is_private and _is_public(context, address, standing.repository))


def _place(context: Context, address: Address) -> Selected:
    owner = _owner(context, address)
    if not _is_secret(address):
        return Selected(owner=owner)
    login = (context.recorded(address) or {}).get("login")
    return SelectedForSecret(owner=owner, login=SecretRef.model_validate(login) if login else None)


def _is_public(context: Context, address: Address, repository: Document | None) -> bool:
    """Whether a repository is public, or will be once it is made."""
    if repository is not None:
        return bool(repository["visibility"] == "PUBLIC")
    wanted = context.wanted(Address(address.provider, REPOSITORY, Place.of(address).repository))
    return isinstance(wanted, Repository) and wanted.visibility == "public"


def _is_kept(context: Context, address: Address) -> bool:
    """Whether a secret that is not given to selected repositories stays so, because it is not ours."""
    secret = rests_on(address)
    if secret is None or not _is_secret(address):
        return False
    wanted = context.wanted(secret)
    is_replaced = isinstance(wanted, OrganizationSecret) and wanted.replace
    return context.recorded(secret) is None and not is_replaced


def store_shared(
    client: Client, context: Context, address: Address, wanted: OrganizationSecret, reveal: Reveal
) -> dict[str, Any]:
    """Store a secret for the repositories that are selected already; the receipt has the host's own date."""
    assert wanted.source is not None
    place, path = Place.of(address), path_of(address)
    standing = client.rest("GET", path, None, 404)
    is_selective = standing.status == 200 and standing.document.get("visibility") == SELECTED_ONLY
    selected = _numbers(client, path) if is_selective else {}
    value = _proved(context, address, wanted, selected, reveal)
    audience = {"visibility": SELECTED_ONLY, "selected_repository_ids": sorted(selected.values())}
    return receipt_of(store_secret(client, place.vault, place.name, value, audience), wanted.source)


def _numbers(client: Client, path: str) -> dict[str, int]:
    """The numbers of all repositories that are selected, by name in lower case; none is left out unseen."""
    found: dict[str, int] = {}
    for page in count(1):
        document = client.object(f"{path}/repositories?per_page={_A_PAGE}&page={page}")
        entries = {str(entry["full_name"]).lower(): int(entry["id"]) for entry in document.get("repositories") or []}
        is_last = len(entries) < _A_PAGE or entries.keys() <= found.keys()
        found |= entries
        if is_last:
            break
    if len(found) != document.get("total_count"):
        raise TryAgain(f"the list of repositories at {path} changed while it was read")
    return found


def _proved(
    context: Context, address: Address, wanted: OrganizationSecret, selected: Mapping[str, int], reveal: Reveal
) -> Secret:
    """The value, proved for all of ours that are given it at once; where there are none, for one that will be.

    Each repository's own place is proved again before it is selected.
    """
    if using := [login for name, login in wanted.logins.items() if name.lower() in selected]:
        return [reveal(login) for login in using][-1]
    name = Place.of(address).name
    joining = [
        login
        for repository, login in wanted.logins.items()
        if context.wanted(Address(address.provider, SELECTED_SECRET, f"{repository}/{name}")) is not None
    ]
    troubles: list[ProviderError] = []
    for login in (joining or list(wanted.logins.values()))[:TRIES]:
        try:
            return reveal(login)
        except TryAgain:
            raise
        except ProviderError as error:
            troubles.append(error)
    raise troubles[0]


def set_shared_variable(client: Client, address: Address, value: str) -> dict[str, Any]:
    """Give a variable its value, for the repositories that are selected already."""
    place, path = Place.of(address), path_of(address)
    standing = client.rest("GET", path, None, 404)
    body: dict[str, Any] = {"name": place.name, "value": value}
    if standing.status == 404 or standing.document.get("visibility") != SELECTED_ONLY:
        body |= {"visibility": SELECTED_ONLY, "selected_repository_ids": []}
    if standing.status == 404:
        client.rest("POST", f"{place.vault}/variables", body)
    else:
        client.rest("PATCH", path, body)
    return {"value": value}


def select(client: Client, address: Address, wanted: Selected, reveal: Reveal) -> dict[str, Any]:
    """Give something to one repository more, of a secret once its login is proved; the receipt has its number."""
    login = wanted.login if isinstance(wanted, SelectedForSecret) else None
    if login is not None:
        reveal(login)
    place = Place.of(address)
    number = client.object(f"/repos/{place.repository}")["id"]
    reply = client.rest("PUT", f"{path_of(address)}/repositories/{number}", None, 409)
    if reply.status == 409:
        raise ProviderError(
            f"{place.name} of {place.organization} is no longer given to selected repositories, so {place.repository} "
            "cannot be one of them"
        )
    return {"repository": number, **({"login": login.model_dump(mode="json")} if login else {})}


def forget(client: Client, context: Context, address: Address) -> None:
    """Take a secret or variable of ours out of the organisation, or a repository from those that are given one."""
    path = path_of(address)
    if address.kind in SELECTED:
        path = f"{path}/repositories/{(context.recorded(address) or {}).get('repository')}"
    client.rest("DELETE", path, None, 404, 409)
