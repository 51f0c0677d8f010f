"""Google's registries as the contract suite must be told of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jwt
from google.cloud.artifactregistry_v1 import CleanupPolicy, Repository
from google.cloud.iam_admin_v1 import ServiceAccount
from google.iam.v1.policy_pb2 import Policy

from fleet.provider import Credentials, Login, Secret
from fleet.sandbox.google import FLEETS_PERMISSIONS, GoogleCloud, Principal, State
from fleet.sandbox.google.sts import EXCHANGE
from fleet.sandbox.http import Request, Response, Service
from fleet.testing import Subject
from fleet_google.specs import account_id
from tests.google_judge import Judge
from tests.images import Image, push
from tests.subjects.common import (
    NO_CODE_HOST,
    OF_CODE_HOSTS,
    OF_ISSUERS,
    OF_OWNED_THINGS,
    OF_STORED_LOGINS,
    OF_TRANSPORT,
    SAME_CLIENT,
    VARIANT,
    Row,
    key,
)

ISSUER = "https://token.actions.githubusercontent.com"
TOKEN = "canary-google-token"
WRITER = "roles/artifactregistry.writer"
LOCATION = "us-central1"
REPOSITORIES = "artifactregistry.repositories"


def throttled(seconds: int = 7) -> Response:
    """What Google answers to a client that asks too often."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}
    error = {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [retry]}
    return Response.of_json({"error": error}, 429, {"retry-after": str(seconds)})


def github_token(source: str, audience: str, ref: str = "refs/heads/main", **claims: Any) -> str:
    """What GitHub gives to a run of a workflow that may have an identity."""
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": audience,
        "sub": f"repo:{source}:ref:{ref}",
        "repository": source,
        "repository_owner": source.partition("/")[0],
        "ref": ref,
        "iat": now,
        "exp": now + 300,
        **claims,
    }
    return jwt.encode(said, key(), algorithm="RS256")


def exchanged(cloud: Service, provider: str, token: str) -> Response:
    """What google-github-actions/auth asks for with the token of a run."""
    document = {
        "audience": f"//iam.googleapis.com/{provider}",
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "subjectToken": token,
    }
    body = Response.of_json(document).body
    return cloud.handle(Request("POST", EXCHANGE, EXCHANGE, {}, {}, body))


