"""What a commit to a values repository says: which hubs move from what to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fleet.terminal import printable

HUBS_NAMED = 100

TRAILER = "Fleet"
"""The trailer that tells whose commit moved a line; its value is the fleet's name."""


class Move(NamedTuple):
    """One site's move, for the message: references before and after, the file, and the hubs that it reaches."""

    before: str
    after: str
    file: str
    hubs: tuple[str, ...]


def commit_message(fleet: str, moves: Sequence[Move]) -> str:
    """The message for one commit: a subject of at most 72 characters where names allow, each move, the trailer."""
    moves = [_safe(move) for move in moves]
    same: dict[tuple[str, str], list[Move]] = {}
    for move in moves:
        same.setdefault((move.before, move.after), []).append(move)
    paragraphs = [_subject(moves)]
    for (before, after), alike in same.items():
        hubs = dict.fromkeys(hub for move in alike for hub in move.hubs)
        files = dict.fromkeys(move.file for move in alike)
        paragraphs.append(
            "\n".join([f"{before} -> {after}", *(f"  {name}" for name in files), *_hub_lines(list(hubs))])
        )
    return "\n\n".join([*paragraphs, f"{TRAILER}: {printable(fleet)}\n"])


def trailer_of(message: str) -> str | None:
    """The fleet that a commit's message names in its last paragraph; None where it names none."""
    last = message.strip().rpartition("\n\n")[2]
    values = [line.partition(":")[2].strip() for line in last.splitlines() if line.startswith(f"{TRAILER}:")]
    return values[-1] if values else None


def _subject(moves: Sequence[Move]) -> str:
    hubs = {hub for move in moves for hub in move.hubs}
    where = f"{len(hubs)} hubs" if len(hubs) != 1 else next(iter(hubs))
    targets = {move.after for move in moves}
    if len(targets) == 1:
        image = targets.pop().rpartition("/")[2]
        return f"Set {image} on {where}"
    return f"Set {len(moves)} image references on {where}"


def _hub_lines(hubs: list[str]) -> list[str]:
    more = [f"  and {len(hubs) - HUBS_NAMED} more"] if len(hubs) > HUBS_NAMED else []
    return [f"  hubs: {', '.join(hubs[:HUBS_NAMED])}", *more] if hubs else []


def _safe(move: Move) -> Move:
    """Names from outside cannot start a line of their own, so that none can forge a trailer."""
    before, after, file, hubs = move
    return Move(printable(before), printable(after), printable(file), tuple(map(printable, hubs)))
