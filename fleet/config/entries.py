"""Code hosts and registries: the keys that the core owns, and the rest, which belongs to the provider of their type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from fleet import plugins, provider
from fleet.config.base import DAYS, Strict, Text, problem
from fleet.errors import FleetError
from fleet.provider import OwnLogin, Provider, Settings

_Role: TypeAlias = type[Provider]


def settings_of(type_name: str) -> type[Settings] | None:
    """The settings model of a provider type; raises FleetError when its package is missing or broken."""
    found = plugins.load(type_name)
    return found.settings if found else None


def role_of(type_name: str) -> type[Provider] | None:
    """What providers of a type are (a subclass of Registry or of CodeHost); raises FleetError as `settings_of`."""
    return plugins.load(type_name)


def known_types(role: type[Provider]) -> list[str]:
    """The provider types that can be written in fleet.yaml for a role; one that cannot be imported is left out."""
    return [name for name in plugins.types() if _has_role(name, role)]


def _has_role(type_name: str, role: type[Provider]) -> bool:
    try:
        found = role_of(type_name)
    except FleetError:
        return False
    return found is not None and issubclass(found, role)


class Entry(Strict):
    """What code hosts and registries have in common."""

    common: ClassVar[frozenset[str]]
    """The keys that the core owns; a provider that declares one of them in its settings is handed it too."""
    role: ClassVar[_Role]
    other: ClassVar[str]
    """Where an entry of the other role belongs."""

    type: Text = Field(description="Which provider serves it.")
    settings: SerializeAsAny[Settings] = Field(description="The keys that belong to the provider.")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, entry: Any) -> Any:
        if not isinstance(entry, Mapping) or isinstance(entry.get("settings"), Settings):
            return entry
        owned = {key: value for key, value in entry.items() if key in cls.common}
        shared = cls._declared(entry.get("type")) & owned.keys()
        rest = {key: value for key, value in entry.items() if key not in cls.common or key in shared}
        return {**owned, "settings": rest}

    @field_validator("settings", mode="before")
    @classmethod
    def _settings(cls, rest: Any) -> Any:
        type_name = rest.get("type") if isinstance(rest, dict) else None
        if not isinstance(type_name, str):
            # made by hand, or the entry's own `type` says what is wrong with it
            return rest if isinstance(rest, Settings) else Settings(type="")
        try:
            model, role = settings_of(type_name), role_of(type_name)
        except FleetError as error:
            raise problem(str(error), at=["type"]) from None
        if model is None:
            raise problem("there is no provider of type {shown}", at=["type"], near=known_types(cls.role))
        if role is not None and not issubclass(role, cls.role):
            raise problem(f"{{shown}} belongs under {cls.other}", at=["type"])
        return model.model_validate(rest)

    @model_serializer(mode="wrap")
    def _joined(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the file has it: the core's keys and the provider's in one block."""
        entry: dict[str, Any] = handler(self)
        return {**entry.pop("settings"), **entry}

    @staticmethod
    def _declared(type_name: object) -> frozenset[str]:
        try:
            model = settings_of(type_name) if isinstance(type_name, str) else None
        except FleetError:
            model = None  # the field `settings` says it
        return frozenset(model.model_fields if model else ()) | {"type"}


class CodeHost(Entry):
    """Where source and values repositories live."""

    common = frozenset({"type", "owner", "delivery"})
    role = provider.CodeHost
    other = "registries"

    owner: Text | None = Field(
        default=None, description="The organisation or user whose repositories live here; absent: any owner."
    )
    delivery: Literal["commit", "pull-request"] = Field(
        default="commit", description="How changes to files arrive: a commit on the branch, or a pull request."
    )


def _push(value: Any) -> Any:
    if isinstance(value, str) and value not in ("keyless", "key"):
        raise problem("push is {shown}, which is neither keyless, nor key, nor a login {username: …, password: …}")
    return OwnLogin.model_validate(value) if isinstance(value, dict) else value


Push = Annotated[OwnLogin | Literal["keyless", "key"], BeforeValidator(_push)]


def _days(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("d") and value[:-1].isdecimal() and 0 < int(value[:-1]) < 10_000:
        return timedelta(days=int(value[:-1]))
    if isinstance(value, timedelta):
        return value
    raise problem("{shown} is not a number of days, such as 90d")


def _as_written(value: timedelta) -> str:
    return f"{value.days}d"


Days = Annotated[
    timedelta,
    BeforeValidator(_days),
    PlainSerializer(_as_written, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DAYS}),
]
"""A number of days, such as `90d`."""


class Registry(Entry):
    """Where images live."""

    common = frozenset({"type", "push", "rotate"})
    role = provider.Registry
    other = "code_hosts"

    push: Push | None = Field(
        default=None,
        description="How builds log in to push: `keyless`, a `key` that fleet issues, an own login, or (absent) what "
        "suits the type best.",
    )
    rotate: Days | None = Field(default=None, description="Age at which an issued push credential is replaced: `90d`.")

    @model_validator(mode="after")
    def _rotation(self) -> Self:
        if self.rotate is not None and self.push not in (None, "key"):
            raise problem("rotate is for credentials that fleet issues, and push says otherwise", at=["rotate"])
        return self
