"""Quay: a registry repository and a robot for each image, the robot allowed to push there and nowhere else.

The last line of a description says whose repository or robot it is. A robot's description cannot be changed once it is
made, so a robot that somebody else made for our repository, and that is just as ours would be, belongs to that
repository's fleet. Its token is read back from Quay whenever it is needed, and never made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from fleet.provider import (
    HTTP2,
    Address,
    Change,
    Conflict,
    Context,
    Credentials,
    Home,
    ImageReference,
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
    host_of,
)
from fleet_quay.api import Api, Document
from fleet_quay.proof import prove
from fleet_quay.specs import QuaySettings, Repository, Robot, check_name, marked, names_in, repository_of, unmarked

REPOSITORY = "repository"
ROBOT = "robot"
PASSWORD = "password"  # noqa: S105 - the name of a field
SECRET = "QUAY_PASSWORD"  # noqa: S105 - what repo2docker-action calls it

_WRITES = frozenset({"write", "admin"})
_QUAY_IO = "https://quay.io"


class Quay(Registry):
    """quay.io, or a self-hosted Quay."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {REPOSITORY: Repository, ROBOT: Robot}
    settings: ClassVar[type[Settings]] = QuaySettings
    # Quay's own nginx configuration: 5 requests a second for an address on HTTP/1.1, 50 for a connection on HTTP/2.
    limits = Limits(at_once=8, per_second=40 if HTTP2 else 5)

    def __init__(self, name: str, settings: QuaySettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._url = settings.url.rstrip("/")
        self._settings = settings
        self._http = context.http()
        self._api = Api(self._url, self._http, lambda: self._token)
        self._lock = threading.Lock()
        self._listed: dict[str, dict[str, Document]] = {}
        self._proved: set[Address] = set()
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
        return Home(
            name, (repository, needed), Login.stored(robot.name, SecretRef(source=robot, field=PASSWORD), SECRET)
        )

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
            if any(address.kind == ROBOT for address in wanted):
                found |= self._read_robots(namespace, [address for address in wanted if address.kind == ROBOT])
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each repository or robot what it is to be; a robot is proved before it counts as done."""
        for change in sorted(changes, key=_turn):
            namespace, name = _split(change.address)
            match change.address.kind, change.after:
                case "repository", None:
                    self._forget_repository(namespace, name)
                case "robot", None:
                    self._forget_robot(namespace, name)
                case "repository", Repository() as after:
                    self._make_repository(change, after)
                case "robot", Robot() as after:
                    self._make_robot(change, after)
                case _:
                    raise LookupError(f"Quay has no {change.address.kind}")

    def reveal(self, ref: SecretRef) -> Secret:
        """The token of a robot, or the operator's own password, proved before it leaves; nothing is made anew."""
        namespace, name = _split(ref.source)
        if OwnLogin.is_asked_for(ref) and self._settings.push is not None:
            login = self._settings.push.credentials(self.context)
            self._client.prove_push(f"{namespace}/{name}", login)
            return login.password
        if ref.field != PASSWORD or ref.source.kind != ROBOT:
            return super().reveal(ref)
        robot = self._api.robot(namespace, name)
        if robot is None:
            raise ProviderError(
                f"the robot {namespace}+{name} is gone from {self.host}; plan and apply to make it anew"
            )
        token = self._token_of(robot, ref.source)
        if ref.source not in self._proved:
            self._prove(ref.source, token)
        return token

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this token may see; one request per tag."""
        return self._client.digests(references, self.context.each)

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

    def _read_robots(self, namespace: str, addresses: Collection[Address]) -> dict[Address, Spec]:
        robots = self._api.robots(namespace)
        there = [address for address in addresses if address.name in robots]
        with_role = [
            address for address in there if _split(address)[1] in names_in(robots[address.name], "repositories")
        ]

        def role(address: Address) -> str | None:
            return self._api.roles(namespace, _split(address)[1]).get(address.name)

        asked = with_role or [*addresses][:1]  # one at least, so that a token without repo:admin is noticed in time
        roles = dict(zip(asked, self.context.each(role, asked), strict=True))
        return {address: self._robot(address, robots[address.name], roles.get(address)) for address in there}

    def _robot(self, address: Address, robot: Document, role: str | None) -> Robot:
        namespace, short = _split(address)
        found = Robot(
            owner=unmarked(robot.get("description"))[1],
            repository=f"{namespace}/{short}",
            role=role,
            elsewhere=tuple(sorted(names_in(robot, "repositories") - {short})),
            teams=tuple(sorted(names_in(robot, "teams"))),
        )
        if found != Robot(repository=found.repository):
            return found
        return found.model_copy(update={"owner": repository_of(self._listed[namespace].get(short, {})).owner})

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
        self._refuse_foreign(before.owner, f"repository {namespace}/{name}")
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

    def _make_robot(self, change: Change, after: Robot) -> None:
        address = change.address
        namespace, short = _split(address)
        mark = marked("", after.owner or self.context.fleet)
        made = self._api.create_robot(namespace, short, mark) if change.before is None else None
        robot = made or self._api.robot(namespace, short) or self._api.create_robot(namespace, short, mark)
        if robot is None:
            raise Conflict(f"the robot {address.name} comes and goes in {self.host}: somebody else is at work on it")
        if not made:
            self._refuse_foreign(unmarked(robot.get("description"))[1], f"robot {address.name}")
            self._take_rights_elsewhere(namespace, short)
        self._api.grant(namespace, short, address.name, after.role or "write")
        self._prove(address, self._token_of(robot, address))

    def _take_rights_elsewhere(self, namespace: str, short: str) -> None:
        full = f"{namespace}+{short}"
        robot = self._api.robots(namespace).get(full, {})
        for repository in sorted(names_in(robot, "repositories") - {short}):
            self._api.revoke(namespace, repository, full)
        for team in sorted(names_in(robot, "teams")):
            self._api.leave_team(namespace, team, full)

    def _forget_robot(self, namespace: str, short: str) -> None:
        robot = self._api.robot(namespace, short)
        if robot is None:
            return
        owner = unmarked(robot.get("description"))[1]
        if owner == self.context.fleet:
            self._api.delete_robot(namespace, short)
        elif owner is None:  # somebody else made it: what we gave it goes, the robot stays
            self._api.revoke(namespace, short, f"{namespace}+{short}")

    def _refuse_foreign(self, owner: str | None, what: str) -> None:
        if owner not in (None, self.context.fleet):
            raise ProviderError(
                f"the {what} in {self.host} belongs to the fleet {owner}: take it out of that fleet's file first"
            )

    def _token_of(self, robot: Document, address: Address) -> Secret:
        token = robot.get("token")
        if not isinstance(token, Secret):
            raise ProviderError(f"{self.host} does not show the token of the robot {address.name}")
        return token

    def _prove(self, address: Address, token: Secret) -> None:
        namespace, short = _split(address)
        prove(self._client, Credentials(address.name, token), f"{namespace}/{short}", self._neighbour(namespace, short))
        with self._lock:
            self._proved.add(address)

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
