"""`aws-actions/configure-aws-credentials` and `aws-actions/amazon-ecr-login`, with AWS's own client.

https://github.com/aws-actions/configure-aws-credentials, https://github.com/aws-actions/amazon-ecr-login
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.github.actions.machine import Machine, StepFailed, check_inputs

CONFIGURE, LOGIN = "aws-actions/configure-aws-credentials", "aws-actions/amazon-ecr-login"

_CONFIGURE_INPUTS = {
    "aws-region",
    "role-to-assume",
    "aws-access-key-id",
    "aws-secret-access-key",
    "audience",
    "role-session-name",
    "role-duration-seconds",
    "mask-aws-account-id",
    "output-credentials",
}
_LOGIN_INPUTS = {"registries", "mask-password", "registry-type", "skip-logout"}
_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def configure_credentials(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Take a key as it is, or a role by GitHub's token; later steps find the credentials in their environment."""
    check_inputs(inputs, _CONFIGURE_INPUTS, CONFIGURE)
    region, role = inputs.get("aws-region", ""), inputs.get("role-to-assume", "")
    key, secret = inputs.get("aws-access-key-id", ""), inputs.get("aws-secret-access-key", "")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise StepFailed(f"Region is not valid: {region}")
    if key and role:
        raise StepFailed("the sandbox does not know how to take a role with a key")
    if key and not secret:
        raise StepFailed("'aws-secret-access-key' must be provided if 'aws-access-key-id' is provided")
    machine.env.update({"AWS_REGION": region, "AWS_DEFAULT_REGION": region})
    found = {"AccessKeyId": key, "SecretAccessKey": secret} if key else _assume(machine, region, role, inputs)
    values = (found["AccessKeyId"], machine.mask(found["SecretAccessKey"]), found.get("SessionToken", ""))
    if values[2]:
        machine.mask(values[2])
    machine.env.update({name: value for name, value in zip(_VARIABLES, values, strict=True) if value})
    account = str(_call(machine, "sts", "get_caller_identity")["Account"])
    outputs = {"aws-account-id": account}
    if inputs.get("output-credentials") == "true":
        names = ("aws-access-key-id", "aws-secret-access-key", "aws-session-token")
        outputs |= dict(zip(names, values, strict=True))
    return outputs


def _assume(machine: Machine, region: str, role: str, inputs: Mapping[str, str]) -> Mapping[str, str]:
    if not role or machine.identity is None:
        hint = "Did you mean to set the `id-token` permission?" if role else ""
        raise StepFailed(f"Credentials could not be loaded, please check your action inputs. {hint}".rstrip())
    token = machine.mask(machine.identity(inputs.get("audience") or "sts.amazonaws.com"))
    answer = _call(
        machine,
        "sts",
        "assume_role_with_web_identity",
        RoleArn=role,
        RoleSessionName=inputs.get("role-session-name") or "GitHubActions",
        WebIdentityToken=token,
        DurationSeconds=int(inputs.get("role-duration-seconds") or 3600),
    )
    credentials: Mapping[str, str] = answer["Credentials"]
    return credentials


def log_in_to_ecr(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """A password for each registry, as outputs that are named by the registry's host."""
    check_inputs(inputs, _LOGIN_INPUTS, LOGIN)
    if inputs.get("registry-type", "private") != "private":
        raise StepFailed("the sandbox knows private registries only")
    accounts = [account for account in re.split(r"[\s,]+", inputs.get("registries", "")) if account]
    answer = _call(machine, "ecr", "get_authorization_token", **({"registryIds": accounts} if accounts else {}))
    outputs: dict[str, str] = {}
    for granted in answer["authorizationData"]:
        username, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
        host = re.sub(r"^https?://", "", granted["proxyEndpoint"])
        named = re.sub(r"[^a-zA-Z0-9_]+", "_", host)
        outputs |= {f"docker_username_{named}": username, f"docker_password_{named}": machine.mask(password)}
        outputs["registry"] = host
    return outputs


def _call(machine: Machine, service: str, operation: str, **given: Any) -> Mapping[str, Any]:
    """One call to AWS with the credentials that the environment has by now."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    region = machine.env.get("AWS_REGION", "")
    if not region:
        raise StepFailed("Input required and not supplied: aws-region")
    host = f"api.ecr.{region}.amazonaws.com" if service == "ecr" else f"sts.{region}.amazonaws.com"
    key, secret, token = (machine.env.get(name) for name in _VARIABLES)
    signature = None if key else UNSIGNED
    config = Config(retries={"total_max_attempts": 1}, signature_version=signature, proxies={})
    client = botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=machine.services.address(host),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config,
    )
    try:
        answer: Mapping[str, Any] = getattr(client, operation)(**given)
    except (ClientError, BotoCoreError) as error:
        raise StepFailed(str(error)) from None
    finally:
        client.close()
    return answer
