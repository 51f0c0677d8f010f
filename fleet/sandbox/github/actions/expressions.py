"""Expressions in `${{ }}`: contexts, literals, comparison, `&&`, `||`, `!`, status functions, contains and fromJSON.

https://docs.github.com/actions/reference/evaluate-expressions-in-workflows-and-actions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

_MARKED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<operator>==|!=|&&|\|\||!|\(|\)|,)"
    r"|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))"
)
Value = Callable[[], Any]
"""A part of an expression: its value is asked for when it is needed."""

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
    return value()


def truth(value: Any) -> bool:
    """What counts as true: all but false, null, 0 and the empty text."""
    return value not in (False, None, 0, "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _contains(where: Any, what: Any) -> bool:
    """Whether a text is part of a text or one of a list, without regard to case."""
    if isinstance(where, list):
        return any(str(one).lower() == str(what).lower() for one in where)
    return str(what).lower() in str(where).lower()


def _from_json(text: Any) -> Any:
    try:
        return json.loads(str(text))
    except ValueError as error:
        raise ExpressionError(f"fromJSON was given {text!r}: {error}") from None


_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {"contains": (2, _contains), "fromjson": (1, _from_json)}
"""The functions that are known, with how many values each takes."""


def _first_that_is(wanted: bool, values: Sequence[Value]) -> Any:
    """The first value that counts as `wanted`, else the last; what comes after it is not looked at, as on GitHub."""
    found = None
    for value in values:
        found = value()
        if truth(found) is wanted:
            break
    return found


class _Parser:
    """Recursive descent over the tokens of one expression; what it finds is evaluated when it is called."""

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

    def either(self) -> Value:
        """An expression, from its weakest operator on."""
        values = [self._both()]
        while self.peek == "||":
            self._next()
            values.append(self._both())
        return partial(_first_that_is, True, values)

    def _both(self) -> Value:
        values = [self._comparison()]
        while self.peek == "&&":
            self._next()
            values.append(self._comparison())
        return partial(_first_that_is, False, values)

    def _comparison(self) -> Value:
        value = self._unary()
        while self.peek in ("==", "!="):
            _, operator = self._next()
            value = partial(self._compare, value, self._unary(), wanted=operator == "==")
        return value

    def _compare(self, left: Value, right: Value, *, wanted: bool) -> bool:
        return self._same(left(), right()) is wanted

    def _same(self, left: Any, right: Any) -> bool:
        """GitHub compares texts without regard to case, and converts between types, which the sandbox does not."""
        if isinstance(left, str) and isinstance(right, str):
            return left.lower() == right.lower()
        if type(left) is not type(right):
            raise ExpressionError(f"the sandbox does not compare values of two types: {self._expression!r}")
        return bool(left == right)

    def _unary(self) -> Value:
        if self.peek == "!":
            self._next()
            value = self._unary()
            return lambda: not truth(value())
        if self.peek == "(":
            self._next()
            value = self.either()
            self._close()
            return value
        return self._atom()

    def _atom(self) -> Value:
        kind, token = self._next()
        if kind == "text":
            text = token[1:-1].replace("''", "'")
            return lambda: text
        if kind == "number":
            number = float(token) if "." in token else int(token)
            return lambda: number
        if kind != "name":
            raise ExpressionError(f"the sandbox does not understand {self._expression!r}")
        if self.peek == "(":
            return self._call(token)
        if token in _LITERALS:
            return lambda: _LITERALS[token]
        return partial(self._contexts.lookup, token)

    def _call(self, name: str) -> Value:
        self._next()
        given = []
        while self.peek not in (")", ""):
            given.append(self.either())
            if self.peek == ",":
                self._next()
        self._close()
        status = {"success": self._contexts.succeeded, "failure": not self._contexts.succeeded}
        status |= {"always": True, "cancelled": False}
        if name in status and not given:
            return lambda: status[name]
        wanted, function = _FUNCTIONS.get(name.lower(), (-1, _contains))
        if len(given) != wanted:
            raise ExpressionError(f"the sandbox does not know the function {name} with {len(given)} values")
        return lambda: function(*[value() for value in given])

    def _close(self) -> None:
        if self._next()[1] != ")":
            raise ExpressionError(f"the sandbox does not understand {self._expression!r}")
