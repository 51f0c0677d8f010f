"""What reading and making have in common: the APIs of one project and location, and how addresses name things there.

| kind | name |
| --- | --- |
| repository | LOCATION/REPOSITORY |
| writer | LOCATION/REPOSITORY/OWNER/NAME@refs/heads/BRANCH |
| account | LOCATION/REPOSITORY/ID of the service account |
| pool | POOL |
| provider | POOL/PROVIDER |
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.provider import Address
from fleet_google.artifacts import Artifacts
from fleet_google.iam import Iam
from fleet_google.settings import GoogleSettings
from fleet_google.specs import federated

REPOSITORY = "repository"
WRITER = "writer"
ACCOUNT = "account"
POOL = "pool"
PROVIDER = "provider"

INSIDE = (REPOSITORY, WRITER, ACCOUNT)
"""The kinds of things that belong to one repository."""


@dataclass(frozen=True, slots=True)
class Place:
    """One project and location; `is_shared` where the repository is everybody's, so that it has no owner."""

    settings: GoogleSettings
    fleet: str
    artifacts: Artifacts
    iam: Iam
    is_shared: bool

    def email(self, account: Address) -> str:
        """The email address, and so the name, of a service account."""
        return f"{account.name.rpartition('/')[2]}@{self.settings.project}.iam.gserviceaccount.com"

    def member(self, address: Address) -> str:
        """Who a writer or an account is, as policies name them."""
        if address.kind == ACCOUNT:
            return f"serviceAccount:{self.email(address)}"
        return federated(self.settings.project_number or "", self.settings.pool, address.name.split("/", 2)[2])


def group_of(address: Address) -> str:
    """The repository that something inside belongs to, with its location."""
    return "/".join(address.name.split("/")[:2])


def repository_of(address: Address) -> str:
    """The repository that something inside belongs to."""
    return address.name.split("/")[1]
