"""How Google's APIs speak: errors in their shape, bodies parsed strictly by the message they must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import jwt
from google.protobuf import json_format
from google.protobuf.message import Message

from fleet.sandbox.google.state import Principal, State, account_principal
from fleet.sandbox.http import Request, Response

Proto = TypeVar("Proto", bound=Message)
Item = TypeVar("Item")

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}


class Refused(Exception):
    """An answer in Google's shape of errors: https://cloud.google.com/apis/design/errors"""

    def __init__(self, code: int, message: str, status: str | None = None, info: dict[str, Any] | None = None) -> None:
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}] if info else []
        error = {"code": code, "message": message, "status": status or STATUS[code], "details": details}
        self.response = Response.of_json({"error": error}, code)


def login_of(state: State, request: Request, service: str) -> Principal:
    """Who asks; refused where nobody does, or the service is not enabled."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    principal = (state.of_token(token) or self_signed(state, token)) if scheme == "Bearer" else None
    if principal is None:
        raise Refused(401, "Request had invalid authentication credentials.")
    if service in state.disabled:
        info = {"reason": "SERVICE_DISABLED", "domain": "googleapis.com", "metadata": {"service": service}}
        raise Refused(
            403, f"{service} has not been used in project {state.number} before or it is disabled.", info=info
        )
    return principal


def self_signed(state: State, token: str) -> Principal | None:
    """The service account that signed a token itself (https://google.aip.dev/auth/4111); None for any other token."""
    try:
        email = str(jwt.decode(token, options={"verify_signature": False}).get("sub"))
        name = f"projects/{state.project}/serviceAccounts/{email}/keys/{jwt.get_unverified_header(token).get('kid')}"
        if not state.lets_in(email, name):
            return None
        public = state.private_keys[name].public_key()
        jwt.decode(token, public, algorithms=["RS256"], issuer=email, options={"verify_aud": False})
    except jwt.InvalidTokenError:
        return None
    return account_principal(email)


def check(state: State, principal: Principal, permission: str, resource: str, repository: str | None = None) -> None:
    """Refuse what a principal may not do."""
    if state.may(principal, permission, repository):
        return
    metadata = {"permission": permission, "resource": resource}
    info = {"reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com", "metadata": metadata}
    raise Refused(403, f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).", info=info)


def parsed(body: bytes, message: Proto) -> Proto:
    """A body as the message it must be; a field that the message does not have is refused, as Google does."""
    try:
        if not isinstance(json.loads(body or b"{}"), dict):
            raise Refused(400, "Invalid JSON payload received.")
        json_format.Parse(body or b"{}", message)
    except (ValueError, json_format.ParseError) as error:
        raise Refused(400, f"Invalid JSON payload received. {error}") from None
    return message


def answer(request: Request, message: Message) -> Response:
    """A message as JSON, its enums by name, or by number where the client asks so.

    https://cloud.google.com/apis/docs/system-parameters
    """
    numbers = "enum-encoding=int" in request.first("$alt")
    return Response.of_json(json_format.MessageToDict(message, use_integers_for_enums=numbers))


def paged(request: Request, there: Sequence[Item], most: int, usual: int | None = None) -> tuple[list[Item], str]:
    """The page of a listing that is asked for (`usual` entries where no size is), and the token of the next one."""
    try:
        start, asked = int(request.first("pageToken") or 0), int(request.first("pageSize") or 0)
    except ValueError:
        raise Refused(400, "Request contains an invalid argument.") from None
    end = start + min(asked or usual or most, most)
    return [*there[start:end]], str(end) if end < len(there) else ""


def of_json(request: Request, *known: str) -> dict[str, Any]:
    """A body of an API that has no message types: an object with these keys and no others."""
    try:
        document = request.json() or {}
    except ValueError:
        raise Refused(400, "Invalid JSON payload received.") from None
    for key in document if isinstance(document, dict) else ("",):
        if key not in known:
            raise Refused(400, f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    return dict(document)
