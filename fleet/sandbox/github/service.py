"""The sandbox GitHub as one service: who asks, may they go on, what answers, and which headers it carries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from itertools import chain, count

from fleet.sandbox.github import githttp, graphql
from fleet.sandbox.github.actions.engine import Actions
from fleet.sandbox.github.actions.logins import LOGINS
from fleet.sandbox.github.actions.machine import Action, Services
from fleet.sandbox.github.actions.oidc import Issuer
from fleet.sandbox.github.actions.run2docker import ACTIONS
from fleet.sandbox.github.actions.standard import STANDARD
from fleet.sandbox.github.actions.steps import Runner, Runners
from fleet.sandbox.github.call import Call, Route
from fleet.sandbox.github.errors import ApiError, not_found, unsupported
from fleet.sandbox.github.limits import Limits, Meter, Resource
from fleet.sandbox.github.model import Repository
from fleet.sandbox.github.rest import (
    accounts,
    actions,
    apps,
    branches,
    checks,
    comments,
    contents,
    environments,
    gitdata,
    organizations,
    pulls,
    ratelimit,
    refs,
    repositories,
    rules,
    secrets,
)
from fleet.sandbox.github.rights import Actor, authenticate
from fleet.sandbox.github.state import State
from fleet.sandbox.http import WRITES, Request, Response
from fleet.sandbox.push import Registries

_PARTS = (
    accounts,
    apps,
    repositories,
    refs,
    branches,
    gitdata,
    rules,
    checks,
    comments,
    contents,
    secrets,
    environments,
    organizations,
    actions,
    pulls,
)
_REPOSITORY = re.compile(r"/repos/([^/]+)/([^/]+)(/.*)?")
_BY_ID = re.compile(r"/repositories/(\d+)(/.*)?")
_OTHER_FORMS = ("raw", "html", "object", "diff", "patch", "sha", "star")
"""Media types under `application/vnd.github.` that would need other bodies than the sandbox's JSON."""


