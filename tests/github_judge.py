"""Holds the sandbox GitHub, and whoever talks to it, to GitHub's published descriptions.

A `Judge` stands between the server and the service. It validates each request's parameters and body and each answer
against GitHub's OpenAPI description, and each GraphQL query against GitHub's schema. Known disagreements of the
description with GitHub itself are listed here by name, each with its reason.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLSyntaxError, parse, validate
from jsonschema import FormatChecker, ValidationError
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from fleet.sandbox.http import WRITES, Request, Response, Service
from tests import schemas

JUDGED = "judged"
"""Under this name tests record how many REST exchanges and GraphQL queries were judged."""

ANYWHERE = {
    304: "the description lists it for some GETs, GitHub answers it to every conditional one",
    307: "the description lists it for some writes, GitHub answers it to every one on a renamed repository",
    301: "the description lists it for some reads, GitHub answers it to every one on a renamed repository",
    400: "a body that is not JSON is refused everywhere",
    401: "bad credentials are refused everywhere",
    403: "missing rights, archived repositories and rate limits are refused everywhere",
    404: "what a token may not see does not exist, everywhere",
    422: "a missing or wrong field is refused everywhere",
    429: "rate limits hold everywhere",
}
"""Statuses that any operation may have though the description names them for a few; held to the error's schema."""

KNOWN = {
    ("repos/get-content", 409): "a generated repository that has no contents yet answers 409, as git data does",
    ("actions/get-allowed-actions-repository", 409): "answered unless allowed_actions is `selected`",
    ("actions/create-repo-variable", 409): "a name that is taken is refused so",
    ("actions/create-org-variable", 409): "a name that is taken is refused so",
}
"""Statuses of one operation that the description lacks, and why the sandbox answers so all the same."""

FLAWS = {
    "discriminator of contents": "it names a property of the answer, but a folder's answer is a list and has none",
    "null in oneOf": "`nullable` beside oneOf says nothing in OpenAPI 3.0.3, but GitHub means it and answers null",
    "user and enterprise": "an App's list of installations asks for accounts that are both; each is one of the two",
    "errors in oneOf": "both kinds of error take any object, so that no error is ever exactly one of them",
}
"""Flaws of the description itself, by name: what it says, and what is true."""

_SLASHES = {"ref", "path", "branch"}
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"[a-z+]+://[^\s]+|$", value) is not None


class Judge:
    """A service that watches another one; `disagreements` is empty as long as all is well."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.counts: Counter[str] = Counter()
        self.disagreements: list[str] = []
        self.excused: Counter[str] = Counter()
        self._lock = threading.Lock()

    def summary(self) -> str:
        """How much was judged, and what came of it."""
        judged = f"{self.counts['rest']} REST exchanges and {self.counts['graphql']} GraphQL queries judged"
        excused = ", ".join(f"{name} ({times})" for name, times in sorted(self.excused.items()))
        return f"{judged}; {len(self.disagreements)} disagreements; flaws of the description met: {excused or 'none'}"

    def report(self, record_property: Callable[[str, object], None]) -> None:
        """Have the test run print how much was judged."""
        record_property(JUDGED, [self.counts["rest"], self.counts["graphql"]])

    def handle(self, request: Request) -> Response:
        """Let the service answer, and judge both sides. An answer of 501 is the sandbox's own, and is not judged."""
        response = self.service.handle(request)
        if response.status != 501 and not re.search(r"\.git/|/info/refs$|^/_apis/", request.path):
            found = list(_graphql(request) if request.path == "/graphql" else _rest(request, response))
            with self._lock:
                self.counts["graphql" if request.path == "/graphql" else "rest"] += 1
                self.excused.update(one for one in found if one in FLAWS)
                wrong = [one for one in found if one not in FLAWS]
                self.disagreements += [f"{request.method} {request.path} {response.status}: {one}" for one in wrong]
        return response


def _graphql(request: Request) -> Iterator[str]:
    try:
        query = parse(json.loads(request.body)["query"])
    except (ValueError, KeyError, GraphQLSyntaxError) as error:
        yield f"not a GraphQL request: {error}"
        return
    for wrong in validate(schemas.graphql(), query):
        yield wrong.message


def _rest(request: Request, response: Response) -> Iterator[str]:
    path = re.sub(r"^/repositories/\d+", "/repos/o/r", request.path)
    method = request.method.lower()
    template = _template(path)
    if template is None or method not in schemas.openapi()["paths"][template]:
        yield "the description has no such operation"
        return
    pointer = f"/paths/{_escaped(template)}/{method}"
    operation = schemas.openapi()["paths"][template][method]
    if response.status < 400:
        yield from _request(request, operation, pointer)
    yield from _answer(response, operation, pointer)


