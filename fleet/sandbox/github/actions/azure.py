"""`azure/login` with a federated credential, and as much of the Azure CLI as whoever uses that session asks for.

https://github.com/Azure/login,
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from fleet.sandbox.github.actions.machine import Machine, StepFailed, check_inputs

NAME = "azure/login"
ENTRA, MANAGER = "login.microsoftonline.com", "https://management.azure.com"

_INPUTS = {"client-id", "tenant-id", "subscription-id", "allow-no-subscriptions", "audience"}
_AUDIENCE = "api://AzureADTokenExchange"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_CLI = '''\
#!{python}
"""`az account get-access-token`, for a session that azure/login has begun: each resource is asked for when it is
needed, with the assertion of that login, as the Azure CLI does it."""
import json, sys, time, urllib.error, urllib.parse, urllib.request

asked = sys.argv[1:]
if asked[:-1] != ["account", "get-access-token", "--output", "json", "--resource"]:
    sys.exit(f"the sandbox's az does not know {{asked}}")
session = json.load(open({session!r}))
form = {{**session["form"], "scope": asked[-1] + "/.default"}}
try:
    answer = json.load(urllib.request.urlopen(session["url"], urllib.parse.urlencode(form).encode()))
except urllib.error.HTTPError as error:
    sys.exit("ERROR: " + json.load(error)["error_description"])
print(json.dumps({{"accessToken": answer["access_token"], "expires_on": int(time.time()) + answer["expires_in"]}}))
'''


def log_in(machine: Machine, inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Prove at Entra that GitHub vouches for the job, and leave a session to the steps that follow."""
    check_inputs(inputs, _INPUTS, NAME)
    client, tenant = inputs.get("client-id", ""), inputs.get("tenant-id", "")
    if not client or not tenant:
        raise StepFailed("Not all values are present. Ensure 'client-id' and 'tenant-id' are supplied.")
    if not inputs.get("subscription-id") and inputs.get("allow-no-subscriptions") != "true":
        raise StepFailed("Ensure 'subscription-id' is supplied or 'allow-no-subscriptions' is 'true'.")
    if machine.identity is None:
        raise StepFailed("Please make sure to give write permissions to id-token in the workflow.")
    url = f"{machine.services.address(ENTRA)}/{tenant}/oauth2/v2.0/token"
    form = {
        "client_id": client,
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION,
        "client_assertion": machine.mask(machine.identity(inputs.get("audience") or _AUDIENCE)),
    }
    answer = httpx.post(url, data={**form, "scope": f"{MANAGER}/.default"}, timeout=10, trust_env=False)
    if answer.status_code != 200:
        raise StepFailed(f"Login failed with Error: {answer.json()['error_description']}")
    machine.path.insert(0, str(_install(machine, {"url": url, "form": form})))
    return {}


def _install(machine: Machine, session: Mapping[str, object]) -> Path:
    """Put the CLI on the disk; the folder that it is in."""
    folder = machine.disk.temp / "_az"
    folder.mkdir(exist_ok=True)
    kept = machine.disk.home / ".azure" / "session.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(session))
    program = folder / "az"
    program.write_text(_CLI.format(python=sys.executable, session=str(kept)))
    program.chmod(0o755)
    return folder
