"""What the models refuse, as diagnostics: each with its place in the file, plain words and a suggestion."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fleet.config import later
from fleet.config.base import WORDS, Keys, Plain
from fleet.config.entries import Entry, settings_of
from fleet.config.source import Source
from fleet.config.wording import listed, quoted, suggestion
from fleet.diagnostics import Diagnostic, Range
from fleet.errors import FleetError
from fleet.provider import URL

_KINDS = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "date_type": "a day, such as 2026-12-18",
}
"""What pydantic's type errors ask for: https://docs.pydantic.dev/latest/errors/validation_errors/"""


_SECRETIVE = frozenset({"auth", "token", "password", "private_key"})
"""Below these keys, text that is out of place may be a secret that somebody wrote down."""


def find(
    source: Source, data: Any, error: ValidationError, model: type[BaseModel]
) -> tuple[list[Diagnostic], list[Range]]:
    """One diagnostic for each mistake that validating `data` by `model` found, and where secrets seem to stand."""
    mistakes = [
        _Mistake(source, data, model, detail)
        for detail in error.errors(include_url=False)
        if detail["input"] is not None or detail["type"] == "missing"  # an empty value: the parser said it
    ]
    secrets = [source.extent(mistake.place.path) for mistake in mistakes if mistake.is_secret()]
    return [mistake.diagnostic() for mistake in mistakes], secrets


class _Mistake:
    """One of pydantic's errors, on its way to a sentence."""

    def __init__(self, source: Source, data: Any, model: type[BaseModel], detail: Mapping[str, Any]) -> None:
        self.source = source
        self.data = data
        self.model = model
        self.type: str = detail["type"]
        self.input = detail["input"]
        self.context: Mapping[str, Any] = detail.get("ctx") or {}
        self.message: str = detail["msg"]
        self.place = _real(data, (*detail["loc"], *self.context.get("at", ())))

    def is_secret(self) -> bool:
        """Whether the culprit may hold a secret, and must not be shown."""
        if not isinstance(self.input, str):
            return False
        in_url = self.context.get("pattern") == URL and "@" in self.input
        return in_url or bool(_SECRETIVE.intersection(self.place.path))

    def diagnostic(self) -> Diagnostic:
        """The sentence with its place."""
        match self.type:
            case "missing":
                return self._missing()
            case "extra_forbidden":
                return self._unknown_key()
            case "fleet":
                return self._own()
            case "literal_error":
                return self._choice()
            case "string_pattern_mismatch":
                words = WORDS.get(self.context["pattern"], f"text of the form {self.context['pattern']}")
                return self._at(f"{self._shown()} is not {words}")
            case "too_short" | "string_too_short":
                return self._at(f"{self._name()} is empty")
            case "string_too_long":
                return self._at(f"{self._shown()} is longer than {self.context['max_length']} characters")
            case _:
                return self._wrong_type() if self.type in _KINDS else self._at(f"{self._name()}: {self._plain()}")

    def _at(self, summary: str, detail: str = "") -> Diagnostic:
        # a key that is wrong itself is reported by pydantic as KEY.[key]
        return self.source.diagnostic(self.place.path, summary, detail, of="key" if self.place.of_key else "value")

    def _missing(self) -> Diagnostic:
        *above, key = self.place.wanted
        place = f" of {_dotted(above)}" if above else ""
        summary = f'the key "{key}"{place} is missing'
        return self.source.diagnostic(tuple(above), summary, of="key" if above else "value")

    def _unknown_key(self) -> Diagnostic:
        *above, key = self.place.path
        if key in later.KEYS:
            return self.source.diagnostic(self.place.path, later.refusal(str(key)), of="key")
        known = sorted(_known_keys(self.model, self.data, above))
        place = f" of {_dotted(above)}" if above else ""
        hint = suggestion(str(key), known) or f"Known here: {listed(known)}."
        return self.source.diagnostic(self.place.path, f"{quoted(key)} is not a key{place}", hint, of="key")

    def _own(self) -> Diagnostic:
        near = suggestion(str(self._value()), self.context["near"])
        if not near and self.context["near"]:
            near = f"Known: {listed(self.context['near'])}."
        return self._at(self.context["summary"].replace("{shown}", self._shown()), near)

    def _choice(self) -> Diagnostic:
        value = self._value()
        choices = self.context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        if value in choices and choices == ["1"]:
            return self._at(f"{self._name()} is a number; write it without quotes")
        summary = f"{self._name()} is {self._shown()}, and can be {' or '.join(choices)}"
        return self._at(summary, suggestion(str(value), choices))

    def _wrong_type(self) -> Diagnostic:
        wanted = _KINDS[self.type]
        if wanted == "text" and isinstance(self.input, (Plain, int, float)):
            return self._unquoted()
        if wanted == "true or false" and isinstance(self.input, Plain):
            return self._at(f"{self.input} is not {wanted}; write it in one of these words")
        if isinstance(self.input, dict) and (ahead := later.KEYS & self.input.keys()):
            return self.source.diagnostic((*self.place.path, min(ahead)), later.refusal(min(ahead)), of="key")
        if self.context.get("class_name") == "SecretSource":
            summary = f"a secret is never written into fleet.yaml; {self._name()} says where it is found"
            return self._at(summary, "Write {env: NAME}, {file: PATH} or {exec: [COMMAND, ARGUMENT]}.")
        return self._at(f"{self._name()} must be {wanted}, and this is {_kind(self.input)}")

    def _unquoted(self) -> Diagnostic:
        written = self.source.written(self.place.path)
        text = str(self.input) if written is None else written
        key = self.place.path[-1] if self.place.path else ""
        right = f'"{text}"' if isinstance(key, int) else f'{key}: "{text}"'
        summary = f"{text} without quotes is {_kind(self.input)} for YAML, and {self._name()} is text"
        return self._at(summary, f"Write {right}")

    def _value(self) -> Any:
        value = self.data
        for key in self.place.path:
            value = value[key]
        return value

    def _shown(self) -> str:
        if self.is_secret():
            return self._name()
        if self.place.of_key:
            return quoted(self.place.path[-1])
        value = self._value()
        if isinstance(value, bool):
            value = str(value).lower()
        return quoted(value) if isinstance(value, (str, int, Plain)) else f"{self._name()}"

    def _name(self) -> str:
        return _dotted(self.place.path) or "fleet.yaml"

    def _plain(self) -> str:
        text = self.message.removeprefix("Value error, ")
        return f"{text[:1].lower()}{text[1:]}"


