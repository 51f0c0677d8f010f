"""How a build logs in to ECR: with a role, with a key that fleet issues, or with a key of the operator's. All pure."""

from __future__ import annotations

import re

from fleet.provider import Address, Login, LoginStep, SecretRef
from fleet_ecr.keys import ID, SECRET
from fleet_ecr.specs import Names

KEY_ID, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
"""What repo2docker-action's own examples call the secrets."""


def keyless(names: Names, role: str) -> Login:
    """GitHub vouches for the run, and AWS lets it assume the role: there is no secret."""
    inputs = {"role-to-assume": names.role_arn(role), "aws-region": names.region}
    step = LoginStep("Assume the role that may push", "aws-credentials", "aws", inputs)
    return _login(names, step, permissions={"id-token": "write"})


def with_key(names: Names, source: Address) -> Login:
    """The key of a user, kept as two secrets."""
    secrets = {KEY_ID: SecretRef(source=source, field=ID), SECRET_KEY: SecretRef(source=source, field=SECRET)}
    return _login(names, _key_step(names, f"${{{{ secrets.{KEY_ID} }}}}"), secrets)


def own(names: Names, key: str, password: SecretRef) -> Login:
    """A key of the operator's, of which only the secret part is kept as a secret."""
    return _login(names, _key_step(names, key), {SECRET_KEY: password})


def of_job(region: str) -> LoginStep:
    """Fleet's own login in a job of its repository: a role that trusts the job's environment."""
    inputs = {"aws-region": region, "role-to-assume": "${{ vars.FLEET_AWS_ROLE }}"}
    return LoginStep("Log in to AWS", "aws-credentials", "aws", inputs)


def _key_step(names: Names, key: str) -> LoginStep:
    inputs = {
        "aws-access-key-id": key,
        "aws-secret-access-key": f"${{{{ secrets.{SECRET_KEY} }}}}",
        "aws-region": names.region,
    }
    return LoginStep("Log in to AWS", "aws-credentials", "aws", inputs)


def _login(
    names: Names,
    first: LoginStep,
    secrets: dict[str, SecretRef] | None = None,
    permissions: dict[str, str] | None = None,
) -> Login:
    """The outputs are called as https://github.com/aws-actions/amazon-ecr-login calls them: by the registry's host."""
    host = re.sub(r"[^A-Za-z0-9_]+", "_", names.host)
    username, password = (f"${{{{ steps.ecr.outputs.docker_{what}_{host} }}}}" for what in ("username", "password"))
    second = LoginStep("Log in to Amazon ECR", "ecr-login", "ecr", {"mask-password": "true"})
    return Login(username, password, secrets or {}, permissions or {}, (first, second))
