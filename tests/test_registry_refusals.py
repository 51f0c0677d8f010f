"""A right that lacks at any one request of a run: one sentence says which, nothing leaks, and with it the next run ends
as an undisturbed one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from fleet.errors import ExitCode, FleetError
from fleet.sandbox.http import Request, Response, Service
from fleet.testing import Subject
from fleet.testing.killing import changing, forgetting, making
from fleet.testing.running import Rig, Scenario, rig_of
from tests.subjects.acr import AcrSubject
from tests.subjects.ecr import EcrKeySubject, EcrSubject
from tests.subjects.quay import QuaySubject

Denial = tuple[Response, str]
"""How a service denies a request, and what of it must be said."""


def quay(request: Request) -> Denial:
    if request.path == "/v2/":
        return Response(403), "lets nobody in from here: it answers 403"
    if request.method == "DELETE" and request.path.startswith("/v2/"):
        return Response(403), ""  # some registries let only a login that may delete cancel an upload, and it expires
    if request.path.startswith("/v2/"):
        return Response.of_json({"errors": [{"code": "UNAUTHORIZED", "message": "access is denied"}]}, 403), "does not"
    document = {"error_type": "insufficient_scope", "detail": "Unauthorized", "status": 403}
    return Response.of_json(document, 403), "it needs the scopes repo:create, repo:admin and org:admin"


def aws(request: Request) -> Denial:
    target = request.headers.get("x-amz-target", "")
    asked = re.search(rb"\bAction=(\w+)", request.body)
    service, action = ("ecr", target.partition(".")[2]) if target else ("iam", asked[1].decode() if asked else "")
    if action == "GetCallerIdentity":
        service = "sts"
    named = f"{service}:{action}"
    said = f"User: arn:aws:iam::123456789012:user/ada is not authorized to perform: {named} on resource: *"
    expected = f"lacks the permission {named}; docs/registries/ecr.md"
    if target:
        return Response.of_json({"__type": "AccessDeniedException", "message": said}, 400), expected
    error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{said}</Message></Error>"
    return Response(403, f"<ErrorResponse>{error}</ErrorResponse>".encode()), expected


def azure(request: Request) -> Denial:
    if not request.path.startswith("/subscriptions/") and not request.path.startswith("/operations/"):
        return Response.of_json({"error": "unauthorized_client", "error_description": "no"}, 403), "Azure"
    word = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}[request.method]
    kind = re.sub(r".*/registries/[^/]+/(\w+).*", r"\1", request.path)
    permission = f"Microsoft.ContainerRegistry/registries/{kind}/{word}"
    said = f"The client 'x' does not have authorization to perform action '{permission}' over scope '/'."
    document = {"error": {"code": "AuthorizationFailed", "message": said}}
    if kind == "providers":
        return Response.of_json(document, 403), ""  # that it may not ask what it may do stops nobody
    return Response.of_json(document, 403), f"lacks the permission {permission}"


Deny = Callable[[Request], Denial]
CASES: dict[str, tuple[type[Subject], Deny, Scenario]] = {
    **{f"quay, {scenario.__name__}": (QuaySubject, quay, scenario) for scenario in (making, changing, forgetting)},
    **{f"acr, {scenario.__name__}": (AcrSubject, azure, scenario) for scenario in (making, changing, forgetting)},
    "ecr, making": (EcrSubject, aws, making),
    "ecr with keys, making": (EcrKeySubject, aws, making),
}
"""What else is asked of AWS, `tests/providers/test_ecr_rights.py` denies."""


class Denying:
    """A service that denies its nth request; `denied` is that request, once it has come."""

    def __init__(self, service: Service, nth: int, deny: Deny) -> None:
        self._service, self._left, self._deny = service, nth, deny
        self.denied: Request | None = None
        self.expected = ""

    def handle(self, request: Request) -> Response:
        self._left -= 1
        if self._left:
            return self._service.handle(request)
        self.denied = request
        response, self.expected = self._deny(request)
        return response


def outcome_of(rig: Rig) -> str:
    """What a run says that does not end well; nothing for one that does."""
    try:
        outcome = rig.apply()
    except FleetError as error:
        return str(error)
    said = [outcome.stopped, *(result.why for result in outcome.results)]
    return "" if outcome.exit_code is ExitCode.OK else "; ".join(filter(None, said))


@pytest.mark.parametrize("case", CASES)
def test_a_right_that_lacks_at_any_request_is_named(case: str) -> None:
    subject, deny, scenario = CASES[case]
    with rig_of(subject) as rig:
        scenario(rig)
        before = rig.requests()
        rig.apply_well()
        requests, wanted = rig.requests() - before, rig.subject.snapshot()
    for nth in range(1, requests + 1):
        with rig_of(subject) as rig:
            scenario(rig)
            rig.server.service = service = Denying(rig.server.service, nth, deny)
            said = outcome_of(rig)
            assert service.denied is not None, f"request {nth} of {requests} did not come"
            where = f"{service.denied.method} {service.denied.path} (request {nth}) is denied, and the run says: {said}"
            assert service.expected in said, where
            assert "\n" not in said, where
            assert not any(secret in said for secret in subject.environment.values()), where
            rig.apply_well()
            rig.assert_finished()
            assert rig.subject.snapshot() == wanted, f"{where}; and that still shows"