class _Place:
    """A location of pydantic's as keys of the file: `path` exists, `wanted` may end in a key that is missing."""

    def __init__(self, path: Keys, wanted: Keys, of_key: bool) -> None:
        self.path = path
        self.wanted = wanted
        self.of_key = of_key


def _real(data: Any, location: Keys) -> _Place:
    """Drop what pydantic adds to a location and the file does not hold: names of union members, `settings`, `[key]`."""
    path: list[str | int] = []
    value = data
    for step in location:
        if _holds(value, step):
            value = value[step]
            path.append(step)
    last = location[-1] if location else ""
    return _Place(tuple(path), (*path, last), last == "[key]")


def _holds(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _dotted(path: Keys | list[str | int]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
    return quoted(text)[1:-1]


def _kind(value: object) -> str:
    if isinstance(value, Plain):
        return {"number": "a number", "date": "a date", "true/false": "true or false"}[value.kind]
    kinds = {bool: "true or false", int: "a number", str: "text", list: "a list", dict: "a map", type(None): "nothing"}
    return kinds.get(type(value), "something else")


def _known_keys(model: type[BaseModel], data: Any, path: Sequence[Any]) -> set[str]:
    """The keys that the model at `path` knows."""
    here: list[Any] = [model]
    value = data
    for step in path:
        here = [inner for each in _with_settings(here, value) for inner in _below(each, step)]
        value = value[step]
    models = [each for each in _with_settings(here, value) if _is_model(each)]
    return {field.alias or name for each in models for name, field in each.model_fields.items()} - {"settings"}


def _with_settings(types_: list[Any], value: Any) -> list[Any]:
    """The types, and for a code host or registry also the settings model of its provider."""
    if not any(_is_model(each) and issubclass(each, Entry) for each in types_):
        return types_
    type_name = value.get("type") if isinstance(value, dict) else None
    try:
        settings = settings_of(type_name) if isinstance(type_name, str) else None
    except FleetError:
        settings = None
    return [*types_, settings] if settings else types_


def _below(kind: Any, step: str | int) -> Iterator[Any]:
    """The types that a key or a list position of this type may hold."""
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if step == (field.alias or name):
                yield from _alternatives(field.annotation)
    elif get_origin(kind) is dict:
        yield from _alternatives(get_args(kind)[1])
    elif get_origin(kind) in (tuple, list):
        yield from _alternatives(get_args(kind)[0])


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)
    else:
        yield annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
