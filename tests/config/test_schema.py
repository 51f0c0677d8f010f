"""The JSON Schema takes what the models take, refuses what a schema can refuse, and describes every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fleet.config.docs import EXAMPLE, reference
from fleet.config.json_schema import schema
from fleet.config.parse import parse

DOCS = Path(__file__).parents[2] / "docs"


def errors(text: str) -> list[str]:
    document = parse(text)
    assert not document.flaws
    return [error.message for error in Draft202012Validator(schema()).iter_errors(document.data)]


def quoted_dates(text: str) -> str:
    return text.replace("2026-12-18", '"2026-12-18"')  # editors read YAML 1.2, which has no dates


def test_it_is_a_schema_with_a_name() -> None:
    Draft202012Validator.check_schema(schema())
    assert (schema()["$id"], schema()["title"]) == ("urn:hubfleet:fleet.yaml:1", "fleet.yaml")


def test_it_takes_the_whole_shape() -> None:
    assert errors(quoted_dates(EXAMPLE)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("version: 1", "version: 2"),
        ("name: example", "nam: example"),
        ("name: example", "name: Example"),
        ("type: quay", "type: quey"),
        ("namespace: example", "namespcae: example"),
        ("region: us-west-2, ", ""),
        ('account: "123456789012"', "account: 123456789012"),
        ("push: keyless", "push: anything"),
        ("push: keyless", "push: {username: u}"),
        ("auth: {token: {env: QUAY_TOKEN}}", "auth: {token: secret}"),
        ("{env: QUAY_TOKEN}", "{env: QUAY_TOKEN, file: x}"),
        ("registry: quay", "registry: quay\n    visibilty: public"),
        ("upstream: quay.io/pangeo/ml-notebook", "upstream: quay.io/pangeo/ml-notebook, registry: quay"),
        ("staging.values.yaml", "../staging.values.yaml"),
        ("files: [config/climate/common.values.yaml, config/climate/staging.values.yaml]", "files: []"),
        ('track: "2026.04.29"', "track: 4.3"),
        ("choices.ml:", "choice.ml:"),
        ("{reason: finals week, until: ", "{until: "),
        ("configurator: {auth", "values: {path: ., files: [a]}\n    configurator: {auth"),
        ("hubs_per_run: 50%", "hubs_per_run: half"),
        ("removed: []", "removed: [{address: 'a:b:c', then: delete}]"),
        ("state: .fleet", "state: .fleet\nwaves: []"),
        ("state: .fleet", "state: ''"),
    ],
)
def test_it_refuses_mistakes(right: str, wrong: str) -> None:
    assert right in EXAMPLE
    text = quoted_dates(EXAMPLE.replace(right, wrong, 1))
    data = parse(text).data if wrong != "state: ''" else {**parse(quoted_dates(EXAMPLE)).data, "state": ""}
    assert list(Draft202012Validator(schema()).iter_errors(data))


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def test_every_key_is_described_and_every_object_closed() -> None:
    for definition in [schema(), *schema()["$defs"].values()]:
        assert definition["description"]
        assert definition["additionalProperties"] is False
        undescribed = [key for key, value in definition["properties"].items() if not value.get("description")]
        assert not undescribed
    assert len(list(objects(schema()))) > 20


def test_the_reference_in_the_docs_is_current() -> None:
    assert (DOCS / "fleet-yaml.md").read_text() == reference()


def test_the_reference_links_to_sections_that_exist() -> None:
    import re

    text = reference()
    headings = {
        re.sub(r"[^\w -]", "", line[3:].lower()).replace(" ", "-") for line in text.split("\n") if line[:3] == "## "
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def test_the_schema_in_the_docs_is_current() -> None:
    assert json.loads((DOCS / "fleet.schema.json").read_text()) == schema()
