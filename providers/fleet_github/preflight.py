"""What GitHub is sure to refuse, found out before anything is written.

A few requests for each owner, and for repositories that change: one query for 25 of them, one look at what their
Actions may run, and one for each ruleset that would refuse a commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.provider import Address, Change, Context, Objection
from fleet_github.allowed_actions import actions_used, may_run
from fleet_github.batches import Document, Question, ask
from fleet_github.branch_rules import FIELDS as RULES
from fleet_github.branch_rules import rules_against
from fleet_github.client import Client
from fleet_github.environments import waiting_in
from fleet_github.files import MAY_PUSH
from fleet_github.owners import Owner, against_owner
from fleet_github.specs import (
    OF_ORGANIZATION,
    SELECTED,
    WITHIN_ENVIRONMENT,
    ManagedFiles,
    Place,
    Repository,
    repository_of,
)

Found = tuple[Change, Objection]

WORKFLOWS = ".github/workflows/"

_FIELDS = f"nameWithOwner isArchived isTemplate isEmpty viewerPermission defaultBranchRef {{ {RULES} }}"


@dataclass(slots=True)
class Wanted:
    """What is to change in one repository."""

    name: str
    changes: list[Change] = field(default_factory=list)

    @property
    def setup(self) -> Change | None:
        """The change of the repository itself."""
        return next((change for change in self.changes if isinstance(change.after, Repository)), None)

    @property
    def files(self) -> Change | None:
        """The change of its managed files."""
        return next((change for change in self.changes if isinstance(change.after, ManagedFiles)), None)

    @property
    def template(self) -> str | None:
        """The template repository that it would be generated from."""
        spec = self.setup.after if self.setup and self.setup.before is None else None
        return spec.first.template if isinstance(spec, Repository) and spec.first else None


def preflight(
    client: Client, context: Context, changes: Collection[Change], *, commits: bool = True
) -> Mapping[Address, Objection]:
    """The first objection to each change, by its address; rules of branches only where fleet `commits` to them."""
    wanted: dict[str, Wanted] = {}
    shared: list[Change] = []
    for change in changes:
        if change.after is None:
            continue
        if change.address.kind in OF_ORGANIZATION | SELECTED:
            shared.append(change)
        if name := repository_of(change.address):
            wanted.setdefault(name.casefold(), Wanted(name)).changes.append(change)
    if not (wanted or shared):
        return {}
    asked = _Preflight(client, context, list(wanted.values()), shared, commits=commits)
    objections: dict[Address, Objection] = {}
    for change, objection in asked.all():
        objections.setdefault(change.address, objection)
    return objections


def notices(client: Client, context: Context, changes: Collection[Change]) -> list[str]:
    """What would make builds wait: one request for each environment that builds of these changes run in."""
    concerned = (address for change in changes for address in (change.address, *change.needs))
    places = [Place.of(address) for address in concerned if address.kind in WITHIN_ENVIRONMENT]
    environments = list(dict.fromkeys((place.repository, place.environment) for place in places))
    found = context.each(lambda where: waiting_in(client, *where), environments)
    return [
        f"builds of {repository} wait for {' and '.join(reasons)}, which their environment {name} asks for"
        for (repository, name), reasons in zip(environments, found, strict=True)
        if reasons
    ]


class _Preflight:
    """The questions of one plan."""

    def __init__(
        self, client: Client, context: Context, wanted: list[Wanted], shared: list[Change], *, commits: bool
    ) -> None:
        self._client = client
        self._context = context
        self._wanted = wanted
        self._shared = shared
        self._commits = commits
        templates = [one.template for one in wanted if one.template]
        names = list(dict.fromkeys([*(one.name for one in wanted), *templates]))
        self._standing = ask(client, context.each, names, Question(_FIELDS, follow=True))
        self._is_app = client.login.permissions is not None

    def all(self) -> Iterator[Found]:
        """Every objection, those to whole repositories first."""
        there = [one for one in self._wanted if one.name in self._standing]
        for one in there:
            yield from self._against(one, self._standing[one.name])
        yield from self._owners()
        for one in self._wanted:
            yield from self._template(one)
        writable = [one for one in there if one.files and not self._is_shut(one)]
        for found in self._context.each(self._of_files, writable):
            yield from found

    def _is_shut(self, one: Wanted) -> bool:
        return any(self._against(one, self._standing[one.name]))

    def _against(self, one: Wanted, standing: Document) -> Iterator[Found]:
        first, now = one.changes[0], str(standing["nameWithOwner"])
        if now.casefold() != one.name.casefold():
            reason = f"is not there under this name: {one.name} was renamed or transferred to {now}"
            yield first, Objection(reason, f"Write {now} in fleet.yaml.")
        elif standing.get("isArchived"):
            reason = "cannot be written: the repository is archived"
            yield first, Objection(reason, "Unarchive it, or take its image out of fleet.yaml.")
        elif self._is_app:
            return  # what an App may do is the same everywhere, and was granted to its installation
        elif standing.get("viewerPermission") not in MAY_PUSH:
            reason = "cannot be written: the token's owner may not push there"
            yield first, Objection(reason, f"Give the token's owner the role Admin on {one.name}.")
        elif one.setup and standing.get("viewerPermission") != "ADMIN":
            reason = "cannot be set up: the token's owner is no admin there"
            yield one.setup, Objection(reason, f"Give the token's owner the role Admin on {one.name}.")

    def _template(self, one: Wanted) -> Iterator[Found]:
        template = one.template
        if template is None or one.name in self._standing:
            return
        assert one.setup is not None
        found = self._standing.get(template)
        if found is None:
            trouble = f"the token sees no repository {template}"
        elif not found.get("isTemplate"):
            trouble = f"{template} is no template repository"
        elif found.get("isEmpty"):
            trouble = f"{template} is empty"
        else:
            return
        yield one.setup, Objection(f"cannot be made from its template: {trouble}", "Check `from:` of the template.")

    def _owners(self) -> Iterator[Found]:
        by_owner: dict[str, Owner] = {}
        for one in self._wanted:
            login = one.name.partition("/")[0]
            owner = by_owner.setdefault(login.casefold(), Owner(login))
            owner.changes += one.changes
            if one.name not in self._standing:
                owner.missing += [one.setup] if one.setup else []
                owner.new_files += [one.files] if one.files else []
        for change in self._shared:
            login = change.address.name.partition("/")[0]
            by_owner.setdefault(login.casefold(), Owner(login)).shared.append(change)
        for owner in by_owner.values():
            owner.actions = actions_used(self._context, [change.after for change in owner.new_files])
            yield from against_owner(self._client, owner, touches_workflows=self._touches_workflows(owner.changes))

    @staticmethod
    def _touches_workflows(changes: Iterable[Change]) -> bool:
        return any(
            path.startswith(WORKFLOWS)
            for change in changes
            if isinstance(change.after, ManagedFiles)
            for path in change.after.files
        )

    def _of_files(self, one: Wanted) -> list[Found]:
        change = one.files
        assert change is not None
        standing, is_app = self._standing[one.name], self._is_app
        objections = [
            *(rules_against(self._client, one.name, standing, is_app=is_app) if self._commits else ()),
            *may_run(self._client, one.name, actions_used(self._context, [change.after])),
        ]
        return [(change, objection) for objection in objections]
