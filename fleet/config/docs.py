"""The reference of fleet.yaml as a page of the docs, made from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fleet.config.base import WORDS
from fleet.config.json_schema import Schema, schema

EXAMPLE = """\
version: 1
name: example

state: .fleet

code_hosts:
  github: {type: github, owner: example-org, auth: {token: {env: GITHUB_TOKEN}}}

registries:
  quay: {type: quay, namespace: example, auth: {token: {env: QUAY_TOKEN}}}
  ecr: {type: ecr, account: "123456789012", region: us-west-2, push: keyless}
  gar: {type: gar, project: p, location: us-central1, repository: "{image}"}

templates:
  user-image:
    from: builtin:user-image
    manage: [.github/workflows/build.yaml, .github/workflows/test.yaml]
    seed: [environment.yml, README.md]

images:
  climate:
    repository: example-org/climate-image
    template: user-image
    registry: quay
  pangeo-ml: {upstream: quay.io/pangeo/ml-notebook}

hubs:
  climate-staging:
    url: https://staging.climate.example.org
    labels: {wave: staging}
    values:
      repository: example-org/infrastructure
      files: [config/climate/common.values.yaml, config/climate/staging.values.yaml]
    slots:
      default: {image: climate, track: newest-build}
  climate-prod:
    url: https://climate.example.org
    labels: {wave: prod}
    values:
      repository: example-org/infrastructure
      files: [config/climate/common.values.yaml, config/climate/prod.values.yaml]
    slots:
      default: {image: climate, track: "3f2a1b4c5d6e"}
      choices.ml: {image: pangeo-ml, track: "2026.04.29"}
    hold: {reason: finals week, until: 2026-12-18}
  old-hub:
    url: https://old.example.org
    configurator: {auth: {token: {env: OLD_HUB_TOKEN}}}
    slots: {default: {image: climate, track: newest-build}}

protect: ["github:repository:*"]
limits: {remove: 0, hubs_per_run: 50%}
removed: []
"""
"""The whole shape in one file; the docs show it and the tests load it."""

_HEAD = """\
# fleet.yaml

<!-- Made from the models by fleet.config.reference(); a test compares the two. Do not edit. -->

One file describes a fleet. It is strict: a key that is not known, a value of the wrong type and a name that points
nowhere are errors, each with its line, and `fleet validate` shows all of them at once. `fleet schema` prints the same
rules as JSON Schema for editors.

- **Text that looks like a number or a date takes quotes**: `track: "4.3"`. YAML would make another thing of it.
- **A key is there with a value, or it is not there.** An empty value is an error.
- **Secrets are never written here**, only where they are found; see [secrets](#secrets).
- **Anchors, aliases and `<<` work**, within bounds. One file holds one document.
- Keys that are known and that nothing carries out yet are accepted by `validate` and refused by `plan` and `apply`, by
  name.
"""

_SECRETS = "SecretSource"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block stands: its path, and which of several kinds it is."""

    path: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})" if self.kind else self.path

    def below(self, key: str) -> _Place:
        """The place of one of its keys."""
        return replace(self, path=f"{self.path}.{key}".removeprefix("."))


@dataclass(slots=True)
class _Page:
    """The definitions, where each was first met, and those that still need a section."""

    definitions: Schema
    places: dict[str, _Place] = field(default_factory=lambda: {_SECRETS: _Place("Secrets")})
    waiting: list[str] = field(default_factory=list)

    def link(self, value: Schema, place: _Place, text: str = "") -> str:
        """A link to the section of a definition, which comes later if it is not there yet."""
        definition = _target(value)
        if not text and not definition.startswith(f"{place.kind}."):
            place = replace(place, kind="")  # the same for every kind
        if definition not in self.places:
            self.places[definition] = place
            self.waiting.append(definition)
        title = str(self.places[definition])
        return f"[{text or title}](#{_anchor(title)})"


def reference() -> str:
    """docs/fleet-yaml.md: every key, what it takes, what it means."""
    document = schema()
    page = _Page(document["$defs"])
    sections = [_HEAD, f"```yaml\n{EXAMPLE}```\n", "\n".join(["## Top level", "", *_table(page, document, _Place())])]
    while page.waiting:
        name, *rest = page.waiting
        page.waiting = []
        sections.append("\n".join(_section(page, name)))
        page.waiting += rest  # what a section mentions comes right behind it
    return "\n".join([*sections, *_section(page, _SECRETS)])


def _section(page: _Page, name: str) -> Iterator[str]:
    definition = page.definitions[name]
    place = page.places[name]
    yield f"## {place}"
    yield ""
    yield definition["description"]
    either = [rule["required"] for rule in definition.get("oneOf", ())]
    if either and "exactly one" not in definition["description"]:
        yield f"Exactly one of {', '.join(' with '.join(f'`{key}`' for key in keys) for keys in either)}."
    yield ""
    yield from _table(page, definition, place)


def _table(page: _Page, definition: Schema, place: _Place) -> Iterator[str]:
    yield "| key | takes | if absent | meaning |"
    yield "| --- | --- | --- | --- |"
    required = definition.get("required", ())
    for key, value in definition["properties"].items():
        absent = "**required**" if key in required else _default(value)
        yield f"| `{key}` | {_cell(_takes(page, value, place.below(key)))} | {absent} | {_cell(value['description'])} |"
    yield ""


def _default(value: Schema) -> str:
    if "default" not in value or value["default"] in ([], {}):
        return "–"
    default = value["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _takes(page: _Page, value: Schema, place: _Place) -> str:
    if "$ref" in value:
        return page.link(value, place)
    if "anyOf" in value:
        return " or ".join(_takes(page, each, place) for each in value["anyOf"])
    if "const" in value or "enum" in value:
        return " or ".join(f"`{each}`" for each in value.get("enum", [value.get("const")]))
    if value["type"] == "array":
        return f"a list of: {_takes(page, value['items'], replace(place, path=f'{place.path}[]'))}"
    if value["type"] == "object":
        return _map(page, value["additionalProperties"], place.below("NAME"))
    if value.get("format") == "date":
        return "a day"
    kinds = {"integer": "a whole number", "boolean": "true or false"}
    return kinds.get(value["type"], WORDS.get(value.get("pattern", ""), "text"))


def _map(page: _Page, value: Schema, place: _Place) -> str:
    """What a map's entries are: all of one kind, or of several by their `type` or by a key that only one kind has."""
    if "allOf" in value:
        kinds = {_target(rule["then"]).rpartition(".")[2]: rule["then"] for rule in value["allOf"]}
        links = [page.link(ref, replace(place, kind=name), name) for name, ref in kinds.items()]
        return f"a map of names to blocks, by type: {', '.join(links)}"
    if "if" in value:
        kinds = {"built": value["else"], "upstream": value["then"]}
        links = [page.link(ref, replace(place, kind=name), name) for name, ref in kinds.items()]
        return f"a map of names to blocks: {' or '.join(links)}"
    return f"a map of names to: {_takes(page, value, place)}"


def _target(value: Schema) -> str:
    return str(value["$ref"]).removeprefix("#/$defs/")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _anchor(title: str) -> str:
    """The fragment that GitHub makes of a heading."""
    kept = "".join(character for character in title.lower() if character.isalnum() or character in " -_")
    return kept.replace(" ", "-")
