"""Holds the sandbox's Google, and whoever talks to it, to Google's discovery documents.

They come with google-api-python-client, in an old dialect of JSON Schema, which is translated for `jsonschema` to judge
by. A `Judge` stands between the server and the service. What other standards describe (docker's protocol, and OAuth's
token endpoint of RFC 7523) is passed on.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from fleet.sandbox.http import Request, Response, Service

DOCUMENTS = ("artifactregistry.v1", "cloudresourcemanager.v3", "iam.v1", "sts.v1")

ELSEWHERE = re.compile(r"/v2(/.*)?|/token")
"""Docker's protocol with its tokens, and OAuth's endpoint: other standards than Google's APIs."""

NUMBERS = "json;enum-encoding=int"
"""How Google's clients ask for enums by number: https://cloud.google.com/apis/docs/system-parameters"""

assert error_details_pb2  # imported, so that the details of an error are known by their types


class Side(Enum):
    """Who speaks, and how: enums are asked by name or number, and answered as they were asked for."""

    ASKED = auto()
    ANSWERED = auto()
    NUMBERED = auto()


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a document; `query` holds the parameters that its query may have."""

    document: str
    verb: str
    path: re.Pattern[str]
    query: Mapping[str, Any]
    request: str | None
    response: str | None


class Judge:
    """A service that watches another one; `disagreements` is empty as long as all is well."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.judged = 0
        self.disagreements: list[str] = []
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Let the service answer, and judge both sides."""
        response = self.service.handle(request)
        if not ELSEWHERE.fullmatch(request.path):
            found = [f"{request.method} {request.path} {response.status}: {one}" for one in _flaws(request, response)]
            with self._lock:
                self.judged += 1
                self.disagreements += found
        return response

    def close(self) -> None:
        """All has been judged: raise AssertionError where something disagrees."""
        assert self.disagreements == []


def _flaws(request: Request, response: Response) -> Iterator[str]:
    method = next((one for one in _methods() if one.verb == request.method and one.path.fullmatch(request.path)), None)
    if method is None:
        yield "no document describes such a method"
        return
    if response.status != 400:  # what the service itself has refused may be anything
        yield from _query(request, method)
        yield from _body(_asked(request), method.request, method.document, Side.ASKED)
    if response.status >= 400:
        yield from _error(response, method.document)
        return
    numbered = request.first("$alt") == NUMBERS
    yield from _body(response.body, method.response, method.document, Side.NUMBERED if numbered else Side.ANSWERED)


def _asked(request: Request) -> bytes:
    """A body as JSON, also where it is the form of RFC 8693, whose fields are Google's in other spelling."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return request.body
    form = parse_qs(request.body.decode())
    return json.dumps(
        {re.sub("_(.)", lambda part: part[1].upper(), name): values[0] for name, values in form.items()}
    ).encode()


def _query(request: Request, method: Method) -> Iterator[str]:
    schema = _modern({"type": "object", "properties": method.query}, Side.ASKED)
    asked = {name: _typed(values[0], method.query.get(name, {})) for name, values in request.query.items()}
    if asked.get("$alt") == NUMBERS:
        del asked["$alt"]
    yield from _errors(Draft202012Validator(schema, format_checker=_FORMATS), asked, "query")


