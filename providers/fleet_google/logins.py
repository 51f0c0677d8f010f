"""How a build logs in to push: as itself, with the key of a service account, or as the operator says."""

from __future__ import annotations

from fleet.provider import Address, Login, LoginStep, SecretRef
from fleet_google.settings import GoogleSettings

PASSWORD = "password"  # noqa: S105 - the name of a field

TOKEN_USER = "oauth2accesstoken"  # noqa: S105 - a user name
"""Goes with an access token: https://cloud.google.com/artifact-registry/docs/docker/authentication"""

KEY_USER = "_json_key_base64"
"""Goes with a service account's key, in base64: on one line, as logs can be searched for it."""


def keyless(settings: GoogleSettings, provider: str) -> Login:
    """The build's own identity: nothing is stored, and no file of it can come into the image.

    Without a service account, google-github-actions/auth has no `access_token`; its `auth_token` is the federated one,
    which lives for an hour: https://github.com/google-github-actions/auth#outputs
    """
    pools = f"projects/{settings.project_number}/locations/global/workloadIdentityPools"
    inputs = {
        "project_id": settings.project,
        "workload_identity_provider": f"{pools}/{settings.pool}/providers/{provider}",
        "create_credentials_file": "false",
    }
    step = LoginStep("Log in to Google Cloud", "google-auth", "google", inputs)
    password = "${{ steps.google.outputs.auth_token }}"  # noqa: S105 - an expression
    return Login(TOKEN_USER, password, permissions={"id-token": "write"}, steps=(step,))


def of_job(settings: GoogleSettings) -> LoginStep | None:
    """Fleet's own login in a job of its repository: the identity of the job's environment, to whom Google gives rights.

    None where fleet.yaml names a login. With the project, Google's packages need not ask for it.
    """
    if settings.auth is not None:
        return None
    inputs = {"project_id": settings.project, "workload_identity_provider": "${{ vars.FLEET_GOOGLE_PROVIDER }}"}
    return LoginStep("Log in to Google Cloud", "google-auth", "google", inputs)


def with_key(account: Address) -> Login:
    """The key of a service account, kept as a secret."""
    return Login.stored(KEY_USER, SecretRef(source=account, field=PASSWORD))
