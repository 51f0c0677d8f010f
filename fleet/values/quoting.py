"""When a plain scalar is a string to every reader of YAML, and how a scalar is written in its old style.

A values file is read by YAML 1.1 (PyYAML), YAML 1.2 (ruamel.yaml, editors) and Helm's Go parser, which is in between.
A text is written plain only where all of them read a string:
https://yaml.org/type/, https://yaml.org/spec/1.2.2/#103-core-schema, https://github.com/go-yaml/yaml/blob/v2/resolve.go
"""

from __future__ import annotations

import re

NULLS = frozenset({"", "~", "null", "Null", "NULL"})

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "", "<<", "="})
_NUMBER = re.compile(
    r"""[-+]?(?:
        0[xX][0-9a-fA-F]+ | 0[oO][0-7]+ | 0[bB][01]+            # hexadecimal, octal, binary
      | [0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?                    # base 60, as in 1:30
      | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]*)(?:[eE][-+]?[0-9]+)?    # 949086545647, 4.3, 178819e05792
      | \.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    )""",
    re.VERBOSE,
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_NEVER_FIRST = frozenset("-+?:,[]{}#&*!|>'\"%@`")
"""YAML's indicators, and the sign of a number."""
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*(?P<comment>[ \t]+#[^\r\n]*)?")


def is_plain_string(text: str) -> bool:
    """Whether a scalar that is already plain in a file is a string to YAML 1.1, YAML 1.2 and Go alike."""
    if text.lower() in _WORDS or _DATE.fullmatch(text):
        return False
    digits = text.replace("_", "") if text[0] != "_" else text  # 123_456 is an int to YAML 1.1 and to Go
    return _NUMBER.fullmatch(digits) is None


def can_stand_plain(text: str) -> bool:
    """Whether a text can be written without quotes, in a block or in a flow collection, and stay this string."""
    if not is_plain_string(text) or text[0] in _NEVER_FIRST or text[-1] == ":" or text != text.strip():
        return False
    return ": " not in text and " #" not in text and not any(c in ",[]{}" or not c.isprintable() for c in text)


def restyle(old: str, value: str) -> str:
    """Write `value`, a text without quotes and backslashes, in the style of the scalar `old` that it replaces.

    A block scalar becomes one line and keeps the comment of its header; what must be quoted gets single quotes.
    """
    if old[:1] in ("'", '"'):
        return f"{old[0]}{value}{old[0]}"
    plain = value if can_stand_plain(value) else f"'{value}'"
    header = _BLOCK_HEADER.match(old)
    return plain + (header["comment"] or "") if header else plain