def _request(request: Request, operation: Mapping[str, Any], pointer: str) -> Iterator[str]:
    known = {_resolved(parameter)["name"] for parameter in operation.get("parameters", ())}
    for name in request.query.keys() - known:
        yield f"the description has no parameter {name!r}"
    described = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if described is None:
        if request.method in WRITES and request.body not in (b"", b"{}", b"null"):
            yield "the description has no body"
        return
    schema = f"{pointer}/requestBody/content/application~1json/schema"
    body = json.loads(request.body or b"{}")
    yield from _errors(OAS30WriteValidator, schema, body)
    properties = _resolved(described["schema"]).get("properties")
    for name in set(body) - set(properties or body):
        yield f"the description has no field {name!r} in the body"


def _answer(response: Response, operation: Mapping[str, Any], pointer: str) -> Iterator[str]:
    described = operation["responses"].get(str(response.status))
    if described is None:
        known = (operation["operationId"], response.status) in KNOWN or response.status in ANYWHERE
        if not known:
            yield f"{operation['operationId']} has no status {response.status} in the description"
        if response.status >= 400:
            simple = "/components/schemas/validation-error"
            yield from _any_of((f"{simple}-simple", simple, "/components/schemas/basic-error"), response)
        return
    where = f"{pointer}/responses/{response.status}"
    if "$ref" in described:
        where, described = described["$ref"].removeprefix("#"), _resolved(described)
    content = described.get("content", {}).get("application/json")
    if content is None:
        if response.body:
            yield "the description has no body in this answer"
        return
    places: tuple[str, ...] = (f"{where}/content/application~1json/schema",)
    if response.status == 422:
        places += ("/components/schemas/validation-error-simple", "/components/schemas/validation-error")
    yield from _any_of(places, response)


def _any_of(places: tuple[str, ...], response: Response) -> Iterator[str]:
    """What the schema that fits best has against an answer; GitHub mixes its two kinds of 422."""
    body = json.loads(response.body)
    verdicts = [list(_errors(OAS30ReadValidator, place, body)) for place in places]
    yield from min(verdicts, key=len)


def _errors(validator: Any, pointer: str, document: Any) -> Iterator[str]:
    for error in _validator(validator, pointer).iter_errors(document):
        yield _flaw(error) or f"{'/'.join(map(str, error.path))}: {error.message[:300]}"


def _flaw(error: ValidationError) -> str | None:
    """The flaw of the description that explains an error, if one does."""
    if list(error.absolute_schema_path)[-4:] == ["account", "allOf", 1, "required"]:
        return "user and enterprise"
    if error.validator != "oneOf" or not isinstance(error.schema, Mapping):
        return None
    if error.instance is None and error.schema.get("nullable"):
        return "null in oneOf"
    if isinstance(error.instance, list) and "discriminator" in error.schema:
        listed = _validator(OAS30ReadValidator, "/components/schemas/content-directory")
        return "discriminator of contents" if listed.is_valid(error.instance) else None
    names = {one.get("$ref", "").rpartition("/")[2] for one in error.schema["oneOf"]}
    if names in (
        {"basic-error", "repository-rule-violation-error"},
        {"validation-error", "repository-rule-violation-error"},
    ):
        return "errors in oneOf" if "is valid under each of" in error.message else None
    return None


@functools.cache
def _validator(validator: Any, pointer: str) -> Any:
    return validator({"$ref": f"urn:github#{pointer}"}, registry=_registry(), format_checker=_FORMATS)


@functools.cache
def _registry() -> Registry[Any]:
    empty: Registry[Any] = Registry()
    filled: Registry[Any] = empty.with_resource("urn:github", DRAFT4.create_resource(schemas.openapi()))
    return filled


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = schemas.openapi()
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def _escaped(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


@functools.cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Paths with the most literal ones first, so that `public-key` is not taken for a secret's name."""
    ordered = sorted(schemas.openapi()["paths"], key=lambda path: len(re.sub(r"\{\w+\}", "", path)), reverse=True)
    return [(re.compile(re.sub(r"\{(\w+)\}", _group, path)), path) for path in ordered]


def _group(match: re.Match[str]) -> str:
    return ".*" if match[1] in _SLASHES else "[^/]+"


@functools.cache
def _template(path: str) -> str | None:
    return next((template for pattern, template in _templates() if pattern.fullmatch(path)), None)
