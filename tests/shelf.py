"""A provider whose world is a dict: real enough to apply plans to, with troubles that strike at chosen writes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fleet.model import Address, Change, Owned, Spec
from fleet.pace import Pace
from fleet.provider import Context, Limits, Provider, Reveal, Secret, Settings
from fleet.secrets import read_secret


class Book(Owned):
    """What the shelf holds."""

    title: str


class Shelf(Provider):
    """Books by address. `troubles` are raised by the next writes, one each; `lost` writes happen and then raise."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {"book": Book}
    limits = Limits(at_once=2, attempts=3)

    def __init__(self, name: str = "shelf", limits: Limits | None = None) -> None:
        super().__init__(name, Settings(type="shelf"), context(Pace(), name))
        self.limits = limits or Limits(at_once=2, attempts=3)
        self.books: dict[Address, Spec] = {}
        self.troubles: list[Exception] = []
        self.lost: list[Exception] = []
        self.broken: dict[Address, Exception] = {}
        self.writes: list[Address] = []
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self.meet: threading.Barrier | None = None

    def together(self, address: Address) -> str:
        """Books of one row (before the first slash) are put up together."""
        return address.name.partition("/")[0]

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """The books at these addresses."""
        return {address: self.books[address] for address in addresses if address in self.books}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Put the books up, all of them."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            if self.meet:
                self.meet.wait(10)
            self._apply(changes)
        finally:
            with self._lock:
                self._busy -= 1

    def _apply(self, changes: Sequence[Change]) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        for change in changes:
            if change.address in self.broken:
                raise self.broken[change.address]
        for change in changes:
            self.writes.append(change.address)
            if change.after is None:
                self.books.pop(change.address, None)
            else:
                self.books[change.address] = change.after
        if self.lost:
            raise self.lost.pop(0)


def context(pace: Pace, name: str = "shelf") -> Context:
    """A context of a fleet called `example`."""
    return Context("example", Path(), lambda source: read_secret(source, Path()), lambda: pace.spend(name, Limits()))


def at(name: str, provider: str = "shelf") -> Address:
    """The address of a book."""
    return Address(provider, "book", name)


def put(name: str, title: str = "new", before: str | None = None, needs: Sequence[str] = ()) -> Change:
    """A change that puts a book up."""
    return Change(
        at(name),
        Book(title=before) if before else None,
        Book(title=title),
        needs=tuple(at(need) for need in needs),
        group=f"shelf {name.partition('/')[0]}",
    )


def no_secret(ref: object) -> Secret:
    """Reveals nothing."""
    raise AssertionError(f"nothing asks for a secret here, but {ref} was asked for")
