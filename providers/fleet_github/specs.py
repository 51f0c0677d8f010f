"""What fleet makes on GitHub: a repository, its secrets, and the files that fleet keeps up to date in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from fleet.provider import Address, Frozen, Objection, Owned, ProviderError, Removal, SecretRef, Spec

REPOSITORY, SECRET, FILES = "repository", "secret", "files"
VARIABLE, ENVIRONMENT = "variable", "environment"
ENVIRONMENT_SECRET, ENVIRONMENT_VARIABLE = "environment-secret", "environment-variable"
ORGANIZATION_SECRET, ORGANIZATION_VARIABLE = "organization-secret", "organization-variable"
SELECTED_SECRET, SELECTED_VARIABLE = "selected-secret", "selected-variable"
"""The place of one repository among those that an organisation gives a secret or a variable to."""

SECRETS = frozenset({SECRET, ENVIRONMENT_SECRET})
WITHIN_ENVIRONMENT = frozenset({ENVIRONMENT_SECRET, ENVIRONMENT_VARIABLE})
VARIABLES = frozenset({VARIABLE, ENVIRONMENT_VARIABLE})
OF_ORGANIZATION = frozenset({ORGANIZATION_SECRET, ORGANIZATION_VARIABLE})
SELECTED = frozenset({SELECTED_SECRET, SELECTED_VARIABLE})

TOPIC = "fleet-"
"""Begins the topic that marks a repository; the fleet's name follows."""

