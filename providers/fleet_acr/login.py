"""Who fleet is to Azure: a service principal of fleet.yaml, or whoever is logged in where it runs.

Importing this imports `azure.core`; `azure.identity` comes with the first request.
"""

from __future__ import annotations

import threading
from typing import Any

from azure.core.credentials import AccessToken, TokenCredential

from fleet.provider import Context, OutOfBudget, ProviderError, TryAgain
from fleet_acr.specs import AzureAuth
from fleet_acr.transport import QUIET, Refusal, Transport, refusals


class Login:
    """Who fleet is to Azure, as the SDKs want it; what goes wrong is a sentence."""

    def __init__(self, auth: AzureAuth | None, context: Context, transport: Transport) -> None:
        self._auth, self._context, self._transport = auth, context, transport
        self._lock = threading.Lock()
        self._made: TokenCredential | None = None
        self._has_worked = False

    def get_token(self, *scopes: str, **keys: Any) -> AccessToken:
        """An access token for these scopes, from memory where one still lives."""
        with refusals(self.refused):
            if self._auth is None:
                self._context.spend()
            try:
                token = self._credential().get_token(*scopes, **keys)
            except ValueError as error:  # what MSAL makes of an answer that is none of Entra's
                raise TryAgain("Microsoft Entra answers with something that is no answer to a login") from error
        self._has_worked = True
        return token

    def refused(self, refusal: Refusal) -> Exception:
        """The error for a login that Azure refuses."""
        code = f" ({refusal.entra_code or refusal.code})" if refusal.entra_code or refusal.code else ""
        if self._auth is None:
            who = "no login to Azure works here: log in with `az login`, or write `auth:` with a service principal"
        else:
            who = (
                f"Azure refuses the login of the application {self._auth.client_id}{code}: its secret is wrong or has "
                "expired, or the tenant is another one; make a new secret in Entra, under App registrations"
            )
        if self._has_worked:
            return OutOfBudget(f"the login to Azure stopped working during the run{code}; renew it, and run again")
        return ProviderError(who)

    def _credential(self) -> TokenCredential:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> TokenCredential:
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        if self._auth is None:  # its own transport, because it looks for a virtual machine with a time-out of its own
            return DefaultAzureCredential(disable_instance_discovery=True, **QUIET)
        return ClientSecretCredential(
            self._auth.tenant,
            self._auth.client_id,
            self._context.secret(self._auth.client_secret).expose(),
            authority=self._auth.authority,
            disable_instance_discovery=True,  # the authority is the operator's own word
            transport=self._transport,
            **QUIET,
        )
