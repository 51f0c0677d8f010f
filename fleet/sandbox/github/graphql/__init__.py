"""GitHub's GraphQL API: the part that `schema.graphql` declares, executed by graphql-core.

https://docs.github.com/graphql
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    is_object_type,
    parse,
    validate,
)

from fleet.sandbox.github.errors import ApiError, unsupported
from fleet.sandbox.github.graphql import commits, cost, git, repositories, roots
from fleet.sandbox.github.graphql.values import Context
from fleet.sandbox.github.limits import Meter
from fleet.sandbox.github.rights import Actor
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Request, Response

_PARTS = (roots, repositories, git, commits)
_UNKNOWN = ("Cannot query field", "Unknown argument", "Unknown type", "Unknown directive", "is not defined by type")
"""How graphql-core begins or words an error about something that the sandbox's part of the schema lacks."""


@cache
def schema() -> GraphQLSchema:
    """The schema with its resolvers."""
    text = resources.files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8")
    built = build_schema(text)
    for type_name, fields in resolvers().items():
        declared: Any = built.type_map[type_name]
        assert is_object_type(declared)
        for name, resolver in fields.items():
            declared.fields[name].resolve = resolver
    return built


def resolvers() -> Mapping[str, Mapping[str, Any]]:
    """Each type's resolvers by field; a type without any is answered from a mapping with its fields' names."""
    return {name: fields for part in _PARTS for name, fields in part.RESOLVERS.items()}


@lru_cache(maxsize=256)
def _parsed(query: str) -> DocumentNode:
    return parse(query)


@lru_cache(maxsize=256)
def _complaints(query: str) -> tuple[GraphQLError, ...]:
    return tuple(validate(schema(), _parsed(query)))


def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = request.json()
    except ValueError:
        raise ApiError(400, "Problems parsing JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise ApiError(400, "A query attribute must be specified and must be a string.")
    return body


def is_mutation(request: Request) -> bool:
    """Whether a request writes."""
    try:
        definitions = _parsed(_body(request)["query"]).definitions
    except (ApiError, GraphQLSyntaxError):
        return False
    return any(
        isinstance(one, OperationDefinitionNode) and one.operation is OperationType.MUTATION for one in definitions
    )


def price(request: Request) -> cost.Price:
    """What a query costs; 1 for what is no query at all."""
    try:
        body = _body(request)
        return cost.price(_parsed(body["query"]), body.get("variables") or {})
    except (ApiError, GraphQLSyntaxError):
        return cost.Price(1, 0)


def handle(state: State, meter: Meter, request: Request, actor: Actor) -> Response:
    """Answer a query or mutation: errors of single fields leave the others intact."""
    actor.require_account()
    body = _body(request)
    asked = price(request)
    if asked.nodes > cost.MOST_NODES:
        text = f"This query requests up to {asked.nodes} possible nodes which exceeds the maximum limit of 500,000."
        return _refused("MAX_NODE_LIMIT_EXCEEDED", text)
    try:
        complaints = _complaints(body["query"])
    except GraphQLSyntaxError as error:
        return Response.of_json({"errors": [_shown(error)]})
    for complaint in complaints:
        if any(mark in complaint.message for mark in _UNKNOWN):
            raise unsupported(f"this in its part of GitHub's schema: {complaint.message}")
    if complaints:
        return Response.of_json({"errors": [_shown(complaint) for complaint in complaints]})
    done = execute_sync(
        schema(),
        _parsed(body["query"]),
        context_value=Context(state, actor, request.base_url, meter, asked),
        variable_values=body.get("variables"),
        operation_name=body.get("operationName"),
        type_resolver=lambda value, *_: value.kind.title(),
    )
    for failed in done.errors or ():
        if failed.original_error is not None and not isinstance(failed.original_error, GraphQLError):
            raise failed.original_error
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [_shown(failed) for failed in done.errors]
    return Response.of_json(answer)


def rate_limited() -> Response:
    """What GitHub answers when the primary limit is used up: 200, and an error."""
    return _refused("RATE_LIMITED", "API rate limit exceeded for user.")


def _refused(kind: str, message: str) -> Response:
    return Response.of_json({"errors": [{"type": kind, "message": message}]})


def _shown(error: GraphQLError) -> dict[str, Any]:
    """GitHub puts an error's type beside its message."""
    document: dict[str, Any] = {**(error.extensions or {}), "message": error.message}
    if error.path:
        document["path"] = list(error.path)
    if error.locations:
        document["locations"] = [{"line": one.line, "column": one.column} for one in error.locations]
    return document
