"""`google-github-actions/auth` with Workload Identity Federation and no service account ("direct").

https://github.com/google-github-actions/auth, https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx

from fleet.sandbox.github.actions.machine import Machine, StepFailed, check_inputs
from fleet.sandbox.github.actions.oidc import Identity

NAME = "google-github-actions/auth"
STS = "sts.googleapis.com"

_INPUTS = {
    "project_id",
    "workload_identity_provider",
    "audience",
    "create_credentials_file",
    "export_environment_variables",
    "cleanup_credentials",
}
_TYPES = "urn:ietf:params:oauth"
_PROJECT = ("CLOUDSDK_CORE_PROJECT", "CLOUDSDK_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT", "GOOGLE_CLOUD_PROJECT")
_CREDENTIALS = ("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GHA_CREDS_PATH")


def authenticate(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Exchange GitHub's token for a federated one, which is the output `auth_token`."""
    check_inputs(inputs, _INPUTS, NAME)
    provider = inputs.get("workload_identity_provider", "")
    if not provider:
        raise StepFailed("the sandbox knows this action with `workload_identity_provider` only")
    if machine.identity is None:
        raise StepFailed(
            f"{NAME} failed with: GitHub Actions did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN or "
            "$ACTIONS_ID_TOKEN_REQUEST_URL into this job. The job needs `id-token: write`."
        )
    token = machine.mask(machine.identity(inputs.get("audience") or f"https://iam.googleapis.com/{provider}"))
    exports = inputs.get("export_environment_variables", "true") == "true"
    outputs: dict[str, str] = {}
    if inputs.get("create_credentials_file", "true") == "true":
        outputs["credentials_file_path"] = _write_file(machine, provider, machine.identity, exports=exports)
    if project := inputs.get("project_id"):
        outputs["project_id"] = project
        machine.env.update(dict.fromkeys(_PROJECT, project) if exports else {})
    outputs["auth_token"] = machine.mask(_exchange(machine, provider, token))
    return outputs


def _write_file(machine: Machine, provider: str, identity: Identity, *, exports: bool) -> str:
    """The file with which Google's libraries log in, and ask GitHub for a new token as often as they need one.

    The real action leaves it in the workspace too.
    """
    asked = urlencode({"audience": f"https://iam.googleapis.com/{provider}"})
    document = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{provider}",
        "subject_token_type": f"{_TYPES}:token-type:jwt",
        "token_url": f"{machine.services.address(STS)}/v1/token",
        "credential_source": {
            "url": f"{identity.url}&{asked}",
            "headers": {"Authorization": f"Bearer {identity.bearer}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    path = machine.disk.workspace / f"gha-creds-{secrets.token_hex(8)}.json"
    path.write_text(json.dumps(document))
    machine.env.update(dict.fromkeys(_CREDENTIALS, str(path)) if exports else {})
    return str(path)


def _exchange(machine: Machine, provider: str, token: str) -> str:
    audience = f"//iam.googleapis.com/{provider}"
    body = {
        "audience": audience,
        "grantType": f"{_TYPES}:grant-type:token-exchange",
        "requestedTokenType": f"{_TYPES}:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "subjectTokenType": f"{_TYPES}:token-type:jwt",
        "subjectToken": token,
    }
    trouble = f"{NAME} failed with: Failed to generate Google Cloud federated token for {audience}"
    try:
        answer = httpx.post(f"{machine.services.address(STS)}/v1/token", json=body, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise StepFailed(f"{trouble}: {type(error).__name__}") from None
    if answer.status_code != 200:
        raise StepFailed(f"{trouble}: HTTP {answer.status_code}: {answer.text[:500]}")
    return str(answer.json()["access_token"])