SELECTED_ONLY = "selected"
"""The visibility of what an organisation gives to selected repositories."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)


class First(Frozen):
    """First content: a template repository, or files by the ids of their contents on a branch of this name."""

    template: str | None = None
    branch: str = ""
    seed: dict[str, str] = {}  # noqa: RUF012 - frozen like all of it


class Repository(Owned):
    """A repository. `first` says how it begins, which nobody can read afterwards, so it is not compared."""

    description: str = ""
    visibility: str = "public"
    archived: bool = False
    first: First | None = None

    def has_left(self, before: Spec, removal: Removal) -> bool:
        """An archived repository stays, with its marker."""
        return self.archived if removal == "archive" else super().has_left(before, removal)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Repository) and self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]

    def _compared(self) -> dict[str, object]:
        return self.model_dump(exclude={"first"})


class ActionsSecret(Spec):
    """A secret: where its value came from, as far as fleet knows. `source` is empty for one that fleet did not store.

    `also` has the other secrets that hold a part of the same credential (a key's id and the key itself): they are only
    ever written together. A secret of unknown origin is left as it is, and so equal to any that is wanted without
    `replace`.
    """

    is_credential: ClassVar[bool] = True

    source: SecretRef | None = None
    also: dict[str, SecretRef] = {}  # noqa: RUF012 - frozen like all of it
    changed: bool = False
    replace: bool = False

    def credential_of(self) -> Address | None:
        """What fleet stored it from."""
        return self.source.source if self.source else None

    def is_owned_by(self, fleet: str) -> bool:
        """By our record of having stored it as it is: what somebody stored meanwhile is theirs."""
        return self.source is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActionsSecret):
            return False
        if self._is_unknown() or other._is_unknown():
            return not (self.replace or other.replace)
        return (self.source, self.also, self.changed) == (other.source, other.also, other.changed)

    __hash__ = None  # type: ignore[assignment]

    def _is_unknown(self) -> bool:
        return self.source is None and not self.changed


class ActionsVariable(Spec):
    """A variable; anybody who sees the repository's settings may read it."""

    value: str


class OrganizationSecret(ActionsSecret):
    """An organisation's secret, given to selected repositories only: to others it has been changed.

    `logins` says by source repository where its value is revealed, proved for that one's builds. It grows and shrinks
    with the fleet while the value stays, so it is not compared.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"logins"})  # each place among the selected ones shows its own

    logins: dict[str, SecretRef] = {}  # noqa: RUF012 - frozen like all of it

    def credential_of(self) -> Address | None:
        """None of one image: each has its own place."""
        return None


class OrganizationVariable(Spec):
    """An organisation's variable. `owner` is the fleet that put it there, by our record, and `replace` says that
    another's may be changed; neither is compared."""

    value: str
    visibility: str = SELECTED_ONLY
    owner: str | None = None
    replace: bool = False

    def is_owned_by(self, fleet: str) -> bool:
        """By our record of having put it there."""
        return self.owner == fleet

    def objection(self, standing: Spec | None) -> Objection | None:
        """Other repositories may rely on a variable that somebody else put there."""
        if self.replace or not isinstance(standing, OrganizationVariable) or standing.owner:
            return None
        return Objection(
            f"is there already, and not from fleet: {standing.value!r}, for {standing.visibility} repositories",
            "Use another name, write what stands there, or write `adopt_secrets: replace` to change it for all.",
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrganizationVariable) and (self.value, self.visibility) == (
            other.value,
            other.visibility,
        )

    __hash__ = None  # type: ignore[assignment]


class Selected(Spec):
    """A repository that an organisation gives something to. `owner` is the fleet that selected it, by our record, and
    is not compared; `out_of_reach` says that what stands there is given to private repositories as a whole, and to no
    others."""

    owner: str | None = None
    out_of_reach: bool = False

    def is_owned_by(self, fleet: str) -> bool:
        """By our record of having selected it."""
        return self.owner == fleet

    def objection(self, standing: Spec | None) -> Objection | None:
        """What is given to private repositories as a whole takes no others."""
        if not isinstance(standing, Selected) or not standing.out_of_reach:
            return None
        return Objection(
            "cannot be: it stands in the organisation for private repositories only, and is not from fleet",
            "Have it given to selected repositories by hand, or write `adopt_secrets: replace`.",
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selected) and self.out_of_reach == other.out_of_reach

    __hash__ = None  # type: ignore[assignment]


class SelectedForSecret(Selected):
    """A repository that an organisation gives a secret to, once `login` is proved to push where its builds do."""

    is_credential: ClassVar[bool] = True

    login: SecretRef | None = None

    def credential_of(self) -> Address | None:
        """What is proved for it."""
        return self.login.source if self.login else None

    def __eq__(self, other: object) -> bool:
        """Of a place that somebody else gave nothing is known of its login, and it is left so."""
        if not isinstance(other, SelectedForSecret):
            return False
        return self.out_of_reach == other.out_of_reach and (
            None in (self.login, other.login) or self.login == other.login
        )

    __hash__ = None


class Environment(Spec):
    """Which branches' jobs an environment lets in: any, protected ones, or chosen ones by their patterns.

    Who must approve of a job, and how long it waits, is nothing that fleet sets or compares.
    """

    policy: Literal["any", "protected", "chosen"] = "chosen"
    branches: tuple[str, ...] = ()


class ManagedFiles(Spec):
    """The git blob id of each file that fleet keeps up to date; `edited` says who changed which of them by hand."""

    files: dict[str, str]
    edited: dict[str, str] = {}  # noqa: RUF012 - frozen like all of it
    overwrite: bool = False

    def authors(self) -> Mapping[str, str]:
        """The author of each file that is not as fleet wrote it."""
        return self.edited

    def objection(self, standing: Spec | None) -> Objection | None:
        """A file that somebody edited by hand is replaced only where the template says so."""
        if self.overwrite or not isinstance(standing, ManagedFiles):
            return None
        edits = {path: who for path, who in standing.edited.items() if standing.files.get(path) != self.files.get(path)}
        if not edits:
            return None
        told = ", ".join(f"{path} was edited by {who}" for path, who in sorted(edits.items()))
        return Objection(
            f"is not as fleet wrote it: {told}",
            "Bring the edit into the template or undo it, or write `on_edit: overwrite` at the template.",
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManagedFiles) and self.files == other.files

    __hash__ = None  # type: ignore[assignment]


def check_repository_name(repository: str) -> None:
    """Raise ValueError for a name that GitHub won't take."""
    owner, _, name = repository.partition("/")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)) or name in (".", "..") or name.endswith(".git"):
        raise ValueError(f"GitHub takes no repository {repository!r}: write owner/name with letters, digits and . _ -")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret or variable lies: an organisation, a repository or an environment of it, and its own name.

    One repository's place among those that are selected has both, the organisation and the repository.
    """

    name: str
    repository: str = ""
    environment: str = ""
    organization: str = ""

    @classmethod
    def of(cls, address: Address) -> Place:
        """Read `owner/name/NAME` or `owner/name/ENVIRONMENT/NAME`, of an organisation's `owner/NAME`."""
        owner, *between, name = address.name.split("/")
        if not between:
            return cls(name, organization=owner)
        repository, *environment = between
        organization = owner if address.kind in SELECTED else ""
        return cls(name, f"{owner}/{repository}", "".join(environment), organization)

    @property
    def vault(self) -> str:
        """The path of the API under which secrets and variables of this place lie."""
        if self.organization:
            return f"/orgs/{self.organization}/actions"
        root = f"/repos/{self.repository}"
        return f"{root}/environments/{self.environment}" if self.environment else f"{root}/actions"


def repository_of(address: Address) -> str:
    """The repository that an address belongs to; of something that an organisation keeps none."""
    return "" if address.kind in OF_ORGANIZATION else "/".join(address.name.split("/")[:2])


def rests_on(address: Address) -> Address | None:
    """What a repository's place among those that are selected is a place for; None for all else."""
    kind = {SELECTED_SECRET: ORGANIZATION_SECRET, SELECTED_VARIABLE: ORGANIZATION_VARIABLE}.get(address.kind)
    place = Place.of(address) if kind else None
    return Address(address.provider, kind, f"{place.organization.lower()}/{place.name}") if kind and place else None


def foreign(owner: str | None, fleet: str, what: str) -> None:
    """Raise ProviderError when something carries another fleet's marker."""
    if owner not in (None, fleet):
        raise ProviderError(f"{what} belongs to the fleet {owner}: take it out of that fleet's file first")
