"""Makes, issues and takes away the robots of repositories; repositories are named `namespace/name`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fleet.provider import Conflict, Credential, Credentials, Each, Issued, ProviderError, Secret
from fleet_quay.api import Api, Document
from fleet_quay.robots import (
    Standing,
    created,
    credentials,
    description,
    free_name,
    names_of,
    robots_of,
    turns_of,
)
from fleet_quay.specs import Robot, names_in, unmarked

USERNAME, PASSWORD = "username", "password"  # the fields of a login
WRITE = "write"


@dataclass(frozen=True, slots=True)
class Robots:
    """The robots of one Quay for one fleet; `prove` makes sure that a login pushes to a repository and no neighbour."""

    api: Api
    host: str
    fleet: str
    prove: Callable[[str, Credentials], None]

    def read(self, namespace: str, owners: Mapping[str, str | None], each: Each) -> Mapping[str, Robot]:
        """The robots of each of these repositories as one, with who owns the repository: a robot that is just as ours
        would be, without a mark, is its repository's."""
        listed = self.api.robots(namespace)
        robots = {repository: robots_of(repository, listed) for repository in owners}
        there = [repository for repository in owners if robots[repository]]
        with_role = [name for name in there if any(_has_role(name, one) for one in robots[name])]
        asked = with_role or [*owners][:1]  # one at least, so that a token without repo:admin is noticed in time
        roles = dict(zip(asked, each(lambda repository: self.api.roles(*_split(repository)), asked), strict=True))

        def found(repository: str) -> Robot:
            every = [
                _robot(repository, one, roles.get(repository, {}), owners[repository]) for one in robots[repository]
            ]
            wanted = Robot(owner=self.fleet, repository=repository)
            return next((one for one in every if one != wanted), wanted)

        return {repository: found(repository) for repository in there}

    def make(self, repository: str, after: Robot, *, is_new: bool) -> None:
        """Make the first robot, or all that stand what they are to be."""
        namespace, name = _split(repository)
        owner = after.owner or self.fleet
        if is_new:
            made = self.api.create_robot(namespace, name, description(repository, name, owner))
            if made is not None:
                self._arm(repository, name, after, made)
                return
        listed = self.api.robots(namespace)
        robots = robots_of(repository, listed)
        if not robots:
            short = free_name(repository, listed, names_of(name))
            mark = description(repository, short, owner)
            self._arm(repository, short, after, self.api.create_robot(namespace, short, mark))
        for one in robots:
            foreign = unmarked(one.entry.get("description"))[1]
            if foreign not in (None, self.fleet):
                raise ProviderError(belongs_to(foreign, f"robot {namespace}+{one.short} in {self.host}"))
            self._take_rights_elsewhere(repository, one)
            self._arm(repository, one.short, after, self.api.robot(namespace, one.short))

    def keep_only(self, repository: str, keep: str | None) -> None:
        """Take away all robots of a repository but one, by its full name; None: all."""
        namespace = _split(repository)[0]
        for one in robots_of(repository, self.api.robots(namespace)):
            if f"{namespace}+{one.short}" != keep:
                self._discard(repository, one)

    def standing(self, repositories: Collection[str]) -> Mapping[str, Sequence[Credential]]:
        """The robots of many repositories, the oldest first: one listing for each namespace."""
        spaces = {_split(repository)[0] for repository in repositories}
        listed = {namespace: self.api.robots(namespace) for namespace in spaces}
        return {repository: credentials(repository, listed[_split(repository)[0]]) for repository in repositories}

    def issue(self, repository: str, stored: str | None) -> Issued:
        """The token of a robot that is newer than the stored one, or of any where none is known; else of one that is
        made now. Of the others no more than the stored one stays."""
        namespace, name = _split(repository)
        listed = dict(self.api.robots(namespace))
        robots = robots_of(repository, listed)
        if not robots:
            raise ProviderError(
                f"the robot {namespace}+{name} is gone from {self.host}; plan and apply to make it anew"
            )
        kept = next((one for one in robots if f"{namespace}+{one.short}" == stored), None)
        spare = [one for one in robots if one is not kept]
        newest = spare.pop() if spare and (kept is None or created(spare[-1].entry) > created(kept.entry)) else None
        for one in spare if kept is not None or len(robots) > 2 else ():
            self._discard(repository, one)
            listed.pop(f"{namespace}+{one.short}")
        if newest is None:
            turns = [turn for turn in turns_of(name) if kept is None or turn != kept.short]
            short = free_name(repository, listed, turns)
            robot = self.api.create_robot(namespace, short, description(repository, short, self.fleet))
        else:
            short, robot = newest.short, self.api.robot(namespace, newest.short)
        full, token = f"{namespace}+{short}", self._token_of(f"{namespace}+{short}", robot)
        if newest is None or not _has_role(repository, newest):  # one that has another is for the proof to refuse
            self.api.grant(namespace, name, full, WRITE)
        return Issued(full, {USERNAME: Secret(full), PASSWORD: token})

    def recall(self, full: str) -> Issued | None:
        """A robot's token; None where the robot is not there."""
        namespace, _, short = full.partition("+")
        robot = self.api.robot(namespace, short)
        if robot is None:
            return None
        return Issued(full, {USERNAME: Secret(full), PASSWORD: self._token_of(full, robot)})

    def _arm(self, repository: str, short: str, after: Robot, robot: Document | None) -> None:
        """Give a robot its role, and prove it."""
        namespace, name = _split(repository)
        full = f"{namespace}+{short}"
        token = self._token_of(full, robot)
        self.api.grant(namespace, name, full, after.role or WRITE)
        self.prove(repository, Credentials(full, token))

    def _take_rights_elsewhere(self, repository: str, robot: Standing) -> None:
        namespace, name = _split(repository)
        full = f"{namespace}+{robot.short}"
        for other in sorted(names_in(robot.entry, "repositories") - {name}):
            self.api.revoke(namespace, other, full)
        for team in sorted(names_in(robot.entry, "teams")):
            self.api.leave_team(namespace, team, full)

    def _discard(self, repository: str, robot: Standing) -> None:
        """Delete a robot of ours; of one that somebody else made, what we gave it goes, and it stays."""
        namespace, name = _split(repository)
        owner = unmarked(robot.entry.get("description"))[1]
        if owner == self.fleet:
            self.api.delete_robot(namespace, robot.short)
        elif owner is None:
            self.api.revoke(namespace, name, f"{namespace}+{robot.short}")

    def _token_of(self, full: str, robot: Document | None) -> Secret:
        if robot is None:
            raise Conflict(f"the robot {full} comes and goes in {self.host}: somebody else is at work on it")
        token = robot.get("token")
        if not isinstance(token, Secret):
            raise ProviderError(f"{self.host} does not show the token of the robot {full}")
        return token


def belongs_to(owner: str | None, what: str) -> str:
    """The sentence for something that another fleet owns."""
    return f"the {what} belongs to the fleet {owner}: take it out of that fleet's file first"


def _robot(repository: str, robot: Standing, roles: Mapping[str, str], owner: str | None) -> Robot:
    namespace, name = _split(repository)
    found = Robot(
        owner=unmarked(robot.entry.get("description"))[1],
        repository=repository,
        role=roles.get(f"{namespace}+{robot.short}"),
        elsewhere=tuple(sorted(names_in(robot.entry, "repositories") - {name})),
        teams=tuple(sorted(names_in(robot.entry, "teams"))),
    )
    return found.model_copy(update={"owner": owner}) if found == Robot(repository=repository) else found


def _has_role(repository: str, robot: Standing) -> bool:
    return _split(repository)[1] in names_in(robot.entry, "repositories")


def _split(repository: str) -> tuple[str, str]:
    namespace, _, name = repository.partition("/")
    return namespace, name
