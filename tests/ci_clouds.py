"""Fleet repositories whose registry is in a cloud that lets jobs in because GitHub vouches for them: nothing is stored.

Each cloud trusts two subjects: `fleet-plan` may read, `fleet-apply` may do what the documentation says fleet needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jwt
from moto.sts.models import sts_backends

from fleet.sandbox.acr import Acr
from fleet.sandbox.azure import RIGHTS, AzureState, Client
from fleet.sandbox.ecr import RunningEcr, serve_ecr
from fleet.sandbox.google import FLEETS_PERMISSIONS, GoogleCloud, State
from fleet.sandbox.http import Loopback
from tests.fleet_in_ci import FLEET, PROGRAM, FleetInCI, Place, judged_github
from tests.subjects.acr import AUTHORITY, server_context
from tests.subjects.common import key
from tests.subjects.ecr import documented_policy
from tests.subjects.google import ISSUER

ENVIRONMENTS = ("fleet-plan", "fleet-apply")
READS = ("Get", "List", "Describe", "BatchGet")
"""How actions of AWS begin that change nothing."""

Record = Callable[[str, object], None]


def subject(environment: str) -> str:
    """What GitHub says of a job in an environment of the fleet repository."""
    return f"repo:{FLEET}:environment:{environment}"


@contextmanager
def on_aws(folder: Path, record: Record) -> Iterator[FleetInCI]:
    """An ECR, with a role for each environment."""
    keys: list[Any] = []

    def claims(token: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = jwt.decode(token, keys[0], algorithms=["RS256"], audience="sts.amazonaws.com")
        except jwt.InvalidTokenError:
            return None
        return found

    with serve_ecr(("AKIANOBODY", "nobody"), claims=claims) as ecr:
        services = {f"{name}.us-west-2.amazonaws.com": ecr.url for name in ("sts", "api.ecr")}
        with judged_github(folder, record, services) as github:
            keys.append(github.issuer.public_key)
            account = ecr.aws.account
            entry = {"type": "ecr", "account": account, "region": "us-west-2", "url": ecr.url}
            roles = {name: {"FLEET_AWS_ROLE": role(ecr, name)} for name in ENVIRONMENTS}
            image = f"{ecr.registry_host}/climate-image"

            def has_let_in() -> bool:
                return bool(sts_backends[account]["aws"].assumed_roles)

            yield FleetInCI(github, Place("ecr", entry, image, {}, roles, has_let_in), folder / "start")


def role(ecr: RunningEcr, environment: str) -> str:
    """A role that only jobs of an environment can assume; its ARN."""
    iam, account = ecr.aws.iam, ecr.aws.account
    issuer = ISSUER.removeprefix("https://")
    provider = f"arn:aws:iam::{account}:oidc-provider/{issuer}"
    if provider not in iam.open_id_providers:
        iam.create_open_id_connect_provider(ISSUER, [], ["sts.amazonaws.com"], [])
    equals = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject(environment)}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": equals},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_role(environment, trust, "/hubs/", None, None, [], 3600)
    policy = documented_policy(account)
    if environment == "fleet-plan":
        for one in policy["Statement"]:
            one["Action"] = [action for action in one["Action"] if action.partition(":")[2].startswith(READS)]
    policy["Statement"] = [one for one in policy["Statement"] if one["Action"]]
    iam.put_role_policy(environment, "fleet", json.dumps(policy))
    return str(made.arn)


@contextmanager
def on_google(folder: Path, record: Record) -> Iterator[FleetInCI]:
    """An Artifact Registry, with one provider that knows jobs by their environment."""
    state = State()
    with ExitStack() as stack:
        google = stack.enter_context(Loopback(GoogleCloud(state, "us-central1", key=key())))
        github = stack.enter_context(judged_github(folder, record, {"sts.googleapis.com": google.url}))
        state.issuers[ISSUER] = github.issuer.public_key
        pool = f"projects/{state.number}/locations/global/workloadIdentityPools/ci"
        state.pools["ci"] = {"state": "ACTIVE", "providers": {"github": trusted()}}
        changes = ("create", "update", "delete", "undelete", "enable", "setIamPolicy")
        reading = frozenset(one for one in FLEETS_PERMISSIONS if not one.endswith(changes))
        for name, rights in zip(ENVIRONMENTS, (reading, FLEETS_PERMISSIONS), strict=True):
            state.granted[f"principal://iam.googleapis.com/{pool}/subject/{subject(name)}"] = rights
        entry = {"type": "gar", "project": state.project, "project_number": state.number}
        entry |= {"location": "us-central1", "url": google.url}
        known = {name: {"FLEET_GOOGLE_PROVIDER": f"{pool}/providers/github"} for name in ENVIRONMENTS}
        image = f"{google.host}/{state.project}/climate-image/climate-image"

        def has_let_in() -> bool:
            return any(state.granted.keys() & one.members for one in state.tokens.values())

        yield FleetInCI(github, Place("gar", entry, image, {}, known, has_let_in), folder / "start")


def trusted() -> dict[str, Any]:
    """A provider for jobs of the fleet repository."""
    return {
        "state": "ACTIVE",
        "oidc": {"issuerUri": ISSUER},
        "attributeMapping": {"google.subject": "assertion.sub"},
        "attributeCondition": f"assertion.repository == '{FLEET}'",
    }


@contextmanager
def on_azure(folder: Path, record: Record) -> Iterator[FleetInCI]:
    """An Azure registry, with an application for each environment."""
    state = AzureState()
    acr = Acr(state, key=key())
    reading = {right for right in RIGHTS if right.endswith("/read")}
    for name, rights in zip(ENVIRONMENTS, (reading, set(RIGHTS)), strict=True):
        state.clients[f"the-{name}"] = Client("none of them has one", rights, subjects=frozenset({subject(name)}))
    program = PROGRAM.replace("exec", f'export SSL_CERT_FILE="{AUTHORITY}"\nexec', 1)
    with ExitStack() as stack:
        azure = stack.enter_context(Loopback(acr, tls=server_context()))
        plain = stack.enter_context(Loopback(acr))  # for builds and `az`, which know nothing of our authority
        places = {"login.microsoftonline.com": plain.url}
        github = stack.enter_context(judged_github(folder, record, places, {azure.host: plain.url}, program))
        state.issuers[ISSUER] = github.issuer.public_key
        entry = {"type": "acr", "registry": state.registry, "url": azure.url, "manager": azure.url}
        entry |= {"subscription": state.subscription, "resource_group": state.group}
        known = {
            name: {"FLEET_AZURE_CLIENT": f"the-{name}", "FLEET_AZURE_TENANT": state.tenant} for name in ENVIRONMENTS
        }
        place = Place("acr", entry, f"{azure.host}/climate-image", {}, known, lambda: bool(state.access))
        yield FleetInCI(github, place, folder / "start")


CLOUDS = {"aws": on_aws, "google": on_google, "azure": on_azure}
