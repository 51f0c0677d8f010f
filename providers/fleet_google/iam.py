"""Workload identity pools and service accounts, which Google offers as REST; sources:

https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from fleet.provider import Credential, ProviderError, Secret, TryAgain
from fleet_google.artifacts import SECONDS_TO_MAKE
from fleet_google.login import Doing, GoogleLogin, Missing, Taken, lost
from fleet_google.rest import Document, Rest, entries
from fleet_google.specs import ATTRIBUTE, MARK, Account, Pool, PoolProvider

IAM = "https://iam.googleapis.com"

FEW = 3
"""Service accounts that are asked for one by one; of more, all of the project's are listed."""

_POOLS = "iam.workloadIdentityPools"
_PROVIDERS = "iam.workloadIdentityPoolProviders"


class Iam:
    """The pools, providers and service accounts of one project."""

    def __init__(self, login: GoogleLogin, url: str | None) -> None:
        self._api = Rest(login, f"{url or IAM}/v1")
        self._project = f"projects/{login.project}"
        self._pools = f"{self._project}/locations/global/workloadIdentityPools"

    def pool(self, name: str) -> Pool | None:
        """A pool, None where there is none or it was deleted."""
        found = self._get(Doing(f"show the workload identity pool {name}", f"{_POOLS}.get"), f"{self._pools}/{name}")
        return None if found is None or found.get("state") == "DELETED" else Pool(disabled=bool(found.get("disabled")))

    def make_pool(self, name: str) -> None:
        """Make a pool, or bring back one that was deleted, whose name stays taken for 30 days."""
        doing = Doing(f"make the workload identity pool {name}", f"{_POOLS}.create", writes=True)
        body = {"displayName": name, "description": "Builds of source repositories, made by fleet"}
        place = f"{self._pools}/{name}"
        standing = self._make(doing, f"{self._pools}?workloadIdentityPoolId={name}", body, place)
        if standing is not None:
            self._undelete(doing, place, standing)

    def provider(self, pool: str, name: str) -> PoolProvider | None:
        """A pool's provider, None where there is none or it was deleted."""
        doing = Doing(f"show the workload identity provider {name}", f"{_PROVIDERS}.get")
        found = self._get(doing, f"{self._pools}/{pool}/providers/{name}")
        return None if found is None or found.get("state") == "DELETED" else _provider_of(found)

    def make_provider(self, pool: str, name: str, wanted: PoolProvider) -> None:
        """Make a pool's provider for GitHub, or bring back one that was deleted; raises ProviderError for another."""
        place = f"{self._pools}/{pool}/providers"
        body = {
            "displayName": name,
            "oidc": {"issuerUri": wanted.issuer},
            "attributeMapping": {"google.subject": wanted.subject, f"attribute.{ATTRIBUTE}": wanted.attribute},
            "attributeCondition": wanted.condition,
        }
        doing = Doing(f"make the workload identity provider {name}", f"{_PROVIDERS}.create", writes=True)
        standing = self._make(doing, f"{place}?workloadIdentityPoolProviderId={name}", body, f"{place}/{name}")
        if standing is not None:
            if _provider_of(standing) != wanted:
                raise ProviderError(
                    f"the workload identity provider {name} is there already, perhaps deleted, and is not as fleet "
                    f"needs it: set it as docs/registries/gar.md says, or name another with `provider:`"
                )
            self._undelete(doing, f"{place}/{name}", standing)

    def account(self, email: str) -> Document | None:
        """A service account as Google describes it, None where there is none."""
        doing = Doing(f"show the service account {email}", "iam.serviceAccounts.get")
        return self._get(doing, f"{self._project}/serviceAccounts/{email}", key="email")

    def accounts(self, wanted: Collection[str]) -> Mapping[str, Document]:
        """Those of these service accounts that exist, by email."""
        if len(wanted) > FEW:
            listed = {str(account.get("email")): account for account in self._listed()}
            if listed:  # an answer of nothing at all looks like a project without service accounts
                return {email: listed[email] for email in wanted if email in listed}
        found = {email: self.account(email) for email in wanted}
        return {email: account for email, account in found.items() if account is not None}

    def _listed(self) -> Iterator[Document]:
        doing = Doing("list the service accounts", "iam.serviceAccounts.list")
        token = ""
        while True:
            path = f"{self._project}/serviceAccounts?pageSize=100&pageToken={quote(token)}"
            page = self._api.send(doing, "GET", path)
            yield from entries(doing, page, "accounts")
            token = str(page.get("nextPageToken") or "")
            if not token:
                return

    def make_account(self, account_id: str, mark: str) -> None:
        """Make a service account; no error where there is one already."""
        doing = Doing(f"make the service account {account_id}", "iam.serviceAccounts.create", writes=True)
        body = {"accountId": account_id, "serviceAccount": {"displayName": "Builds of an image", "description": mark}}
        try:
            self._api.send(doing, "POST", f"{self._project}/serviceAccounts", body)
        except Taken:
            raise TryAgain(f"the service account {account_id} was made by somebody else just now") from None

    def describe_account(self, email: str, mark: str) -> None:
        """Set the description of a service account, which holds our mark."""
        doing = Doing(f"describe the service account {email}", "iam.serviceAccounts.update", writes=True)
        body = {"serviceAccount": {"description": mark}, "updateMask": "description"}
        self._api.send(doing, "PATCH", f"{self._project}/serviceAccounts/{email}", body)

    def enable_account(self, email: str) -> None:
        """Enable a service account that was disabled."""
        doing = Doing(f"enable the service account {email}", "iam.serviceAccounts.enable", writes=True)
        self._api.send(doing, "POST", f"{self._project}/serviceAccounts/{email}:enable", {})

    def delete_account(self, email: str) -> None:
        """Delete a service account and with it all of its keys; no error where it is gone."""
        doing = Doing(f"delete the service account {email}", "iam.serviceAccounts.delete", writes=True)
        try:
            self._api.send(doing, "DELETE", f"{self._project}/serviceAccounts/{email}")
        except Missing:
            return

    def keys(self, email: str) -> Sequence[Credential]:
        """The keys that somebody holds of a service account, oldest first; none where there is no such account."""
        doing = Doing(f"list the keys of {email}", "iam.serviceAccountKeys.list")
        try:
            page = self._api.send(doing, "GET", f"{self._project}/serviceAccounts/{email}/keys?keyTypes=USER_MANAGED")
        except Missing:
            return []
        found = [
            Credential(_key_id(key), _moment(doing, key), is_enabled=not key.get("disabled"))
            for key in entries(doing, page, "keys")
        ]
        return sorted(found, key=lambda credential: credential.created)

    def make_key(self, email: str) -> tuple[str, Secret]:
        """A new key: its id, and what Google shows only now, in base64."""
        doing = Doing(f"make a key of {email}", "iam.serviceAccountKeys.create", writes=True)
        made = self._api.send(doing, "POST", f"{self._project}/serviceAccounts/{email}/keys", {})
        if not (isinstance(made.get("name"), str) and isinstance(made.get("privateKeyData"), str)):
            raise lost(doing, "sent no key")
        return _key_id(made), Secret(made["privateKeyData"])

    def delete_key(self, email: str, key: str) -> None:
        """Revoke a key; no error where it is gone."""
        doing = Doing(f"delete a key of {email}", "iam.serviceAccountKeys.delete", writes=True)
        try:
            self._api.send(doing, "DELETE", f"{self._project}/serviceAccounts/{email}/keys/{key}")
        except Missing:
            return

    def _get(self, doing: Doing, path: str, key: str = "name") -> Document | None:
        try:
            found = self._api.send(doing, "GET", path)
        except Missing:
            return None
        if not isinstance(found.get(key), str):
            raise lost(doing, "sent something that is not the answer")
        return found

    def _make(self, doing: Doing, path: str, body: Document, place: str) -> Document | None:
        """Make something; what stands at its place where its name is taken."""
        try:
            self._done(doing, self._api.send(doing, "POST", path, body))
        except Taken:
            standing = self._get(doing, place)
            if standing is None:  # it was asked for already, and cannot be seen yet
                raise TryAgain(f"Google Cloud is about to {doing.words}", SECONDS_TO_MAKE) from None
            return standing
        return None

    def _undelete(self, doing: Doing, place: str, standing: Document) -> None:
        """Bring back what was deleted."""
        if standing.get("state") == "DELETED":
            again = Doing(doing.words, doing.permission.replace(".create", ".undelete"), writes=True)
            self._done(again, self._api.send(again, "POST", f"{place}:undelete", {}))

    def _done(self, doing: Doing, operation: Document) -> None:
        """Raise TryAgain while an operation goes on, and ProviderError where it has failed."""
        if not isinstance(operation.get("name"), str):
            raise lost(doing, "sent no operation")
        if isinstance(operation.get("error"), dict):
            raise ProviderError(f"Google Cloud does not {doing.words}: {operation['error'].get('message')}")
        if not operation.get("done"):
            raise TryAgain(f"Google Cloud is about to {doing.words}", SECONDS_TO_MAKE)


def _provider_of(found: Document) -> PoolProvider:
    mapping, oidc = found.get("attributeMapping") or {}, found.get("oidc") or {}
    return PoolProvider(
        issuer=str(oidc.get("issuerUri", "")),
        attribute=str(mapping.get(f"attribute.{ATTRIBUTE}", "")),
        subject=str(mapping.get("google.subject", "")),
        condition=found.get("attributeCondition"),
        disabled=bool(found.get("disabled")),
    )


def _key_id(key: Document) -> str:
    return str(key.get("name")).rpartition("/")[2]


def _moment(doing: Doing, key: Document) -> datetime:
    try:
        return datetime.fromisoformat(str(key.get("validAfterTime")))
    except ValueError:
        raise lost(doing, "sent a key without its date") from None


def account_of(account: Document) -> Account:
    """A service account as it stands, before anybody has asked what it may do."""
    mark = str(account.get("description") or "")
    owner = mark.removeprefix(MARK) if mark.startswith(MARK) else None
    return Account(owner=owner, roles=(), disabled=bool(account.get("disabled")))


def marked(fleet: str) -> str:
    """The description of a service account of a fleet's."""
    return f"{MARK}{fleet}"
