"""A registry of somebody else: shelves by name, each with a note, an owner and tags, behind a small HTTP API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import ValidationError

from fleet.provider import (
    Address,
    Answer,
    Ask,
    Change,
    Context,
    Frozen,
    Home,
    ImageReference,
    Limits,
    Owned,
    ProviderError,
    Registry,
    RegistryImage,
    Resource,
    Reveal,
    Settings,
    Spec,
    TryAgain,
    Url,
    host_of,
)


class ShelfSettings(Settings):
    """A shelf service, as fleet.yaml names it: `{type: shelf, url: …}`."""

    type: Literal["shelf"]
    url: Url


class Place(Owned):
    """One shelf; `owner` is the fleet whose marker it carries."""

    note: str = ""


class _Listing(Frozen):
    """What the service answers to a request for all shelves."""

    shelves: dict[str, Place]


class Shelf(Registry):
    """The provider: it reads all shelves with one request, and writes each with one."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {"place": Place}
    settings: ClassVar[type[Settings]] = ShelfSettings
    limits = Limits(at_once=4)

    def __init__(self, name: str, settings: ShelfSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._url = settings.url.rstrip("/")
        self._http = context.http()

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._url)

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives, and the shelf that must exist for it."""
        wanted = Place(owner=self.context.fleet, note=image.description)
        return Home(f"{self.host}/{image.name}", (Resource(Address(self.name, "place", image.name), wanted),))

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """The shelves that exist, of those that are asked for: one request."""
        shelves = self._shelves()
        return {address: shelves[address.name] for address in addresses if address.name in shelves}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Put each shelf up, or take our marker off it: whatever stood there, afterwards it is as wanted."""
        shelves = self._shelves()
        for change in changes:
            name = change.address.name
            before = shelves.get(name, Place())
            if before.owner not in (None, self.context.fleet):
                raise ProviderError(f"the shelf {name} belongs to the fleet {before.owner}")
            after = change.after if isinstance(change.after, Place) else before.model_copy(update={"owner": None})
            self._send(Ask("PUT", f"{self._url}/shelves/{name}", {}, after.model_dump_json().encode()))

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag that exists: one request for each."""
        found = {}
        for reference in references:
            path = f"{reference.name.partition('/')[2]}/{reference.tag}"
            answer = self._send(Ask("GET", f"{self._url}/tags/{path}"), 404)
            if answer.status == 200:
                found[reference] = str(answer.json()["digest"])
        return found

    def _shelves(self) -> dict[str, Place]:
        """All shelves; an answer of another shape is never taken for "there are none"."""
        try:
            return _Listing.model_validate_json(self._send(Ask("GET", f"{self._url}/shelves")).body).shelves
        except ValidationError:
            raise TryAgain(f"{self.host} sent something that is no listing of shelves") from None

    def _send(self, ask: Ask, *also: int) -> Answer:
        answer = self._http.send(ask)
        if answer.status not in (200, *also):
            raise ProviderError(f"{self.host} answers {answer.status} to {ask.method} {ask.url}")
        return answer
