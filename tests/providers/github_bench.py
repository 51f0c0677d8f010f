"""Providers of a sandbox GitHub that work on it as the core would have them work; every exchange is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.errors import TryAgain
from fleet.model import Address, Change, Objection, Secret, SecretRef, Spec
from fleet.provider import Context, SourceRepository, Timeouts, blob_id
from fleet.sandbox.github import Limits, Sandbox, serve_github
from fleet.sandbox.github.objects import history, read_commit, walk
from fleet_github import GitHub
from fleet_github.settings import GitHubSettings
from tests.github_judge import Judge

IMAGE = "example-org/image"
TEMPLATE = "example-org/template"
BUILD, TEST = ".github/workflows/build.yaml", ".github/workflows/test.yaml"
ACTION = "jupyterhub/repo2docker-action"
PUSHED = f"""on:
  push:
    branches: [main]
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
      - uses: {ACTION}@daa77f929833dcd836a711bc7837af945e9d27cc
        with: {{IMAGE_NAME: example/image}}
""".encode()
TESTED = b"on: pull_request\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"
SEED = {"environment.yml": b"dependencies: []\n", "README.md": b"# Mine\n"}
PASSWORD = SecretRef(source=Address("quay", "robot", "example+image"), field="password")
BLOBS = {blob_id(data): data for data in (PUSHED, TESTED, *SEED.values())}


def ids(files: Mapping[str, bytes]) -> dict[str, str]:
    """Files as a plan holds them."""
    BLOBS.update({blob_id(data): data for data in files.values()})
    return {path: blob_id(data) for path, data in files.items()}


SOURCE = SourceRepository(
    repository=IMAGE,
    branch="main",
    description="An image",
    visibility="public",
    template=None,
    seed=ids(SEED),
    managed=ids({BUILD: PUSHED, TEST: TESTED}),
    secrets={"PUSH_PASSWORD": PASSWORD},
    needs=(),
)


@dataclass
class Bench:
    """A GitHub with one organisation: `ada` owns it, `ben` is a member."""

    github: Sandbox
    folder: Path
    auth: Mapping[str, Any]
    secret: str
    receipts: dict[Address, Mapping[str, Any]] = field(default_factory=dict)
    begun: set[Address] = field(default_factory=set)
    wanted: dict[Address, Spec] = field(default_factory=dict)
    spent: list[int] = field(default_factory=list)
    timeouts: Timeouts | None = None

    def provider(self) -> GitHub:
        """A provider that has just been opened."""
        context = Context(
            "ours",
            self.folder,
            secret=lambda source: Secret(self.secret),
            spend=lambda: self.spent.append(1),
            timeouts=self.timeouts,
            recorded=self.receipts.get,
            begun=self.begun.__contains__,
            wanted=self.wanted.get,
            cache=self.folder / "cache",
            blob=BLOBS.__getitem__,
        )
        entry = {"type": "github", "base_url": self.github.url, "auth": dict(self.auth)}
        return GitHub("github", GitHubSettings.model_validate(entry), context)

    def login(self, owner: str, *rights: str, scopes: list[str] | None = None) -> None:
        """From now on log in with another token: a classic one with scopes, or a fine-grained one with rights."""
        granted: Any = dict.fromkeys(rights, "write") or None
        self.secret = self.github.state.create_token(owner, granted, scopes=scopes)

    def changes(self, source: SourceRepository = SOURCE) -> list[Change]:
        """What a plan would change."""
        provider = self.provider()
        wanted = provider.workshop(source)
        self.wanted.update({each.address: each.spec for each in wanted})
        found = provider.read([resource.address for resource in wanted])
        return [
            Change(each.address, found.get(each.address), each.spec)
            for each in wanted
            if found.get(each.address) != each.spec
        ]

    def objections(self, source: SourceRepository = SOURCE) -> str:
        """What a plan says against itself, and that it was found out without a write."""
        writes = self.writes()
        found: Mapping[Address, Objection] = self.provider().preflight(self.changes(source))
        assert self.writes() == writes
        return "; ".join(f"{address} {objection.reason}" for address, objection in found.items())

    def make(self, source: SourceRepository = SOURCE) -> list[str]:
        """Plan and apply; returns the kinds that were changed."""
        provider, changes = self.provider(), patiently(lambda: self.changes(source))
        for change in changes:
            made = patiently(lambda change=change: provider.apply([change], lambda _: Secret("canary-password")))  # type: ignore[misc]
            self.receipts |= made
        return [change.address.kind for change in changes]

    def files(self, name: str = IMAGE) -> dict[str, bytes]:
        """The files at the head."""
        store, head = self.github.state.store, self.github.state.repository(name).head
        assert head
        entries = [(path, entry) for path, entry in walk(store, read_commit(store, head).tree) if entry.kind == "blob"]
        return {path: found.data for path, entry in entries if (found := store.read(entry.oid))}

    def messages(self, name: str = IMAGE) -> list[str]:
        """The first lines of the default branch's commits, newest first."""
        head = self.github.state.repository(name).head
        assert head
        return [commit.message.partition("\n")[0] for _, commit in history(self.github.state.store, head)]

    def writes(self) -> int:
        """How many requests have come so far that may have changed something."""
        records = list(self.github.loopback.records)
        return sum(
            one.method in ("POST", "PUT", "PATCH", "DELETE")
            and not one.path.endswith("/access_tokens")
            and not (one.path == "/graphql" and b"mutation" not in one.request.body)
            for one in records
        )


def patiently(work: Callable[[], Any]) -> Any:
    """Do it again while its trouble is a passing one, as the core does, without waiting."""
    for _ in range(10):
        try:
            return work()
        except TryAgain:
            pass
    return work()


@contextmanager
def open_bench(folder: Path) -> Iterator[tuple[Bench, Judge]]:
    """The bench, with the judge that watches it."""
    with serve_github(folder / "github", limits=Limits(points_per_minute=None)) as github:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        state = github.state
        state.settings.builds = "green"
        state.create_user("ada", "Ada Lovelace")
        state.create_user("ben")
        state.create_organization("example-org", admins=["ada"], members=["ben"])
        state.create_repository(
            TEMPLATE, {"environment.yml": "dependencies: []\n", BUILD: "on: push\n"}, is_template=True
        )
        yield Bench(github, folder, {"token": {"env": "TOKEN"}}, state.create_token("ada")), judge
    assert judge.disagreements == [], "\n".join(judge.disagreements)