class GitHub:
    """Answers GitHub's REST and GraphQL requests, and git's own over HTTP."""

    def __init__(
        self,
        state: State,
        limits: Limits,
        registries: Registries,
        services: Mapping[str, str] | None = None,
        actions: Mapping[str, Action] | None = None,
        runners: Runners | None = None,
    ) -> None:
        self.state = state
        self.issuer = Issuer(state.clock)
        known = {**STANDARD, **ACTIONS, **LOGINS, **(actions or {})}
        called = Services(registries, services or {})
        self.actions = Actions(Runner(state, self.issuer, called, known, runners or Runners()))
        self.meter = Meter(state.clock, limits)
        self._routes = [(route.pattern(), route) for route in chain.from_iterable(part.ROUTES for part in _PARTS)]
        self._request_ids = count(1)

    def close(self) -> None:
        """End what runs beside the service."""
        self.actions.close()
        self.state.close()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        published = self.issuer.handle(request) if request.method == "GET" else None
        if published is not None:
            return published
        with self.state.lock:
            response = githttp.handle(self.state, request) if githttp.is_git(request) else self._handle(request)
            self.actions.wake()
            return response

    def _handle(self, request: Request) -> Response:
        headers = {"x-github-request-id": f"FLEET:{next(self._request_ids):X}", "x-github-media-type": "github.v3"}
        client = ""
        try:
            actor = authenticate(self.state, request)
            client = actor.client
            headers |= _scopes(actor)
            response = self._answer(request, actor, client)
        except ApiError as error:
            response = error.response()
        standing = self.meter.standing(client, _resource(request)).headers()
        date = formatdate(self.state.clock.time(), usegmt=True)
        return replace(response, headers={"date": date, **standing, **headers, **response.headers})

    def _answer(self, request: Request, actor: Actor, client: str) -> Response:
        if request.path == "/rate_limit":
            return ratelimit.get(self.meter, client)
        resource = _resource(request)
        if resource == "graphql":
            return self._answer_graphql(request, actor)
        self.meter.charge(client, resource)
        self.meter.spend_points(client, resource, writes=request.method in WRITES)
        response = self._route(request, actor)
        if request.method in ("GET", "HEAD") and response.status == 200:
            response = _with_etag(request, response)
            if response.status == 304:
                self.meter.refund(client, resource)
        return response

    def _answer_graphql(self, request: Request, actor: Actor) -> Response:
        if request.method != "POST":
            raise unsupported(f"the route {request.method} {request.path}")
        actor.require_account()
        try:
            self.meter.charge(actor.client, "graphql", graphql.price(request).points)
        except ApiError:
            return graphql.rate_limited()
        self.meter.spend_points(actor.client, "graphql", writes=graphql.is_mutation(request))
        return graphql.handle(self.state, self.meter, request, actor)

    def _route(self, request: Request, actor: Actor) -> Response:
        _check_media_type(request)
        by_id = _BY_ID.fullmatch(request.path)
        if by_id:
            request = self._named(request, int(by_id[1]), by_id[2] or "")
        method = "GET" if request.method == "HEAD" else request.method
        for pattern, route in self._routes:
            match = pattern.fullmatch(request.path) if route.method == method else None
            if match:
                return self._call(request, actor, route, match.groupdict())
        raise unsupported(f"the route {request.method} {request.path}")

    def _named(self, request: Request, number: int, rest: str) -> Request:
        repository = self.state.repositories.get(number)
        if repository is None:
            raise not_found()
        path = f"/repos/{repository.full_name}{rest}"
        return replace(request, path=path, raw_path=path)

    def _call(self, request: Request, actor: Actor, route: Route, params: Mapping[str, str]) -> Response:
        call = Call(self.state, request, actor, params)
        named = _REPOSITORY.fullmatch(request.path)
        if named is None:
            return route.handler(call)
        repository = self._visible(actor, f"{named[1]}/{named[2]}")
        if repository.full_name.lower() != f"{named[1]}/{named[2]}".lower():
            return _moved(request, repository, named[3] or "")
        need = route.needed
        assert need is not None
        self.state.settle(repository, looked=True)
        actor.require(need, repository)
        if repository.archived and request.method in WRITES and not route.archived:
            raise repositories.archived()
        response = route.handler(replace(call, found=repository))
        return replace(response, headers={"x-accepted-github-permissions": str(need), **response.headers})

    def _visible(self, actor: Actor, full_name: str) -> Repository:
        repository = self.state.find_repository(full_name)
        if repository is None or not actor.sees(repository):
            raise not_found()
        if repository.veil is not None and not repository.veil.look():
            raise not_found()
        return repository


def _resource(request: Request) -> Resource:
    return "graphql" if request.path == "/graphql" else "core"


def _scopes(actor: Actor) -> Mapping[str, str]:
    """Only classic tokens have scopes, and only they are told of them."""
    token = actor.token
    if token is None or token.scopes is None:
        return {}
    return {"x-oauth-scopes": ", ".join(sorted(token.scopes)), "x-accepted-oauth-scopes": "repo"}


def _check_media_type(request: Request) -> None:
    accept = request.headers.get("accept", "")
    for form in _OTHER_FORMS:
        if re.search(rf"vnd\.github\.(v3\.)?{form}(?![\w-])", accept):
            raise unsupported(f"the media type {accept!r}")


def _moved(request: Request, repository: Repository, rest: str) -> Response:
    """A renamed repository: reads are sent on for good, writes as they are."""
    status, text = (301, "Moved Permanently") if request.method in ("GET", "HEAD") else (307, "Temporary Redirect")
    url = f"{request.base_url}/repositories/{repository.id}{rest}"
    body = {"message": text, "url": url, "documentation_url": "https://docs.github.com/rest"}
    return Response.of_json(body, status, {"location": url})


def _with_etag(request: Request, response: Response) -> Response:
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
    asked = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    headers = {**response.headers, "etag": tag, "cache-control": "private, max-age=60, s-maxage=60"}
    if tag in asked or "*" in asked:
        return Response(304, b"", {name: value for name, value in headers.items() if name != "content-type"})
    return replace(response, headers=headers)
