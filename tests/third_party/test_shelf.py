"""What the author of `fleet_shelf` writes to have it checked by fleet's own contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fleet.testing import Case, Request, Response, Subject, cases


class ShelfService:
    """The service itself, small enough to be had in a test."""

    def __init__(self) -> None:
        self.shelves: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}

    def handle(self, request: Request) -> Response:
        _, collection, *rest = request.path.split("/", 2)
        name = rest[0] if rest else ""
        if collection == "tags":
            digest = self.tags.get(name)
            return Response.of_json({"digest": digest}, 200 if digest else 404)
        if request.method == "PUT":
            self.shelves[name] = request.json()
        return Response.of_json({"shelves": self.shelves})


class ShelfSubject(Subject):
    """A shelf service that nobody has used yet."""

    type = "shelf"
    reads_per_image = 0
    without: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("expire", "renew", "rights"), "it has no logins"),
        **dict.fromkeys(("login", "disarm", "neighbour"), "it issues no push credential"),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shelves = ShelfService()
        self.service = self.shelves

    def entry(self, url: str) -> Mapping[str, Any]:
        return {"url": url}

    def snapshot(self) -> object:
        return json.dumps(self.shelves.shelves, sort_keys=True)

    def occupy(self, image: str, owner: str | None) -> None:
        self.shelves.shelves[image] = {"owner": owner, "note": ""}

    def drift(self, image: str) -> None:
        self.shelves.shelves[image]["note"] = "changed by hand"

    def publish(self, name: str, tag: str) -> str:
        self.shelves.tags[f"{name.partition('/')[2]}/{tag}"] = "sha256:" + "0" * 64
        return "sha256:" + "0" * 64


@pytest.mark.parametrize("case", cases(ShelfSubject), ids=str)
def test_contract(case: Case) -> None:
    case.run()
