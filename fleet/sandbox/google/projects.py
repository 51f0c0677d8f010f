"""The Resource Manager's API, as far as it tells what somebody may do in the project.

Source: https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
"""

from __future__ import annotations

import re

from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest, TestIamPermissionsResponse

from fleet.sandbox.google.state import State
from fleet.sandbox.google.wire import Refused, answer, login_of, parsed
from fleet.sandbox.http import Request, Response

SERVICE = "cloudresourcemanager.googleapis.com"

ROUTE = re.compile(r"/v3/projects/(?P<project>[^/:]+):testIamPermissions")


class ProjectsApi:
    """Answers what lies under `/v3/projects`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self.state.lock:
            principal = login_of(self.state, request, SERVICE)
            route = ROUTE.fullmatch(request.path)
            if route is None or request.method != "POST":
                raise Refused(404, f"Method not found: {request.method} {request.path}")
            if route["project"] not in (self.state.project, self.state.number):
                raise Refused(403, "The caller does not have permission")
            asked = parsed(request.body, TestIamPermissionsRequest()).permissions
            held = [permission for permission in asked if self.state.may(principal, permission)]
            return answer(request, TestIamPermissionsResponse(permissions=held))
