"""What one login to Azure may do with one registry: its scope maps, its tokens, its tags, and who it is there.

Sources: https://learn.microsoft.com/rest/api/containerregistry/ for the Resource Manager's part,
https://learn.microsoft.com/azure/container-registry/container-registry-authentication for the exchange of an Entra
token. Importing this imports Azure's packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

from azure.containerregistry import ArtifactTagOrder, ContainerRegistryClient
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import (
    GenerateCredentialsParameters,
    ScopeMap,
    ScopeMapProperties,
    Token,
    TokenCredentialsProperties,
    TokenPassword,
    TokenProperties,
    TokenUpdateParameters,
    TokenUpdateProperties,
)

from fleet.provider import (
    Ask,
    Context,
    Credentials,
    Http,
    ProviderError,
    Secret,
    Tag,
    TryAgain,
    Unsure,
    host_of,
)
from fleet_acr.login import Login
from fleet_acr.permissions import Grant, grants_in
from fleet_acr.specs import HELP, AcrSettings
from fleet_acr.transport import POLL, QUIET, Refusal, Transport, refusals

NOBODY = "00000000-0000-0000-0000-000000000000"
"""The user name that goes with a refresh token of the registry."""

Thing = TypeVar("Thing", ScopeMap, Token)

_DATA_PLANE = "https://containerregistry.azure.net"
_PERMISSIONS = "?api-version=2022-04-01"


class Azure:
    """The registry of the settings, to one login."""

    def __init__(self, settings: AcrSettings, context: Context, http: Http) -> None:
        self._settings, self._http = settings, http
        self._transport = Transport(http)
        self.login = Login(settings.auth, context, self._transport)

    def scope_maps(self) -> Mapping[str, ScopeMap]:
        """All scope maps of the registry, by name."""
        found = self._listed("see the scope maps", self._client.scope_maps.list)
        return {str(entry.name): entry for entry in found}

    def tokens(self) -> Mapping[str, Token]:
        """All tokens of the registry, by name, without their passwords."""
        found = self._listed("see the tokens", self._client.tokens.list)
        return {str(entry.name): entry for entry in found}

    def scope_map(self, name: str) -> ScopeMap | None:
        """One scope map; None where there is none of that name."""
        return self._one(f"see the scope map {name}", self._client.scope_maps.get, name)

    def token(self, name: str) -> Token | None:
        """One token, without its passwords; None where there is none of that name."""
        return self._one(f"see the token {name}", self._client.tokens.get, name)

    def grants(self) -> list[Grant] | None:
        """What this login may do on the registry, a request for each page of roles; None where Azure does not say.

        https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
        """
        manager, found = self._settings.manager.rstrip("/"), list[Grant]()
        url: str | None = f"{manager}{self._registry_id}/providers/Microsoft.Authorization/permissions{_PERMISSIONS}"
        while url is not None:
            if host_of(url) != host_of(manager):  # our login stays with this Resource Manager
                raise ProviderError(f"{host_of(manager)} sends the next page of permissions to another host")
            token = self.login.get_token(f"{manager}/.default").token
            answer = self._http.send(Ask("GET", url, {"authorization": f"Bearer {token}"}))
            if answer.status != 200:
                return None
            found += grants_in(answer.json())
            url = answer.json().get("nextLink") or None
        return found

    def put_scope_map(self, name: str, description: str, actions: tuple[str, ...]) -> None:
        """Make a scope map what it is to be, whatever it was."""
        properties = ScopeMapProperties(actions=[*actions], description=description)
        with self._doing(f"write the scope map {name}"):
            self._client.scope_maps.begin_create(*self._where, name, ScopeMap(properties=properties)).result()

    def put_token(self, name: str, scope_map: str) -> None:
        """Make a token with a scope map, or give it that one; its passwords stay."""
        properties = TokenProperties(scope_map_id=self._id("scopeMaps", scope_map), status="enabled")
        with self._doing(f"write the token {name}"):
            self._client.tokens.begin_create(*self._where, name, Token(properties=properties)).result()

    def update_token(self, name: str, scope_map: str) -> None:
        """Enable a token and give it a scope map; its passwords stay."""
        properties = TokenUpdateProperties(scope_map_id=self._id("scopeMaps", scope_map), status="enabled")
        self._update(name, TokenUpdateParameters(properties=properties))

    def keep_passwords(self, name: str, slots: Sequence[str]) -> None:
        """Take all passwords of a token away but those of these slots."""
        kept = TokenCredentialsProperties(passwords=[TokenPassword(name=slot) for slot in slots])
        self._update(name, TokenUpdateParameters(properties=TokenUpdateProperties(credentials=kept)))

    def new_password(self, name: str, slot: str) -> tuple[datetime | None, Secret]:
        """A new password in a slot of a token, shown only now, and when it was made; the one that was there dies."""
        parameters = GenerateCredentialsParameters(token_id=self._id("tokens", name), name=slot)
        with self._doing(f"make a password for the token {name}"):
            made = self._client.registries.begin_generate_credentials(*self._where, parameters).result()
        for password in made.passwords or ():
            if password.name == slot and isinstance(password.value, str) and password.value.strip():
                return password.creation_time, Secret(password.value)
        raise ProviderError(f"Azure was asked for a password of the token {name}, and shows none")

    def delete_token(self, name: str) -> None:
        """Delete a token with its passwords; no error when it is gone."""
        with self._doing(f"delete the token {name}"):
            self._client.tokens.begin_delete(*self._where, name).result()

    def delete_scope_map(self, name: str) -> None:
        """Delete a scope map; no error when it is gone."""
        with self._doing(f"delete the scope map {name}"):
            self._client.scope_maps.begin_delete(*self._where, name).result()

    def credentials(self) -> Credentials:
        """Who this login is to the registry itself: one exchange, good for three hours."""
        url, service = self._settings.login_server, self._settings.login_server.partition("://")[2]
        form = {"grant_type": "access_token", "service": service}
        token = self.login.get_token(f"{_DATA_PLANE}/.default")
        body = urlencode({**form, "access_token": token.token}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        try:
            answer = self._http.send(Ask("POST", f"{url}/oauth2/exchange", headers, body))
        except Unsure as error:  # asking for a token twice does no harm
            raise TryAgain(str(error)) from error
        if answer.status != 200:
            raise self._unknown(answer.status)
        document = answer.json()
        refresh = document.get("refresh_token") if isinstance(document, dict) else None
        if not isinstance(refresh, str) or not refresh:
            raise ProviderError(f"{service} answers a login with no token; is it an Azure registry?")
        return Credentials(NOBODY, Secret(refresh))

    def tags(self, repository: str) -> Iterator[Tag]:
        """The tags of a repository, newest first, a page of a hundred at a time as they are asked for."""
        with refusals(lambda refusal: self._unknown(refusal.status)):
            listed = self._data.list_tag_properties(
                repository,
                order_by=ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING,
                results_per_page=100,
                error_map={404: ResourceNotFoundError},
            )
            try:
                yield from (Tag(tag.name, tag.digest, tag.last_updated_on) for tag in listed)
            except ResourceNotFoundError:
                return

    @cached_property
    def _client(self) -> ContainerRegistryManagementClient:
        assert self._settings.subscription is not None, "home() asks for it"
        return ContainerRegistryManagementClient(
            self.login,
            self._settings.subscription,
            base_url=self._settings.manager.rstrip("/"),
            credential_scopes=[f"{self._settings.manager.rstrip('/')}/.default"],
            transport=self._transport,
            polling_interval=POLL,
            **QUIET,
        )

    @cached_property
    def _data(self) -> ContainerRegistryClient:
        return ContainerRegistryClient(
            self._settings.login_server, self.login, audience=_DATA_PLANE, transport=self._transport, **QUIET
        )

    @property
    def _where(self) -> tuple[str, str]:
        assert self._settings.resource_group is not None, "home() asks for it"
        return self._settings.resource_group, self._settings.registry

    @property
    def _registry_id(self) -> str:
        group, registry = self._where
        return (
            f"/subscriptions/{self._settings.subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.ContainerRegistry/registries/{registry}"
        )

    def _id(self, collection: str, name: str) -> str:
        return f"{self._registry_id}/{collection}/{name}"

    def _update(self, name: str, parameters: TokenUpdateParameters) -> None:
        with self._doing(f"change the token {name}"):
            self._client.tokens.begin_update(*self._where, name, parameters).result()

    def _listed(self, doing: str, listing: Callable[..., Iterable[Thing]]) -> list[Thing]:
        with self._doing(doing):
            return list(listing(*self._where, raw_response_hook=_is_listing))

    def _one(self, doing: str, getting: Callable[[str, str, str], Thing], name: str) -> Thing | None:
        with self._doing(doing):
            try:
                found = getting(*self._where, name)
            except ResourceNotFoundError:
                return None
            if found.name is None:
                raise TryAgain(f"Azure sends something for {name} that has no name")
            return found

    def _unknown(self, status: int) -> ProviderError:
        """The error for a login that Azure knows and the registry does not."""
        return ProviderError(
            f"{host_of(self._settings.login_server)} does not know the login that fleet has in Azure ({status}): give "
            f"it the role AcrPull on the registry; {HELP}"
        )

    def _doing(self, doing: str) -> AbstractContextManager[None]:
        return refusals(self._explain(doing))

    def _explain(self, doing: str) -> Callable[[Refusal], Exception]:
        def explain(refusal: Refusal) -> Exception:
            group, registry = self._settings.resource_group, self._settings.registry
            if refusal.status == 401:
                return self.login.refused(refusal)
            if refusal.permission:
                return ProviderError(
                    f"Azure does not let fleet {doing}: its login lacks the permission {refusal.permission} on the "
                    f"registry {registry}; {HELP}"
                )
            if refusal.status in (403, 404):
                return ProviderError(
                    f"Azure does not let fleet {doing}: {refusal.message.rstrip('.')} ({refusal.code}); check "
                    f"`subscription`, `resource_group: {group}` and `registry: {registry}`"
                )
            said = f"{refusal.code}: {refusal.message}" if refusal.code else refusal.message
            return ProviderError(f"Azure refuses to {doing}: {said}")

        return explain


def _is_listing(response: Any) -> None:
    """Refuse an answer that is no listing, which the SDK would take for an empty one."""
    answer = response.http_response
    if answer.status_code == 200 and not isinstance(answer.json().get("value"), list):
        raise TryAgain("Azure sends something that is no listing")
