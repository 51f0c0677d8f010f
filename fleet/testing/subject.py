"""What the suite must be told of a provider: how its service is started, and what can happen to it behind fleet's back.

An instance is one service that nobody has used yet; each case makes its own.
"""

from __future__ import annotations

import builtins
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fleet import plugins
from fleet.images import Homes
from fleet.model import Action, Resource
from fleet.proposal import Text
from fleet.provider import CodeHost, Credentials, Login, Provider, Secret, Verdict
from fleet.sandbox.http import WRITES, Request, Response, Service
from fleet.services import Workshop

FLEET = "ours"
"""The name of the fleet, and so its marker."""
NAME = "subject"
"""What the provider's entry is called in fleet.yaml."""

NONSENSE = (b"{}", b"[]", b"null", b'"words"')
"""Answers that are JSON, and nothing that a service would say unless its subject knows better."""


class Subject(ABC):
    """A provider of the entry point group `fleet.providers`, with a service of its own.

    `without` says, by the name of a method or attribute of this class, what the service has no room for, and why; the
    cases that need it then do not apply. All else must be given. Builds that log in without a stored secret are
    `without` a `password`; a variant of another subject, whose requests the same client makes, may be `without`
    `transport`: what befalls any request is tried with the other one.
    """

    type: ClassVar[str]
    """Its `type:` in fleet.yaml, the name of its entry point."""
    without: ClassVar[Mapping[str, str]] = {}
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that hold the secrets which `entry` names."""
    credentials: ClassVar[frozenset[str]] = frozenset()
    """The kinds that are credentials: forgetting deletes them, while everything else only loses its marker."""
    makes: ClassVar[Action] = Action.CREATE
    """What it does at first for an image: a hub target may find another one there."""
    nonsense: ClassVar[tuple[bytes, ...]] = NONSENSE
    reads_per_image: ClassVar[int] = 1
    """How many requests a plan may take for each image, beside a fixed number."""
    throttled: ClassVar[Response] = Response(429, b"", {"retry-after": "7"})
    """What the service answers to a client that asks too often."""

    tls: ssl.SSLContext | None = None
    """What the service is served with, where its client insists on https."""
    service: Service | None = None
    """What answers the requests; `Forward(url)` stands for one that is served already. None: it makes no requests."""

    def __init__(self, folder: Path) -> None:
        """`folder` is empty, and where fleet.yaml will lie."""
        self.folder = folder

    def close(self) -> None:
        """The case is over: end what the service holds open. Nothing, unless a subject says otherwise."""

    def writes(self, request: Request) -> bool:
        """Whether a request may change something; a service where a POST only reads says so here."""
        return request.method in WRITES

    @classmethod
    def provider(cls) -> builtins.type[Provider]:
        """The class under test."""
        found = plugins.load(cls.type)
        assert found is not None, f"no installed package has the entry point {cls.type!r} in {plugins.GROUP}"
        return found

    def open(self, workshop: Workshop) -> Provider:
        """The provider under test, as one run opens it."""
        return workshop[NAME]

    def resources(self, homes: Homes) -> list[Resource]:
        """What the fleet.yaml that was written last wants of the provider; `homes` are those of its images."""
        of_registries = (home.resources for home in homes.homes.values())
        needed = [resource for group in (*of_registries, *homes.sources.values()) for resource in group]
        return [resource for resource in needed if resource.address.provider == NAME]

    @abstractmethod
    def entry(self, url: str) -> Mapping[str, Any]:
        """What fleet.yaml says of the provider beside `type`, when its service is at `url`."""

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        """The fleet.yaml of a fleet with these images."""
        block = "code_hosts" if issubclass(self.provider(), CodeHost) else "registries"
        entry = {NAME: {"type": self.type, **self.entry(url)}}
        return {"version": 1, "name": FLEET, block: entry, "images": {image: {"registry": NAME} for image in images}}

    @abstractmethod
    def snapshot(self) -> object:
        """All that the service holds, to be compared; what differs from run to run (times, secrets) is left out."""

    def occupy(self, image: str, owner: str | None) -> None:
        """Make all that an image needs, as fleet would, but with the marker of the fleet `owner`, or with none."""
        raise _missing("occupy")

    def drift(self, image: str) -> None:
        """Change by hand all that can be changed of what was made for an image; its marker stays."""
        raise _missing("drift")

    def expire(self) -> None:
        """The login of `entry` works no more."""
        raise _missing("expire")

    def renew(self) -> None:
        """The login of `entry` works again."""
        raise _missing("renew")

    @property
    def rights(self) -> Mapping[str, Callable[[], None]]:
        """What takes a right away from the login of `entry`, by a word that the error must hold."""
        raise _missing("rights")

    def publish(self, name: str, tag: str) -> str:
        """Put an image (`name` is its full name) into the registry under a tag, and return its digest."""
        raise _missing("publish")

    def docker_login(self, login: Login, secrets: Mapping[str, Secret]) -> Credentials:
        """What a docker client logs in with, as a build would, once it has been given an image's Actions secrets."""
        given = {f"${{{{ secrets.{name} }}}}": secret for name, secret in secrets.items()}
        username = given[login.username].expose() if login.username in given else login.username
        return Credentials(username, given[login.password])

    def disarm(self, image: str) -> None:
        """Take the right to push from the login that pushes an image."""
        raise _missing("disarm")


