"""How text that somebody else wrote is shown in messages, and which known word a wrong one is near to."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterable
from itertools import islice

LONGEST = 80
"""How many characters of somebody's text a message shows."""

MOST_COMPARED = 2000
MOST_WRONG = 50

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a terminal may obey or hide instead of showing them."""


def escaped(text: str) -> str:
    """The text with every control, formatting and line-separating character written as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )


def quoted(text: object) -> str:
    """Somebody's text for a message: in quotes, escaped and of bounded length."""
    whole = str(text)
    return f'"{escaped(whole[:LONGEST])}{"…" if len(whole) > LONGEST else ""}"'


def visible(line: str) -> str:
    """A line for a snippet: hidden characters each become one visible one, so that columns stay right."""
    if line.isascii() and line.isprintable():
        return line
    return "".join(_stand_in(character) for character in line)


def _stand_in(character: str) -> str:
    if character == "\t":
        return " "
    if character < " ":
        return chr(0x2400 + ord(character))  # Unicode's control pictures
    return "�" if unicodedata.category(character) in _HIDDEN else character


def suggestion(wrong: str, right: Iterable[str]) -> str:
    """`Did you mean …?` where a known word is near the wrong one, else nothing."""
    folded = {word.casefold(): word for word in islice(right, MOST_COMPARED)}
    near = difflib.get_close_matches(wrong[:LONGEST].casefold(), sorted(folded), n=1, cutoff=0.6)
    return f'Did you mean "{escaped(folded[near[0]])}"?' if near else ""


class Near:
    """Suggestions from one set of words for many wrong ones, in bounded time: each once, and after many none."""

    def __init__(self, right: Collection[str]) -> None:
        self._right = right
        self._found: dict[str, str] = {}

    def suggestion(self, wrong: str) -> str:
        """As the function of this name; nothing once there have been too many wrong words."""
        if wrong not in self._found and len(self._found) < MOST_WRONG:
            self._found[wrong] = suggestion(wrong, self._right)
        return self._found.get(wrong, "")


def listed(words: Iterable[str], most: int = 12) -> str:
    """Words as a list for a sentence; what is beyond `most` is counted."""
    known = sorted(words)
    rest = len(known) - most
    return ", ".join(escaped(word) for word in known[:most]) + (f" and {rest} more" if rest > 0 else "")
