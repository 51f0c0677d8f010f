"""The robots of one repository: the first has its name, and those that replace each other end in `-a` and `-b`.

Which of them pushes now is no part of a plan. Quay shows a robot's token whenever it is asked, so a robot that was made
and never stored is taken as it is. A robot's description cannot be changed, and says of a later one whose it is: the
repository `climate` may have the robot `climate-a`, and so may a repository `climate-a`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from fleet.provider import Credential, ProviderError
from fleet_quay.specs import marked, names_in, unmarked

TURNS = ("-a", "-b")

_PURPOSE = "pushes to "


class Standing(NamedTuple):
    """A robot that stands: its name without the namespace, and how a listing describes it."""

    short: str
    entry: Mapping[str, Any]


def description(repository: str, short: str, owner: str) -> str:
    """What a new robot of a repository (`namespace/name`) says of itself, so that it is told from another's."""
    is_first = repository.partition("/")[2] == short
    return marked("" if is_first else f"{_PURPOSE}{repository}", owner)


def robots_of(repository: str, listed: Mapping[str, Mapping[str, Any]]) -> Sequence[Standing]:
    """The robots of a repository among those of its namespace, by full name; the oldest first.

    One without a mark that may push nowhere any more, beside others, was replaced: somebody else made it, and it stays.
    """
    namespace, _, name = repository.partition("/")
    found = [
        Standing(short, listed[f"{namespace}+{short}"])
        for short in names_of(name)
        if f"{namespace}+{short}" in listed and is_of(repository, short, listed[f"{namespace}+{short}"])
    ]
    living = [
        one for one in found if unmarked(one.entry.get("description"))[1] or name in names_in(one.entry, "repositories")
    ]
    return sorted(living if living else found, key=lambda one: created(one.entry))


def is_of(repository: str, short: str, entry: Mapping[str, Any]) -> bool:
    """Whether a robot of one of a repository's names is that repository's."""
    text = unmarked(entry.get("description"))[0]
    if repository.partition("/")[2] == short:
        return not text.startswith(_PURPOSE) or text == f"{_PURPOSE}{repository}"
    return text == f"{_PURPOSE}{repository}"


def free_name(repository: str, listed: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """The first of these names that no robot has; raises ProviderError where all are taken."""
    namespace = repository.partition("/")[0]
    free = next((name for name in names if f"{namespace}+{name}" not in listed), None)
    if free is None:
        taken = " and ".join(f"{namespace}+{name}" for name in names)
        raise ProviderError(
            f"the robots {taken} exist and belong to other images than {repository}: delete one of them"
        )
    return free


def turns_of(name: str) -> Sequence[str]:
    """The names that robots of a repository take by turns."""
    return [f"{name}{turn}" for turn in TURNS]


def credentials(repository: str, listed: Mapping[str, Mapping[str, Any]]) -> Sequence[Credential]:
    """The robots of a repository with when they were made, the oldest first."""
    namespace = repository.partition("/")[0]
    return [
        Credential(f"{namespace}+{one.short}", created(one.entry), _moment(one.entry.get("last_accessed")))
        for one in robots_of(repository, listed)
    ]


def names_of(name: str) -> Sequence[str]:
    """The names that robots of a repository may have."""
    return [name, *turns_of(name)]


def created(entry: Mapping[str, Any]) -> datetime:
    """When a robot was made, as Quay tells it (RFC 2822); long ago where it doesn't."""
    return _moment(entry.get("created")) or datetime.fromtimestamp(0, UTC)


def _moment(text: object) -> datetime | None:
    """A moment as Quay tells it (RFC 2822); None where it tells none."""
    try:
        found = parsedate_to_datetime(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
