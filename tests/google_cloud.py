"""A sandbox Google Cloud for tests of its providers, and what the core does with a provider."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud.artifactregistry_v1 import Repository

from fleet.errors import FleetError, TryAgain
from fleet.model import Change, Resource, Secret, SecretRef
from fleet.oci import Denied, OciClient
from fleet.provider import Context, Credentials, Home, RegistryImage
from fleet.sandbox.google import FLEETS_PERMISSIONS, GoogleCloud, Principal, State
from fleet.sandbox.http import Loopback
from fleet.secrets import SecretSource
from fleet_google import ArtifactRegistry, ContainerRegistry
from fleet_google.registry import GoogleRegistry
from fleet_google.settings import ArtifactRegistrySettings, ContainerRegistrySettings
from tests.google_judge import Judge
from tests.subjects.common import key
from tests.subjects.google import ISSUER, exchanged, github_token

CLIMATE = RegistryImage("climate", "climate-image", source="example-org/climate-image", description="For climate.")
OTHER = RegistryImage("other", "other-image", source="example-org/other-image")
PLACE = "projects/example-project/locations/us-central1/repositories"
POOLS = "projects/123456789012/locations/global/workloadIdentityPools"
IDENTITIES = f"principalSet://iam.googleapis.com/{POOLS}/fleet/attribute.repository_ref"
MEMBER = f"{IDENTITIES}/example-org/climate-image@refs/heads/main"


class Sandbox:
    """A sandbox Google Cloud that is being served, judged by Google's descriptions, and the providers that use it."""

    def __init__(self, loopback: Loopback, cloud: GoogleCloud, judge: Judge) -> None:
        self.loopback, self.cloud, self.state, self.judge = loopback, cloud, cloud.state, judge
        self.fleets = self.state.tokens["fleets-token"]

    def keys(self, keys: dict[str, Any]) -> dict[str, Any]:
        auth = {"token": {"env": "TOKEN"}}
        return {"project": "example-project", "project_number": "123456789012", "auth": auth, **keys}

    def gar(self, fleet: str = "ours", secret: str = "fleets-token", **keys: Any) -> ArtifactRegistry:
        keys = self.keys({"type": "gar", "location": "us-central1", "url": self.loopback.url, **keys})
        settings = ArtifactRegistrySettings.model_validate(keys)
        return ArtifactRegistry("gar", settings, context(fleet, secret))

    def gcr(self, **keys: Any) -> ContainerRegistry:
        settings = ContainerRegistrySettings.model_validate(
            self.keys({"type": "gcr", "url": self.loopback.url, **keys})
        )
        return ContainerRegistry("gcr", settings, context("ours", "fleets-token"))

    def build_login(self, home: Home, **claims: Any) -> Credentials:
        """What a build of the climate image logs in with; raises KeyError where its token is not exchanged."""
        assert home.login is not None
        provider = home.login.steps[0].inputs["workload_identity_provider"]
        claims = {"source": "example-org/climate-image", "audience": f"https://iam.googleapis.com/{provider}", **claims}
        answer = json.loads(exchanged(self.judge, provider, github_token(**claims)).body)
        return Credentials(home.login.username, Secret(answer["access_token"]))

    def may_push(self, home: Home, login: Credentials) -> bool:
        client = OciClient(self.loopback.url, context("ours", "").http())
        try:
            client.prove_push(home.name.partition("/")[2], login)
        except Denied:
            return False
        return True


def context(fleet: str, secret: str) -> Context:
    def read(source: SecretSource) -> Secret:
        return Secret(secret)

    return Context(fleet, Path(), read, lambda: None)


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A project in which fleet may do all that it needs to."""
    state = State()
    state.issuers[ISSUER] = key().public_key()
    state.token(Principal(frozenset({"user:ada@example.org"}), FLEETS_PERMISSIONS), "fleets-token")
    cloud = GoogleCloud(state, "us-central1", key=key())
    with closing(Judge(cloud)) as judge, Loopback(judge) as loopback:
        yield Sandbox(loopback, cloud, judge)


def no_reveal(ref: SecretRef) -> Secret:
    raise AssertionError(f"nobody reveals {ref}")


def apply(provider: GoogleRegistry, resources: Sequence[Resource]) -> None:
    """Bring about what differs, one change at a time as the core does."""
    found = provider.read([resource.address for resource in resources])
    for resource in resources:
        if found.get(resource.address) != resource.spec:
            provider.apply([Change(resource.address, found.get(resource.address), resource.spec)], no_reveal)


def patiently(provider: GoogleRegistry, resources: Sequence[Resource]) -> float:
    """The same, repeated while it is a passing trouble; the seconds that were asked for."""
    waited = 0.0
    for _ in range(20):
        try:
            apply(provider, resources)
        except TryAgain as trouble:
            waited += trouble.after or 0
        else:
            return waited
    raise AssertionError("it never ends")


def assert_at(provider: GoogleRegistry, resources: Sequence[Resource]) -> None:
    assert dict(provider.read([resource.address for resource in resources])) == {
        resource.address: resource.spec for resource in resources
    }


PLACES = {
    "gar": "projects/example-project/locations/us-central1/repositories/climate-image",
    "gcr": "projects/example-project/locations/us/repositories/gcr.io",
}
"""The repository of the climate image, by the type of registry."""


class Place:
    """A registry of one type in a sandbox, and the repository of the climate image there."""

    def __init__(self, google: Sandbox, type_: str) -> None:
        self.google, self.state, self.type = google, google.state, type_
        self.repository = PLACES[type_]
        if type_ == "gcr":
            google.cloud.host, google.cloud.location = "gcr.io", "us"

    def ours(self, **keys: Any) -> GoogleRegistry:
        """The provider."""
        return self.google.gcr(shared=True, **keys) if self.type == "gcr" else self.google.gar(**keys)

    def made(self, **keys: Any) -> tuple[GoogleRegistry, Home]:
        """The provider, and where the climate image lives, all of which stands."""
        ours = self.ours(**keys)
        home = ours.home(CLIMATE)
        apply(ours, home.resources)
        return ours, home

    def stands(self, **settings: Any) -> None:
        """Make the repository by hand."""
        wanted = {"name": self.repository, "format_": "DOCKER", **settings}
        self.state.repositories[self.repository] = Repository(**wanted)

    def said(self, **keys: Any) -> str:
        """What making the climate image's things says, in one line."""
        with pytest.raises(FleetError) as caught:
            self.made(**keys)
        return in_a_sentence(caught.value)


def in_a_sentence(error: FleetError) -> str:
    """What an error says; no secret and no second line is in it."""
    text = str(error)
    assert "\n" not in text
    assert "fleets-token" not in text
    return text