class GarSubject(Subject):
    """Artifact Registry in a project that has no workload identity pool yet; builds push without a stored secret."""

    type = "gar"
    environment: ClassVar[Mapping[str, str]] = {"GOOGLE_TOKEN": TOKEN}
    credentials = frozenset({"writer"})
    throttled = throttled()
    without: ClassVar[Mapping[str, str]] = dict.fromkeys(("password", "issuer"), "builds push without a stored secret")
    host: ClassVar[str | None] = None
    location: ClassVar[str] = LOCATION
    lacks: ClassVar[tuple[str, ...]] = (
        *(f"{REPOSITORIES}.{verb}" for verb in ("list", "create", "getIamPolicy", "setIamPolicy")),
        "iam.workloadIdentityPools.get",
    )
    """The rights whose lack shows before anything is written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = State()
        self.state.issuers[ISSUER] = key().public_key()
        self.fleets = Principal(frozenset({"user:ada@example.org"}), FLEETS_PERMISSIONS)
        self.state.token(self.fleets, TOKEN)
        self.cloud = GoogleCloud(self.state, self.location, self.host, key())
        self.service = self.judge = Judge(self.cloud)

    def close(self) -> None:
        self.judge.close()

    def entry(self, url: str) -> Mapping[str, Any]:
        return {
            "project": self.state.project,
            "project_number": self.state.number,
            "location": LOCATION,
            "source": "example-org/{image}",
            "url": url,
            "auth": {"token": {"env": "GOOGLE_TOKEN"}},
        }

    def writes(self, request: Request) -> bool:
        return super().writes(request) and not request.path.endswith(":testIamPermissions")

    def full(self, image: str) -> str:
        """The repository of an image, as Google names it."""
        return f"projects/{self.state.project}/locations/{LOCATION}/repositories/{image}"

    def member(self, image: str) -> str:
        """The builds of an image, as policies name them."""
        pool = f"projects/{self.state.number}/locations/global/workloadIdentityPools/fleet"
        return f"principalSet://iam.googleapis.com/{pool}/attribute.repository_ref/example-org/{image}@refs/heads/main"

    def snapshot(self) -> object:
        with self.state.lock:
            repositories = {name: Repository.to_json(held) for name, held in self.state.repositories.items()}
            policies = {
                name: sorted((binding.role, *sorted(binding.members)) for binding in policy.bindings)
                for name, policy in self.state.policies.items()
                if policy.bindings
            }
            accounts = {email: (held.description, held.disabled) for email, held in self.state.accounts.items()}
            return str(
                [sorted(repositories.items()), sorted(policies.items()), self.state.pools, sorted(accounts.items())]
            )

    def occupy(self, image: str, owner: str | None) -> None:
        labels = {"fleet": owner} if owner else {}
        name = self.full(image)
        self.state.repositories[name] = Repository(name=name, format_="DOCKER", labels=labels)
        self.grant(name, self.member(image))

    def grant(self, repository: str, member: str, role: str = WRITER) -> None:
        """Let a member do something in a repository, by hand."""
        policy = self.state.policies.setdefault(repository, Policy(etag=b"by hand"))
        policy.bindings.add(role=role, members=[member, "user:ada@example.org"])

    def drift(self, image: str) -> None:
        name = self.full(image)
        standing = self.state.repositories[name]
        standing.description = "Changed by hand."
        standing.docker_config.immutable_tags = True
        standing.labels["team"] = "climate"
        standing.cleanup_policies["fleet-delete"] = CleanupPolicy(id="fleet-delete", action="DELETE")
        self.grant(name, self.member(image), "roles/artifactregistry.repoAdmin")

    def expire(self) -> None:
        self.fleets.expires = 0

    def renew(self) -> None:
        self.fleets.expires = float("inf")

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        def without(right: str) -> Callable[[], None]:
            return lambda: setattr(self.fleets, "permissions", FLEETS_PERMISSIONS - {right})

        return {right: without(right) for right in self.lacks}

    def publish(self, name: str, tag: str) -> str:
        host, _, path = name.partition("/")
        grant = {"type": "repository", "name": path, "actions": ["pull", "push"]}
        headers = {"authorization": f"Bearer {self.cloud.tokens.sign('', [grant])}"}
        return push(f"http://{host}/v2/{path}", Image(), tag, headers=headers)

    def docker_login(self, login: Login, secrets: Mapping[str, Secret]) -> Credentials:
        (step,) = login.steps
        assert (login.password, login.permissions, secrets) == (
            "${{ steps.google.outputs.auth_token }}",
            {"id-token": "write"},
            {},
        )
        provider = step.inputs["workload_identity_provider"]
        token = github_token("example-org/image", f"https://iam.googleapis.com/{provider}")
        answer = json.loads(exchanged(self.judge, provider, token).body)
        return Credentials(login.username, Secret(answer["access_token"]))

    def disarm(self, image: str) -> None:
        del self.state.policies[self.full(image)]


class GarWithKeysSubject(GarSubject):
    """The same with a service account for each image, and keys that are shown once."""

    credentials = frozenset({"account"})
    without: ClassVar[Mapping[str, str]] = VARIANT
    reads_per_image = 2
    lacks: ClassVar[tuple[str, ...]] = (
        *(f"{REPOSITORIES}.{verb}" for verb in ("list", "create", "getIamPolicy", "setIamPolicy")),
        *(f"iam.serviceAccounts.{verb}" for verb in ("get", "create")),
        "iam.serviceAccountKeys.create",
    )

    def entry(self, url: str) -> Mapping[str, Any]:
        return {**super().entry(url), "push": "key"}

    def member(self, image: str) -> str:
        account = account_id(image, f"{self.location}/{image}")
        return f"serviceAccount:{account}@{self.state.project}.iam.gserviceaccount.com"

    def occupy(self, image: str, owner: str | None) -> None:
        email = self.member(image).partition(":")[2]
        name = f"projects/{self.state.project}/serviceAccounts/{email}"
        mark = f"managed by fleet {owner}" if owner else "made by hand"
        self.state.accounts[email] = ServiceAccount(name=name, email=email, unique_id="1", description=mark)
        super().occupy(image, owner)

    def drift(self, image: str) -> None:
        self.state.accounts[self.member(image).partition(":")[2]].disabled = True
        super().drift(image)

    def docker_login(self, login: Login, secrets: Mapping[str, Secret]) -> Credentials:
        return Subject.docker_login(self, login, secrets)


class OwnLoginGarSubject(GarSubject):
    """The same with an operator's own service account for pushing, which fleet makes no rights for."""

    environment: ClassVar[Mapping[str, str]] = {**GarSubject.environment, "PUSH_TOKEN": "canary-push-token"}
    without: ClassVar[Mapping[str, str]] = {
        **VARIANT,
        "neighbour": "an operator's own login may do more, and fleet says nothing",
        "issuer": "the login is the operator's",
    }
    lacks = tuple(f"{REPOSITORIES}.{verb}" for verb in ("list", "create"))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.own = Principal(frozenset({"user:ci@example.org"}), self._pushing())
        self.state.token(self.own, "canary-push-token")

    @staticmethod
    def _pushing() -> frozenset[str]:
        return frozenset(f"artifactregistry.repositories.{verb}Artifacts" for verb in ("download", "upload"))

    def entry(self, url: str) -> Mapping[str, Any]:
        login = {"username": "oauth2accesstoken", "password": {"env": "PUSH_TOKEN"}}
        return {**super().entry(url), "push": login}

    def expire(self) -> None:
        super().expire()
        self.own.expires = 0

    def renew(self) -> None:
        super().renew()
        self.own.expires = float("inf")

    def docker_login(self, login: Login, secrets: Mapping[str, Secret]) -> Credentials:
        return Subject.docker_login(self, login, secrets)

    def disarm(self, image: str) -> None:
        self.own.permissions = frozenset()


