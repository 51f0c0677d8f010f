"""How AWS's services are called, and how they answer: JSON for ECR, the query protocol and XML for IAM and STS.

Source: the protocols `json` and `query` in the SDK's own descriptions of these services.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from fleet.sandbox.http import Request, Response


class Refusal(Exception):
    """An answer in AWS's own words."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API: the service, the action's name, its parameters."""

    request: Request
    service: str
    action: str
    parameters: Mapping[str, Any]

    @property
    def is_json(self) -> bool:
        """Whether the service speaks JSON; else it speaks the query protocol, and answers in XML."""
        return self.service == "ecr"

    @property
    def name(self) -> str:
        """The action as IAM's policies name it."""
        return f"{self.service}:{self.action}"


def call_of(request: Request) -> Call | None:
    """What a request asks for; None where it is no call that is understood."""
    target = request.headers.get("x-amz-target", "")
    if target.startswith("AmazonEC2ContainerRegistry_"):
        return Call(request, "ecr", target.partition(".")[2], request.json())
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    service = {"2010-05-08": "iam", "2011-06-15": "sts"}.get(form.get("Version", ""))
    return Call(request, service, form["Action"], form) if service and "Action" in form else None


def refused(call: Call, refusal: Refusal) -> Response:
    if call.is_json:
        return json_answer({"__type": refusal.code, "message": refusal.message}, 400)
    error = f"<Type>Sender</Type><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    body = f"<ErrorResponse><Error>{error}</Error><RequestId>sandbox</RequestId></ErrorResponse>"
    return Response(refusal.status, body.encode(), {"content-type": "text/xml"})


def json_answer(document: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode(), {"content-type": "application/x-amz-json-1.1"})


def xml_answer(action: str, result: str) -> Response:
    metadata = "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
    body = f"<{action}Response><{action}Result>{result}</{action}Result>{metadata}</{action}Response>"
    return Response(200, body.encode(), {"content-type": "text/xml"})
