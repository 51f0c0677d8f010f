"""One request on its way through the API: what it asks for, who asks, and how an answer is made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fleet.sandbox.github.errors import ApiError, unsupported
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.rights import Actor, Need
from fleet.sandbox.github.state import State
from fleet.sandbox.http import Request, Response

Fields = Mapping[str, type | tuple[type, ...]]
"""The fields that a body may have, and their types."""

PAGING = frozenset({"page", "per_page"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has found its route."""

    state: State
    request: Request
    actor: Actor
    params: Mapping[str, str] = field(default_factory=dict)
    found: Repository | None = None

    @property
    def base(self) -> str:
        """Where the client thinks that it is."""
        return self.request.base_url

    @property
    def repository(self) -> Repository:
        """The repository that the path names."""
        assert self.found is not None
        return self.found

    def body(self, known: Fields, required: Collection[str] = ()) -> dict[str, Any]:
        """The body's fields; raises 400 for no JSON, 501 for a field unknown here, 422 for a wrong type or a gap."""
        try:
            fields = self.request.json()
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None
        fields = {} if fields is None else fields
        if not isinstance(fields, dict):
            raise ApiError(400, "Body should be a JSON object")
        for name, value in fields.items():
            if name not in known:
                raise unsupported(f"the field {name!r} of {self.request.method} {self.request.path}")
            wanted = known[name]
            if not isinstance(value, wanted) or (isinstance(value, bool) and not _takes_bool(wanted)):
                raise ApiError(422, f"Invalid request.\n\nFor '{name}', {json.dumps(value)} is of the wrong type.")
        for name in required:
            if name not in fields:
                raise ApiError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return fields

    def query(self, *known: str) -> dict[str, str]:
        """The query's parameters; raises 501 for one unknown here. Paging is always known."""
        for name in self.request.query:
            if name not in known and name not in PAGING:
                raise unsupported(f"the parameter {name!r} of {self.request.method} {self.request.path}")
        return {name: values[0] for name, values in self.request.query.items() if name not in PAGING}

    def page(self, items: Iterable[Any]) -> tuple[list[Any], dict[str, str]]:
        """The page of `items` that was asked for, and the Link header that leads to the others."""
        found = list(items)
        size = max(1, min(100, self._number("per_page", 30)))
        page, last = max(1, self._number("page", 1)), max(1, -(-len(found) // size))
        links = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        shown = {
            "prev": page > 1,
            "next": page < last,
            "last": page < last,
            "first": page > 1,
        }
        header = ", ".join(f'<{self._link(number)}>; rel="{rel}"' for rel, number in links.items() if shown[rel])
        return found[(page - 1) * size : page * size], {"link": header} if header else {}

    def _number(self, name: str, default: int) -> int:
        text = self.request.first(name)
        return int(text) if text.isdecimal() else default

    def _link(self, page: int) -> str:
        query = {name: values[0] for name, values in self.request.query.items()} | {"page": str(page)}
        return f"{self.base}{self.request.raw_path}?{urlencode(query)}"

    def listed(self, items: Sequence[Any], show: Callable[[Any], Any], key: str = "") -> Response:
        """A page of items, as a list, or under `key` beside their number."""
        shown, headers = self.page(items)
        documents = [show(item) for item in shown]
        return Response.of_json({"total_count": len(items), key: documents} if key else documents, headers=headers)


def _takes_bool(wanted: type | tuple[type, ...]) -> bool:
    return bool in (wanted if isinstance(wanted, tuple) else (wanted,))


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path with {names}, and what answers there; `{name+}` takes slashes too.

    `need` is the right that the path's repository asks for; without one the handler judges for itself. `archived`
    says that an archived repository takes the write all the same.
    """

    method: str
    path: str
    handler: Callable[[Call], Response]
    need: str = ""
    archived: bool = False

    @property
    def needed(self) -> Need | None:
        """The right, parsed."""
        return Need.parse(self.need) if self.need else None

    def pattern(self) -> re.Pattern[str]:
        """What the path must match."""
        return re.compile(re.sub(r"\{(\w+)(\+?)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", self.path))


def no_content() -> Response:
    """Done, and nothing to say."""
    return Response(204)
