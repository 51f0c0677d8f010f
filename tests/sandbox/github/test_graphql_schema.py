"""The sandbox's part of the GraphQL schema agrees with GitHub's, and every field of it is answered."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from fleet.sandbox.github import graphql
from tests import schemas

INTROSPECTION = {"String", "Int", "Boolean", "ID"}


def published_types() -> dict[str, Any]:
    """GitHub's types."""
    return dict(schemas.graphql().type_map)


def ours() -> dict[str, Any]:
    """The types that the sandbox declares."""
    return {
        name: declared
        for name, declared in graphql.schema().type_map.items()
        if not name.startswith("__") and name not in INTROSPECTION
    }


def test_each_type_and_field_is_githubs_own() -> None:
    theirs, compared = published_types(), 0
    for name, mine in ours().items():
        published = theirs[name]
        assert type(mine) is type(published), name
        if isinstance(mine, GraphQLEnumType):
            assert mine.values.keys() <= published.values.keys(), name
        if isinstance(mine, (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)):
            for field, declared in mine.fields.items():
                assert str(declared.type) == str(published.fields[field].type), f"{name}.{field}"
                compared += 1
        if isinstance(mine, (GraphQLObjectType, GraphQLInterfaceType)):
            assert {one.name for one in mine.interfaces} <= {one.name for one in published.interfaces}, name
    assert compared > 150


def test_each_argument_is_githubs_own() -> None:
    for name, mine in ours().items():
        if isinstance(mine, GraphQLObjectType):
            for field, declared in mine.fields.items():
                published = published_types()[name].fields[field].args
                for argument, taken in declared.args.items():
                    assert str(taken.type) == str(published[argument].type), f"{name}.{field}({argument})"
                    assert taken.default_value == published[argument].default_value


def test_input_objects_are_whole() -> None:
    for name, mine in ours().items():
        if isinstance(mine, GraphQLInputObjectType):
            assert mine.fields.keys() == published_types()[name].fields.keys(), name


def test_each_type_has_resolvers_for_all_of_its_fields_or_for_none() -> None:
    for name, fields in graphql.resolvers().items():
        assert fields.keys() == ours()[name].fields.keys(), name
