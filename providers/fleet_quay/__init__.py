"""Quay: a registry repository and a robot for each image, the robot allowed to push there and nowhere else.

The last line of a description says whose repository or robot it is. A robot's description cannot be changed once it is
made, so a robot that somebody else made for our repository, and that is just as ours would be, belongs to that
repository's fleet. Its token is read back from Quay whenever it is needed, and never made anew: a robot is replaced by
another one, and the two are one resource.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from fleet.provider import (
    HTTP2,
    Address,
    Change,
    Conflict,
    Context,
    Credential,
    Credentials,
    Home,
    ImageReference,
    Issued,
    Issuer,
    Limits,
    Login,
    OciClient,
    OwnLogin,
    ProviderError,
    Registry,
    RegistryImage,
    Resource,
    Reveal,
    Secret,
    SecretRef,
    Settings,
    Spec,
    Tag,
    host_of,
    split_host,
)
from fleet_quay.accounts import PASSWORD, USERNAME, Robots, belongs_to
from fleet_quay.api import Api, Document
from fleet_quay.proof import prove
from fleet_quay.specs import QuaySettings, Repository, Robot, check_name, marked, repository_of, unmarked

REPOSITORY = "repository"
ROBOT = "robot"
USER_SECRET, SECRET = "QUAY_USERNAME", "QUAY_PASSWORD"  # what repo2docker-action calls them

_WRITES = frozenset({"write", "admin"})
_QUAY_IO = "https://quay.io"


class Quay(Registry, Issuer):
    """quay.io, or a self-hosted Quay."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {REPOSITORY: Repository, ROBOT: Robot}
    settings: ClassVar[type[Settings]] = QuaySettings
    issuing: ClassVar[frozenset[str]] = frozenset({ROBOT})
    by_turns = True
    tells_use = True
    # Quay's own nginx configuration: 5 requests a second for an address on HTTP/1.1, 50 for a connection on HTTP/2.
    limits = Limits(at_once=8, per_second=40 if HTTP2 else 5)

    def __init__(self, name: str, settings: QuaySettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._url = settings.url.rstrip("/")
        self._settings = settings
        self._http = context.http()
        self._api = Api(self._url, self._http, lambda: self._token)
        self._robots = Robots(self._api, self.host, context.fleet, self._prove)
        self._lock = threading.Lock()
        self._listed: dict[str, dict[str, Document]] = {}
        if self._url != _QUAY_IO:
            self.limits = Limits(at_once=8)  # a self-hosted Quay limits nothing unless told to, and then answers 429

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._url)

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives, its repository and its robot; raises ValueError for a name that Quay won't take."""
        check_name(image.name)
        description, mark = unmarked(image.description)
        if mark is not None:
            raise ValueError(f"the description of {image.key} ends like fleet's own mark; end it differently")
        if image.visibility not in ("public", "private"):
            raise ValueError(f"a repository is public or private in Quay, not {image.visibility}")
        full = f"{self._settings.namespace}/{image.name}"
        wanted = Repository(owner=self.context.fleet, description=description, visibility=image.visibility)
        repository = Resource(Address(self.name, REPOSITORY, full), wanted)
        name = f"{self.host}/{full}"
        if self._settings.push is not None:
            ref = OwnLogin.reference(self.name, full)
            return Home(name, (repository,), Login.stored(self._settings.push.username, ref, SECRET))
        robot = Address(self.name, ROBOT, f"{self._settings.namespace}+{image.name}")
        needed = Resource(robot, Robot(owner=self.context.fleet, repository=full), (repository.address,))
        secrets = {
            SECRET: SecretRef(source=robot, field=PASSWORD),
            USER_SECRET: SecretRef(source=robot, field=USERNAME),
        }
        login = Login(f"${{{{ secrets.{USER_SECRET} }}}}", f"${{{{ secrets.{SECRET} }}}}", secrets)
        return Home(name, (repository, needed), login)

    def together(self, address: Address) -> str:
        """A repository and its robot are one group, so that it is never unclear whose a robot is."""
        return "/".join(_split(address))

    def cost(self, change: Change) -> int:
        """About how many requests a change takes; a robot's includes its proof."""
        if change.after is None:
            return 2
        if change.address.kind == REPOSITORY:
            return 1 if change.before is None else 3
        return 6 if change.before is None else 8

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands there: a listing of repositories and one of robots per namespace, and one request per image."""
        found: dict[Address, Spec] = {}
        for namespace in sorted({_split(address)[0] for address in addresses}):
            wanted = [address for address in addresses if _split(address)[0] == namespace]
            listed = self._list(namespace)
            for address in wanted:
                name = _split(address)[1]
                if address.kind == REPOSITORY and name in listed:
                    found[address] = repository_of(listed[name])
            robots = {_repository(address): address for address in wanted if address.kind == ROBOT}
            if robots:
                owners = {full: repository_of(listed.get(full.partition("/")[2], {})).owner for full in robots}
                there = self._robots.read(namespace, owners, self.context.each)
                found |= {robots[repository]: robot for repository, robot in there.items()}
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each repository or robot what it is to be; a robot is proved before it counts as done."""
        for change in sorted(changes, key=_turn):
            namespace, name = _split(change.address)
            match change.address.kind, change.after:
                case "repository", None:
                    self._forget_repository(namespace, name)
                case "robot", None:
                    self._robots.keep_only(_repository(change.address), None)
                case "repository", Repository() as after:
                    self._make_repository(change, after)
                case "robot", Robot() as after:
                    self._robots.make(_repository(change.address), after, is_new=change.before is None)
                case _:
                    raise LookupError(f"Quay has no {change.address.kind}")

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved before it leaves."""
        namespace, name = _split(ref.source)
        if OwnLogin.is_asked_for(ref) and self._settings.push is not None:
            login = self._settings.push.credentials(self.context)
            self._client.prove_push(f"{namespace}/{name}", login)
            return login.password
        return super().reveal(ref)

    def credentials(self, source: Address) -> Sequence[Credential]:
        """The robots of a repository, oldest first: one listing."""
        return self.standing([source])[source]

    def standing(self, sources: Collection[Address]) -> Mapping[Address, Sequence[Credential]]:
        """The robots of many repositories: one listing for each namespace."""
        found = self._robots.standing([_repository(source) for source in sources])
        return {source: found[_repository(source)] for source in sources}

    def issue(self, source: Address, stored: str | None) -> Issued:
        """The token of a robot that was made after the stored one, or of one that is made now."""
        return self._robots.issue(_repository(source), stored)

    def prove(self, source: Address, issued: Issued) -> None:
        """Begin and cancel an upload as a robot, and ask what it may do to a neighbour."""
        self._prove(_repository(source), Credentials(issued.key, issued.values[PASSWORD]))

    def revoke(self, source: Address, keep: str | None) -> None:
        """Delete all robots of a repository but one, or all; of one that somebody else made its role goes, and it
        stays."""
        self._robots.keep_only(_repository(source), keep)

    def recall(self, source: Address, key: str) -> Issued | None:
        """The token of a robot that stands: one request."""
        return self._robots.recall(key)

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this token may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, newest first, a page of a hundred at a time as they are asked for."""
        namespace, _, repository = split_host(name)[1].partition("/")
        yield from self._api.tags(namespace, repository)

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self._client.platforms_of(references, self.context.each)

    @cached_property
    def _token(self) -> Secret:
        return self.context.secret(self._settings.auth.token)

    @cached_property
    def _client(self) -> OciClient:
        return OciClient(self._url, self._http, Credentials("$oauthtoken", self._token))

    def _list(self, namespace: str) -> dict[str, Document]:
        listed = {str(entry.get("name")): entry for entry in self._api.repositories(namespace)}
        if not listed:  # also what Quay answers for a namespace that isn't there
            self._api.check_organization(namespace)
        with self._lock:
            self._listed[namespace] = listed
        return listed

    def _make_repository(self, change: Change, after: Repository) -> None:
        namespace, name = _split(change.address)
        description = marked(after.description, after.owner) if after.owner else after.description
        standing = None if change.before is None else self._api.repository(namespace, name)
        if standing is None:
            if self._api.create_repository(namespace, name, after.visibility, description):
                return
            standing = self._api.repository(namespace, name)
            if standing is None:
                raise Conflict(f"{namespace}/{name} comes and goes in {self.host}: somebody else is at work on it")
        if standing.get("state", "NORMAL") != "NORMAL":
            raise ProviderError(
                f"{namespace}/{name} is {str(standing['state']).lower().replace('_', '-')} in {self.host}, so no build "
                "can push there; set its state to Normal in its settings"
            )
        before = repository_of(standing)
        if before.owner not in (None, self.context.fleet):
            raise ProviderError(belongs_to(before.owner, f"repository {namespace}/{name} in {self.host}"))
        if before.visibility != after.visibility:
            self._api.set_visibility(namespace, name, after.visibility)
        if before.model_copy(update={"visibility": after.visibility}) != after:
            self._api.describe(namespace, name, description)

    def _forget_repository(self, namespace: str, name: str) -> None:
        standing = self._api.repository(namespace, name)
        if standing is None:
            return
        before = repository_of(standing)
        if before.owner == self.context.fleet:
            self._api.describe(namespace, name, before.description)

    def _prove(self, repository: str, login: Credentials) -> None:
        namespace, _, name = repository.partition("/")
        prove(self._client, login, repository, self._neighbour(namespace, name))

    def _neighbour(self, namespace: str, short: str) -> Document | None:
        """Another repository of the namespace, a private one if there is one; None where ours is alone."""
        with self._lock:
            listed = self._listed.get(namespace, {})
        others = [entry for name, entry in listed.items() if name != short] or [
            entry for name, entry in self._list(namespace).items() if name != short
        ]
        return min(others, key=lambda entry: bool(entry.get("is_public")), default=None)


def _turn(change: Change) -> int:
    """A repository is made before its robot, and forgotten after it: a robot without a mark is its repository's."""
    is_robot = change.address.kind == ROBOT
    return int(is_robot if change.after is not None else not is_robot)


def _split(address: Address) -> tuple[str, str]:
    """The namespace and the short name in an address's name."""
    namespace, _, name = address.name.partition("+" if address.kind == ROBOT else "/")
    return namespace, name


def _repository(address: Address) -> str:
    """The repository of an address, as `namespace/name`."""
    return "/".join(_split(address))
