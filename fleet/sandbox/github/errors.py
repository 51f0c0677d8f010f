"""Refusals in GitHub's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.sandbox.http import Response

DOCS = "https://docs.github.com/rest"


class ApiError(Exception):
    """A request is refused with this status and body."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[Mapping[str, Any] | str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The refusal as an answer."""
        body: dict[str, Any] = {"message": self.message, "documentation_url": DOCS, "status": str(self.status)}
        if self.errors:
            body["errors"] = [dict(error) if isinstance(error, Mapping) else error for error in self.errors]
        return Response.of_json(body, self.status, self.headers)


def not_found() -> ApiError:
    """It does not exist, or the token may not know that it does."""
    return ApiError(404, "Not Found")


def unsupported(what: str) -> ApiError:
    """The sandbox does not know this; it says so instead of guessing."""
    return ApiError(501, f"the sandbox does not know {what}")


def invalid(resource: str, field: str, message: str, code: str = "custom") -> ApiError:
    """A field has a value that GitHub won't take."""
    error = {"resource": resource, "field": field, "code": code, "message": message}
    return ApiError(422, "Validation Failed", [error])


def empty_repository() -> ApiError:
    """Git data is asked of a repository that has no commit yet."""
    return ApiError(409, "Git Repository is empty.")
