"""The same question about many repositories in a few GraphQL queries, also where a part of the answer fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from fleet.provider import Each, ProviderError, TryAgain
from fleet_github.client import Client

Document = Mapping[str, Any]
Item = TypeVar("Item")

REPOSITORIES_A_QUERY = 25
"""Repositories that one query asks for; GitHub answers within 10 seconds or not at all."""

SHOWN = 5
"""Repositories that cannot be read which one error names."""


@dataclass(frozen=True, slots=True)
class Question:
    """The fields of each repository to ask for, the variables in them, whether a renamed one answers too, and how many
    repositories go into one query."""

    fields: str
    variables: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    size: int = REPOSITORIES_A_QUERY


def ask(client: Client, each: Each, names: Sequence[str], question: Question) -> dict[str, Document]:
    """The answer for each repository by the name asked for; one that is missing, or not to be seen, has no entry.

    What an answer leaves out is asked again in halves. Raises ProviderError, which names what cannot be read.
    """
    found: dict[str, Document] = {}
    troubles: list[ProviderError] = []
    parts = list(batches(names, question.size))
    for answered, wrong in each(lambda batch: _ask(client, batch, question), parts):
        found |= answered
        troubles += wrong
    if troubles:
        said = "; ".join(str(trouble) for trouble in troubles[:SHOWN])
        more = f"; and {len(troubles) - SHOWN:,} more" if len(troubles) > SHOWN else ""
        passing = all(isinstance(trouble, TryAgain) for trouble in troubles)
        raise (TryAgain if passing else ProviderError)(said + more)
    return found


def batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """The items, `size` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _ask(client: Client, names: list[str], question: Question) -> tuple[dict[str, Document], list[ProviderError]]:
    """One query, and smaller ones about what failed in it."""
    document = client.graphql(*_query(names, question)).document
    data, failed = document.get("data"), _failed(names, document.get("errors") or [])
    if not failed and not _is_whole(data, names):
        raise TryAgain(f"{client.host} answers a query about {len(names)} repositories without saying anything of them")
    found = {
        name: data[f"r{number}"]
        for number, name in enumerate(names)
        if isinstance(data, dict) and name not in failed and data.get(f"r{number}") is not None
    }
    is_final = {name: len(names) == 1 or error.get("type") == "FORBIDDEN" for name, error in failed.items()}
    troubles = [_trouble(client, name, failed[name]) for name in names if is_final.get(name)]
    left = [name for name in names if is_final.get(name) is False]
    for part in batches(left, max(1, -(-len(names) // 2))):
        answered, wrong = _ask(client, part, question)
        found |= answered
        troubles += wrong
    return found, troubles


def _is_whole(data: object, names: Sequence[str]) -> bool:
    return isinstance(data, dict) and all(
        isinstance(data.get(f"r{number}", 0), dict | None) for number in range(len(names))
    )


def _failed(names: Sequence[str], errors: Sequence[Document]) -> dict[str, Document]:
    """The repositories about which something failed, with the error; one that does not exist is not among them."""
    aliases = {f"r{number}": name for number, name in enumerate(names)}
    failed: dict[str, Document] = {}
    for error in errors:
        path = error.get("path") or []
        if error.get("type") == "NOT_FOUND" and len(path) == 1:
            continue
        struck = [aliases[path[0]]] if path and path[0] in aliases else names
        failed.update((name, error) for name in struck)
    return failed


def _trouble(client: Client, name: str, error: Document) -> ProviderError:
    said = f"{client.host} does not answer for {name}: {error.get('message') or 'it gives no reason'}"
    if error.get("type") == "FORBIDDEN":
        fields = [step for step in error.get("path") or () if isinstance(step, str)]
        right = "administration=read" if "branchProtectionRule" in fields else "contents=read"
        return ProviderError(f"{said}; the token needs: {right}")
    return TryAgain(said) if error.get("type") in ("INTERNAL", None) else ProviderError(said)


def _query(names: Sequence[str], question: Question) -> tuple[str, dict[str, str]]:
    variables = dict(question.variables)
    asked = []
    follow = "" if question.follow else ", followRenames: false"
    for number, repository in enumerate(names):
        owner, _, name = repository.partition("/")
        variables |= {f"o{number}": owner, f"n{number}": name}
        asked.append(f"r{number}: repository(owner: $o{number}, name: $n{number}{follow}) {{ ...found }}")
    declared = ", ".join(f"${name}: String!" for name in variables)
    return f"query({declared}) {{ {' '.join(asked)} }} fragment found on Repository {{ {question.fields} }}", variables
