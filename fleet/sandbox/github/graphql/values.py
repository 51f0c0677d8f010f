"""What resolvers hand to each other: the request's context, git objects of a repository, pages, and errors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from graphql import GraphQLError

from fleet.sandbox.github.errors import ApiError
from fleet.sandbox.github.graphql.cost import Price
from fleet.sandbox.github.limits import Meter
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.objects import Commit, read_commit
from fleet.sandbox.github.rights import Actor, Need
from fleet.sandbox.github.state import State
from fleet.sandbox.github.views import node_id

_LARGEST_PAGE = 100


@dataclass(slots=True)
class Context:
    """One request while it is executed; `looked_up` counts its repositories."""

    state: State
    actor: Actor
    base: str
    meter: Meter
    price: Price
    looked_up: int = field(default=0)

    def require(self, need: str, repository: Repository) -> None:
        """Refuse a field in GraphQL's way unless the token has a right."""
        try:
            self.actor.require(Need.parse(need), repository)
        except ApiError as error:
            raise refused("NOT_FOUND" if error.status == 404 else "FORBIDDEN", error.message) from None


@dataclass(frozen=True, slots=True)
class GitObject:
    """A git object as part of a repository."""

    repository: Repository
    oid: str
    kind: str

    def commit(self, state: State) -> Commit:
        """The object as a commit, which its kind must be."""
        return read_commit(state.store, self.oid)


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag of a repository, by its full name."""

    repository: Repository
    name: str

    @property
    def id(self) -> str:
        """Its id for GraphQL."""
        return node_id("REF", f"{self.repository.id}:{self.name}")


def refused(kind: str, message: str) -> GraphQLError:
    """An error with GitHub's type for it."""
    return GraphQLError(message, extensions={"type": kind})


def page(name: str, items: Callable[[], Iterable[Any]], first: int | None, after: str | None) -> dict[str, Any]:
    """A connection; all items are counted only when the query asks how many there are."""
    if first is None:
        text = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
        raise refused("MISSING_PAGINATION_BOUNDARIES", text)
    if not 0 <= first <= _LARGEST_PAGE:
        text = f"Requesting {first} records on the `{name}` connection exceeds the `first` limit of 100 records."
        raise refused("EXCESSIVE_PAGINATION", text)
    start = _position(after)
    found = list(islice(items(), start, start + first + 1))
    shown = found[:first]
    return {
        "nodes": shown,
        "totalCount": lambda _info: sum(1 for _ in items()),
        "pageInfo": {
            "hasNextPage": len(found) > first,
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start + 1) if shown else None,
            "endCursor": _cursor(start + len(shown)) if shown else None,
        },
    }


def _cursor(position: int) -> str:
    return base64.b64encode(f"cursor:{position}".encode()).decode()


def _position(after: str | None) -> int:
    if after is None:
        return 0
    try:
        return int(base64.b64decode(after, validate=True).decode().removeprefix("cursor:"))
    except (binascii.Error, ValueError):
        raise refused("INVALID_CURSOR_ARGUMENTS", f"`{after}` does not appear to be a valid cursor.") from None
