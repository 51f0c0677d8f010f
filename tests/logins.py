"""One login of each kind, as registries give them to the workflow that builds an image."""

from __future__ import annotations

from fleet.model import Address
from fleet.provider import Login, LoginStep, SecretRef

IDENTITY = Address("registry", "identity", "example/climate")
AWS_REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
AWS_ROLE = "arn:aws:iam::123456789012:role/fleet/example-climate"
GOOGLE_POOL = "projects/123456789012/locations/global/workloadIdentityPools/fleet/providers/github"

_REGISTRY_ID = AWS_REGISTRY.replace(".", "_").replace("-", "_")
_ECR = LoginStep("Log in to Amazon ECR", "ecr-login", "ecr", {"mask-password": "true"})


def secret(field: str) -> SecretRef:
    """Where a registry reveals a part of its credential."""
    return SecretRef(source=IDENTITY, field=field)


def aws(inputs: dict[str, str], secrets: dict[str, SecretRef], permissions: dict[str, str]) -> Login:
    """A login to Amazon ECR: credentials first, and with them a password of some hours."""
    credentials = LoginStep("Get credentials of AWS", "aws-credentials", "aws", {"aws-region": "us-west-2", **inputs})
    username, password = (
        f"${{{{ steps.ecr.outputs.docker_{one}_{_REGISTRY_ID} }}}}" for one in ("username", "password")
    )
    return Login(username, password, secrets, permissions, (credentials, _ECR))


LOGINS: dict[str, tuple[str, Login]] = {
    "a stored password": ("quay.io", Login.stored("example+climate", secret("token"), "QUAY_PASSWORD")),
    "a password of an organisation": (
        "quay.io",
        Login.stored("example+climate", secret("token")).suffixed("QUAY"),
    ),
    "AWS without a key": (AWS_REGISTRY, aws({"role-to-assume": AWS_ROLE}, {}, {"id-token": "write"})),
    "AWS with a key": (
        AWS_REGISTRY,
        aws(
            {
                "aws-access-key-id": "${{ secrets.AWS_ACCESS_KEY_ID }}",
                "aws-secret-access-key": "${{ secrets.AWS_SECRET_ACCESS_KEY }}",
            },
            {"AWS_ACCESS_KEY_ID": secret("id"), "AWS_SECRET_ACCESS_KEY": secret("secret")},
            {},
        ),
    ),
    "Google without a key": (
        "us-central1-docker.pkg.dev",
        Login(
            "oauth2accesstoken",
            "${{ steps.google.outputs.auth_token }}",
            permissions={"id-token": "write"},
            steps=(
                LoginStep(
                    "Log in to Google Cloud",
                    "google-auth",
                    "google",
                    {"workload_identity_provider": GOOGLE_POOL, "create_credentials_file": "false"},
                ),
            ),
        ),
    ),
    "Google with a key": (
        "us-central1-docker.pkg.dev",
        Login("_json_key", "${{ secrets.GCP_SA_KEY }}", {"GCP_SA_KEY": secret("key")}),
    ),
    "GITHUB_TOKEN": (
        "ghcr.io",
        Login("${{ github.actor }}", "${{ secrets.GITHUB_TOKEN }}", permissions={"packages": "write"}),
    ),
}
"""The registry's host and the login, by what it is."""
