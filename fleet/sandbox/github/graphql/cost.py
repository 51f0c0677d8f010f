"""What a query costs, counted as GitHub documents it.

https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

MOST_NODES = 500_000


@dataclass(frozen=True, slots=True)
class Price:
    """Points off the primary limit, and how many nodes may come back."""

    points: int
    nodes: int


def price(document: DocumentNode, variables: Mapping[str, Any]) -> Price:
    """Each connection is one request for each node above it; a hundred requests are a point, and one is the least."""
    counter = _Counter(document, variables)
    requests, nodes = 0, 0
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            for above, size in counter.connections(definition.selection_set, 1):
                requests += above
                nodes += above * size
    return Price(max(1, round(requests / 100)), nodes)


@dataclass(frozen=True, slots=True)
class _Counter:
    document: DocumentNode
    variables: Mapping[str, Any]

    def connections(self, selected: SelectionSetNode, above: int) -> Iterator[tuple[int, int]]:
        """How often each connection below is asked, and for how many nodes."""
        for node in selected.selections:
            if isinstance(node, FieldNode):
                size = self._size(node)
                if size is not None:
                    yield above, size
                if node.selection_set:
                    yield from self.connections(node.selection_set, above * (size or 1))
            elif isinstance(node, InlineFragmentNode):
                yield from self.connections(node.selection_set, above)
            elif isinstance(node, FragmentSpreadNode):
                for fragment in self.document.definitions:
                    if isinstance(fragment, FragmentDefinitionNode) and fragment.name.value == node.name.value:
                        yield from self.connections(fragment.selection_set, above)

    def _size(self, node: FieldNode) -> int | None:
        """The `first` of a connection; None for any other field."""
        for argument in node.arguments or ():
            if argument.name.value == "first":
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                if isinstance(argument.value, VariableNode):
                    given = self.variables.get(argument.value.name.value)
                    return given if isinstance(given, int) else 0
        return None