def _typed(text: str, parameter: Mapping[str, Any]) -> object:
    """A parameter as what it stands for: numbers and yes or no are text in a query."""
    if parameter.get("type") not in ("integer", "boolean"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _body(body: bytes, schema: str | None, document: str, side: Side) -> Iterator[str]:
    if schema is None:
        if body:
            yield f"has a body ({side.name.lower()}), where none is described"
        return
    yield from _errors(_validator(document, schema, side), json.loads(body or b"{}"), side.name.lower())


def _error(response: Response, document: str) -> Iterator[str]:
    """An error has the envelope of Google's APIs, and the token exchange that of OAuth (RFC 6749)."""
    body = json.loads(response.body)
    if document == "sts.v1":
        yield from _errors(Draft202012Validator(_OAUTH_ERROR), body, "error")
        return
    found = list(_errors(Draft202012Validator(_ERROR), body, "error"))
    yield from found
    if not found:
        said = body["error"]
        if _HTTP[said["status"]] != response.status or said["code"] != response.status:
            yield f"{said['status']} with the code {said['code']} is not an answer of {response.status}"
        try:
            json_format.ParseDict({"details": said.get("details", [])}, status_pb2.Status())
        except json_format.ParseError as error:
            yield f"details: {error}"


def _errors(validator: Draft202012Validator, document: object, where: str) -> Iterator[str]:
    for error in validator.iter_errors(document):
        yield f"{'/'.join(map(str, (where, *error.path)))}: {error.message[:300]}"


@functools.cache
def _documents() -> dict[str, dict[str, Any]]:
    folder = resources.files("googleapiclient.discovery_cache.documents")
    return {name: json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8")) for name in DOCUMENTS}


@functools.cache
def _methods() -> tuple[Method, ...]:
    """All methods, those with the most literal path first, so that `x:undelete` is not taken for a name."""
    found = [
        (len(re.sub(r"\{.*?\}", "", described["path"])), _method(name, document, described))
        for name, document in _documents().items()
        for described in _described(document)
    ]
    return tuple(method for _, method in sorted(found, key=lambda one: one[0], reverse=True))


def _described(of: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from of.get("methods", {}).values()
    for inner in of.get("resources", {}).values():
        yield from _described(inner)


def _method(name: str, document: Mapping[str, Any], described: Mapping[str, Any]) -> Method:
    parameters = described.get("parameters", {})
    path = re.sub(r"\{\+?(\w+)\}", lambda match: _pattern(parameters[match[1]]), f"/{described['path']}")
    query = {key: one for key, one in parameters.items() if one["location"] == "query"}
    return Method(
        name,
        described["httpMethod"],
        re.compile(path),
        {**document["parameters"], **query},
        described.get("request", {}).get("$ref"),
        described.get("response", {}).get("$ref"),
    )


def _pattern(parameter: Mapping[str, Any]) -> str:
    return str(parameter.get("pattern", "^[^/]+$")).removeprefix("^").removesuffix("$")


@functools.cache
def _validator(document: str, schema: str, side: Side) -> Draft202012Validator:
    reference = {"$ref": f"urn:{document}:{side.name}#/$defs/{schema}"}
    return Draft202012Validator(reference, registry=_registry(), format_checker=_FORMATS)


@functools.cache
def _registry() -> Registry[Any]:
    empty: Registry[Any] = Registry()
    return empty.with_resources(
        (
            f"urn:{name}:{side.name}",
            DRAFT202012.create_resource(
                {"$defs": {key: _modern(schema, side) for key, schema in document["schemas"].items()}}
            ),
        )
        for name, document in _documents().items()
        for side in Side
    )


def _modern(schema: Mapping[str, Any], side: Side) -> dict[str, Any]:
    """A schema of a discovery document, in today's dialect and strict: what is not described may not be there.

    A description that begins with "Required." means it (https://google.aip.dev/203); what is read-only is never asked.
    """
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema["type"] == "any":
        return {}
    if "enum" in schema:
        named, numbered = {"enum": schema["enum"]}, {"type": "integer", "minimum": 0}
        return {Side.ASKED: {"anyOf": [named, numbered]}, Side.ANSWERED: named, Side.NUMBERED: numbered}[side]
    modern = {key: schema[key] for key in ("type", "format", "pattern") if key in schema}
    if "items" in schema:
        modern["items"] = _modern(schema["items"], side)
    if schema["type"] == "object":
        inner = {
            name: one
            for name, one in schema.get("properties", {}).items()
            if not (side is Side.ASKED and one.get("readOnly"))
        }
        others = schema.get("additionalProperties")
        modern["properties"] = {name: _modern(one, side) for name, one in inner.items()}
        modern["required"] = [name for name, one in inner.items() if one.get("description", "").startswith("Required.")]
        modern["additionalProperties"] = _modern(others, side) if others else False
    return modern


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("google-datetime", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("byte", raises=ValueError)
def _is_base64(value: object) -> bool:
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


@_FORMATS.checks("int64")
def _is_number(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"-?\d+", value) is not None


@_FORMATS.checks("google-fieldmask")
def _is_mask(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[a-z][A-Za-z0-9.]*(,[a-z][A-Za-z0-9.]*)*", value) is not None


_HTTP: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto; names that it lacks are refused below."""

assert _HTTP.keys() <= {*code_pb2.Code.keys()}

_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string", "minLength": 1},
                "status": {"enum": [*_HTTP]},
                "details": {"type": "array"},
            },
        }
    },
}
"""https://google.aip.dev/193"""

_OAUTH_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {"enum": ["invalid_request", "invalid_grant", "unauthorized_client", "unsupported_grant_type"]},
        "error_description": {"type": "string"},
        "error_uri": {"type": "string"},
    },
}
