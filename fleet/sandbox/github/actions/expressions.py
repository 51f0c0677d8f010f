"""Expressions in `${{ }}`: contexts, literals, comparison, `&&`, `||`, `!` and the status functions.

https://docs.github.com/actions/reference/evaluate-expressions-in-workflows-and-actions
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MARKED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<operator>==|!=|&&|\|\||!|\(|\))"
    r"|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))"
)
_LITERALS = {"true": True, "false": False, "null": None}


class ExpressionError(Exception):
    """An expression is wrong, or asks for something that the sandbox does not know."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """What expressions see: contexts by name, and whether all went well so far.

    In `open` contexts a missing name is empty, as on GitHub; in the others it is an error, since the sandbox knows
    only some of what GitHub has there.
    """

    values: Mapping[str, Mapping[str, Any]]
    succeeded: bool = True
    open: frozenset[str] = frozenset({"secrets", "vars", "env", "inputs"})

    def lookup(self, path: str) -> Any:
        """The value at a path such as `github.sha`."""
        first, *rest = path.split(".")
        value: Any = self.values.get(first.lower())
        if value is None or not rest:
            raise ExpressionError(f"the sandbox does not know {path}")
        for name in rest:
            lowered = {key.lower(): one for key, one in value.items()} if isinstance(value, Mapping) else {}
            if name.lower() not in lowered:
                if first.lower() in self.open or (first.lower() == "steps" and "outputs" in rest):
                    return ""
                raise ExpressionError(f"the sandbox does not know {path}")
            value = lowered[name.lower()]
        return value


def expand(template: str, contexts: Contexts) -> str:
    """A text with each `${{ }}` replaced by its value; raises ExpressionError."""
    expanded = _MARKED.sub(lambda match: _shown(evaluate(match[1], contexts)), template)
    if "${{" in _MARKED.sub("", template):
        raise ExpressionError(f"an expression is not closed in {template!r}")
    return expanded


def holds(condition: str, contexts: Contexts) -> bool:
    """Whether an `if` holds; without a status function it holds only while all went well."""
    marked = _MARKED.fullmatch(condition.strip())
    bare = marked[1] if marked else condition
    asks_status = re.search(r"\b(success|failure|always|cancelled)\(\)", bare) is not None
    value = truth(evaluate(bare, contexts)) if bare.strip() else True
    return value if asks_status else value and contexts.succeeded


def evaluate(expression: str, contexts: Contexts) -> Any:
    """The value of one expression; raises ExpressionError."""
    parser = _Parser(expression, contexts)
    value = parser.either()
    if parser.peek:
        raise ExpressionError(f"the sandbox does not know {parser.peek!r} in {expression.strip()!r}")
    return value


def truth(value: Any) -> bool:
    """What counts as true: all but false, null, 0 and the empty text."""
    return value not in (False, None, 0, "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str, contexts: Contexts) -> None:
        self._expression = expression.strip()
        self._contexts = contexts
        self._tokens = self._tokenize()
        self.peek = ""
        self._kind = ""
        self._next()

    def _tokenize(self) -> Iterator[tuple[str, str]]:
        position = 0
        while position < len(self._expression):
            match = _TOKEN.match(self._expression, position)
            if match is None or match.lastgroup is None:
                raise ExpressionError(f"the sandbox does not understand {self._expression!r}")
            yield match.lastgroup, match[match.lastgroup]
            position = match.end()

    def _next(self) -> tuple[str, str]:
        taken = self._kind, self.peek
        self._kind, self.peek = next(self._tokens, ("", ""))
        return taken

    def either(self) -> Any:
        """The value of an expression, from its weakest operator on."""
        value = self._both()
        while self.peek == "||":
            self._next()
            other = self._both()
            value = value if truth(value) else other
        return value

    def _both(self) -> Any:
        value = self._comparison()
        while self.peek == "&&":
            self._next()
            other = self._comparison()
            value = other if truth(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while self.peek in ("==", "!="):
            _, operator = self._next()
            same = self._same(value, self._unary())
            value = same if operator == "==" else not same
        return value

    def _same(self, left: Any, right: Any) -> bool:
        """GitHub compares texts without regard to case, and converts between types, which the sandbox does not."""
        if isinstance(left, str) and isinstance(right, str):
            return left.lower() == right.lower()
        if type(left) is not type(right):
            raise ExpressionError(f"the sandbox does not compare values of two types: {self._expression!r}")
        return bool(left == right)

    def _unary(self) -> Any:
        if self.peek == "!":
            self._next()
            return not truth(self._unary())
        if self.peek == "(":
            self._next()
            value = self.either()
            self._close()
            return value
        return self._atom()

    def _atom(self) -> Any:
        kind, token = self._next()
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token) if "." in token else int(token)
        if kind != "name":
            raise ExpressionError(f"the sandbox does not understand {self._expression!r}")
        if self.peek == "(":
            return self._status(token)
        return _LITERALS[token] if token in _LITERALS else self._contexts.lookup(token)

    def _status(self, name: str) -> bool:
        self._next()
        self._close()
        known = {
            "success": self._contexts.succeeded,
            "failure": not self._contexts.succeeded,
            "always": True,
            "cancelled": False,
        }
        if name not in known:
            raise ExpressionError(f"the sandbox does not know the function {name}")
        return known[name]

    def _close(self) -> None:
        if self._next()[1] != ")":
            raise ExpressionError(f"the sandbox does not understand {self._expression!r}")