class GcrSubject(GarSubject):
    """A gcr.io host, whose one repository is everybody's."""

    type = "gcr"
    host = "gcr.io"
    location = "us"
    lacks = tuple(f"{REPOSITORIES}.{verb}" for verb in ("list", "getIamPolicy", "setIamPolicy"))
    without: ClassVar[Mapping[str, str]] = {
        **GarSubject.without,
        **VARIANT,
        "occupy": "a host's repository, and the rights in it, carry no marker",
        "neighbour": "rights are per host, and fleet.yaml says so with `shared: true`",
    }

    def entry(self, url: str) -> Mapping[str, Any]:
        entry = {key: value for key, value in super().entry(url).items() if key != "location"}
        return {**entry, "shared": True}

    def full(self, image: str) -> str:
        return f"projects/{self.state.project}/locations/us/repositories/gcr.io"

    def drift(self, image: str) -> None:
        self.grant(self.full(image), self.member(image), "roles/artifactregistry.repoAdmin")


ROWS: Mapping[str, Row] = {
    "gar": Row(GarSubject, {NO_CODE_HOST: OF_CODE_HOSTS, "builds push without a stored secret": OF_STORED_LOGINS}),
    "gar with keys": Row(GarWithKeysSubject, {NO_CODE_HOST: OF_CODE_HOSTS, SAME_CLIENT: OF_TRANSPORT}),
    "gar with an own login": Row(
        OwnLoginGarSubject,
        {NO_CODE_HOST: OF_CODE_HOSTS, "the login is the operator's": OF_ISSUERS, SAME_CLIENT: OF_TRANSPORT},
    ),
    "gcr": Row(
        GcrSubject,
        {
            NO_CODE_HOST: OF_CODE_HOSTS,
            "builds push without a stored secret": OF_STORED_LOGINS,
            "a host's repository, and the rights in it, carry no marker": OF_OWNED_THINGS,
            SAME_CLIENT: OF_TRANSPORT,
        },
    ),
}
