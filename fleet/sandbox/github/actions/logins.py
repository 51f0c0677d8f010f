"""The login actions: what the steps before a build call, and where a registry's side is plugged in.

A login action is a function `action(machine, inputs) -> outputs` (`machine.Action`), found by its name without version
in `LOGINS`. It does over real HTTP what the real action does, and nothing else:

- `machine.identity(audience)` is GitHub's signed token for the run; it is None in a job without `id-token: write`.
  `oidc.Issuer` signs it (RS256), and answers at the sandbox's own address with `/.well-known/openid-configuration` and
  `/.well-known/jwks`. The issuer in it is GitHub's own name, so whoever checks tokens maps
  `https://token.actions.githubusercontent.com` to that address (or takes `Sandbox.issuer.public_key`).
- `machine.services.address(host)` is where the service that the action calls is to be found:

      serve_github(folder,
                   registries={"123456789012.dkr.ecr.us-west-2.amazonaws.com": registry.url},
                   services={"sts.us-west-2.amazonaws.com": aws.url, "api.ecr.us-west-2.amazonaws.com": aws.url})

  A host without an address fails the step by name; nothing leaves the machine.
- `machine.env` is exported to later steps; `machine.disk.workspace` is what a build copies into its image, so an action
  that leaves a file there does so here; scripts find at `ACTIONS_ID_TOKEN_REQUEST_URL` what `machine.identity` gives;
  `machine.mask(secret)` keeps a secret out of messages.

| action | calls |
| --- | --- |
| `aws-actions/configure-aws-credentials` | `sts.REGION.amazonaws.com`: AssumeRoleWithWebIdentity, GetCallerIdentity |
| `aws-actions/amazon-ecr-login` | `api.ecr.REGION.amazonaws.com`: GetAuthorizationToken |
| `google-github-actions/auth` | `sts.googleapis.com`: POST /v1/token |
| `azure/login` | `login.microsoftonline.com`: POST /TENANT/oauth2/v2.0/token |

A registry with another action brings it to one sandbox, `serve_github(…, actions={"owner/name": function})`, or to all
by a row here. An action that is in neither fails its step by name, and so does an input that nobody obeys here.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.sandbox.github.actions.aws import configure_credentials, log_in_to_ecr
from fleet.sandbox.github.actions.azure import log_in
from fleet.sandbox.github.actions.google import authenticate
from fleet.sandbox.github.actions.machine import Action

LOGINS: Mapping[str, Action] = {
    "aws-actions/configure-aws-credentials": configure_credentials,
    "aws-actions/amazon-ecr-login": log_in_to_ecr,
    "google-github-actions/auth": authenticate,
    "azure/login": log_in,
}
"""The login actions that the sandbox carries out, by name without version."""
