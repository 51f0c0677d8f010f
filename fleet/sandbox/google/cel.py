"""The part of the Common Expression Language that attribute mappings and conditions of this sandbox may be written in.

Names, `assertion.x`, text, `==`, `!=`, `&&`, `||`, `!`, `+`, `in [..]` and `startsWith`. What else there is in CEL
(https://github.com/google/cel-spec) is refused, and never guessed at.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_STRING = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda left, right: left in right,
}


class CelError(Exception):
    """An expression cannot be evaluated; the text says why."""


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression; raises CelError where it has none, or is written in what is not understood."""
    parts = _STRING.split(text)
    parts[::2] = [re.sub(r"!(?!=)", " not ", part.replace("&&", " and ").replace("||", " or ")) for part in parts[::2]]
    try:
        tree = ast.parse("".join(parts).strip(), mode="eval")
    except SyntaxError:
        raise CelError(f"the expression {text!r} is malformed") from None
    return _value(tree.body, names)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=str() | bool() | int() as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Attribute(value=inner, attr=key):
            held = _value(inner, names)
            if not isinstance(held, Mapping) or key not in held:
                raise CelError(f"no such key: {key}")
            return held[key]
        case ast.List(elts=items):
            return [_value(item, names) for item in items]
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(value, names) for value in values)
        case ast.BoolOp(values=values):
            return any(_value(value, names) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, names)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return str(_value(left, names)) + str(_value(right, names))
        case ast.Compare(left=left, ops=[how], comparators=[right]) if type(how) in _COMPARISONS:
            return _COMPARISONS[type(how)](_value(left, names), _value(right, names))
        case ast.Call(func=ast.Attribute(value=inner, attr="startsWith"), args=[argument], keywords=[]):
            return str(_value(inner, names)).startswith(str(_value(argument, names)))
    raise CelError(f"the sandbox does not understand {ast.unparse(node)}")
