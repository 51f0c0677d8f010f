"""The example on Google Artifact Registry: builds push as themselves, and nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.sandbox.github.actions.google import STS
from fleet.sandbox.google import FLEETS_PERMISSIONS, GoogleCloud, Principal, State
from fleet.sandbox.http import Loopback
from fleet.sandbox.registries import Example, Served
from fleet.sandbox.store import replace_text

_LOCATION = "us-central1"
_PULLING = frozenset({"artifactregistry.repositories.downloadArtifacts"})


@contextmanager
def _serve(folder: Path, port: int) -> Iterator[Served]:
    state = State()
    fleets = state.token(Principal(frozenset({"user:ada@example.org"}), FLEETS_PERMISSIONS))
    nodes = state.token(
        Principal(frozenset({"serviceAccount:nodes@example-project.iam.gserviceaccount.com"}), _PULLING)
    )
    replace_text(folder / "google-token", f"{fleets}\n")
    with Loopback(GoogleCloud(state, _LOCATION), port) as loopback:
        yield Served(
            url=loopback.url,
            entry={
                "type": "gar",
                "project": state.project,
                "project_number": state.number,
                "location": _LOCATION,
                "url": loopback.url,
                "auth": {"token": {"file": "google-token"}},
            },
            pulls={loopback.host: ("oauth2accesstoken", nodes)},
            services={STS: loopback.url},
            trust=lambda issuer: state.issuers.update({issuer.url: issuer.public_key}),
        )


EXAMPLE = Example(
    title="Google Artifact Registry",
    makes="repositories, a workload identity pool and the right for builds of the default branch to push (and so no "
    "stored secret), workflows, a build, hubs.",
    serve=_serve,
)
"""`fleet sandbox up -registry=gar`."""