@dataclass(frozen=True, slots=True)
class SeenProposal:
    """A proposal as people see it: its number, the branch that it comes from with its head, what it says, the files."""

    number: int
    branch: str
    head: str
    text: Text
    files: Mapping[str, bytes]
    is_open: bool


class CodeHostSubject(Subject):
    """A code host with one repository, on whose default branch lies one commit of `content`."""

    content: ClassVar[Mapping[str, bytes]] = {"config/common.yaml": b"tag: one\n", "config/prod.yaml": b"keep: this\n"}

    @property
    @abstractmethod
    def repository(self) -> str:
        """The repository as fleet.yaml names it."""

    @abstractmethod
    def commit(self, files: Mapping[str, bytes]) -> None:
        """Somebody else commits to the default branch."""

    @abstractmethod
    def history(self) -> list[Mapping[str, bytes]]:
        """The files after each commit of the default branch, from the first commit to the last."""

    def proposals(self) -> list[SeenProposal]:
        """Every proposal, oldest first, with those files that its commit changes."""
        raise _missing("proposals")

    def propose_elsewhere(self, branch: str, files: Mapping[str, bytes]) -> None:
        """Somebody else proposes these files, from a branch of that name in a copy of the repository."""
        raise _missing("proposals")

    def say(self, number: int, text: str) -> None:
        """A stranger remarks something on a proposal."""
        raise _missing("proposals")

    def remarks(self, number: int) -> list[str]:
        """What was remarked on a proposal, oldest first."""
        raise _missing("proposals")

    def verdicts(self, commit: str) -> list[Verdict]:
        """The verdicts on a commit, oldest first."""
        raise _missing("verdicts")


class Forward:
    """A service that is served already at a URL: requests go there, so that faults can strike on the way."""

    def __init__(self, url: str) -> None:
        import httpx

        self._client = httpx.Client(base_url=url, follow_redirects=False, trust_env=False)

    def handle(self, request: Request) -> Response:
        """Pass one request on, and its answer back."""
        path = f"{request.raw_path}?{request.raw_query}" if request.raw_query else request.raw_path
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        answer = self._client.request(request.method, path, headers=headers, content=request.body)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return Response(answer.status_code, answer.content, {**kept, "content-length": _length(answer)})


_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length"})


def _length(answer: Any) -> str:
    """The length that a HEAD speaks of is not that of its own body."""
    said = answer.headers.get("content-length")
    return said if answer.request.method == "HEAD" and said else str(len(answer.content))


def _missing(ability: str) -> AssertionError:
    return AssertionError(f"the subject gives no {ability!r}: write it, or say in `without` why there is none")
