"""What AWS's refusals mean, and answers that are none.

Source for the codes: botocore.retries.standard for throttling, and the common errors of IAM, STS and ECR in AWS's API
references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fleet.provider import OutOfBudget, ProviderError, TryAgain, Unsure

Document = Mapping[str, Any]

POLICY_PAGE = "docs/registries/ecr.md"

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""What the SDK itself takes for throttling (botocore.retries.standard)."""
_PASSING = frozenset(
    {
        "ConcurrentModification",
        "EntityTemporarilyUnmodifiable",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceFailure",
        "ServiceUnavailable",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
WRONG = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_QUOTA = frozenset({"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"})

_READS = ("Describe", "Get", "List", "BatchGet", "BatchCheck")
_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")


class Refused(ProviderError):
    """AWS said no; `code` is its own word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def refusal(response: Document, action: str, *, has_worked: bool) -> Exception:
    """The error for a refusal of AWS's; a login that has worked, and works no more, ends the run cleanly."""
    error = response.get("Error") or {}
    code, said = str(error.get("Code") or "nothing"), str(error.get("Message") or "").strip().rstrip(".")
    if code in _THROTTLED or code in _PASSING:
        headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
        return TryAgain(f"AWS is asked too often, or busy ({code}), at {action}", _seconds(headers))
    if code in EXPIRED:
        sentence = "the AWS login has expired: log in again (`aws sso login`, or a new session)"
        return OutOfBudget(f"{sentence}, and run again") if has_worked else ProviderError(sentence)
    if code in WRONG:
        if has_worked:
            return OutOfBudget(f"the AWS login stopped working during the run ({code}); renew it and run again")
        return Refused(f"AWS refuses the login ({code}): the key is wrong, revoked or too new", code)
    if code in DENIED:
        named = _ACTION.search(said)
        missing = named[1] if named else action
        return Refused(f"the AWS login lacks the permission {missing}; {POLICY_PAGE} has the whole policy", code)
    if code in _QUOTA:
        return Refused(f"{action} would go over a quota of the account ({code}: {said}); raise it, or tidy up", code)
    return Refused(f"AWS answers {code} to {action}: {said or 'no reason given'}", code)


def check_answer(operation_model: Any, response_dict: Document, **_: Any) -> None:
    """Stop an answer that the SDK would misread; called by the SDK before it parses one."""
    action = f"{operation_model.service_model.signing_name}:{operation_model.name}"
    status = response_dict["status_code"]
    if status == 429 or status >= 500:
        raise TryAgain(f"AWS answers {status} to {action}", _seconds(response_dict["headers"]))
    if operation_model.service_model.resolved_protocol == "json" and not _is_object(response_dict["body"]):
        raise lost(action, "the answer is none of AWS's")


def lost(action: str, why: str) -> ProviderError:
    """The error for an answer that did not come, or not whole: for a read no harm, for a write no knowledge."""
    is_read = action.partition(":")[2].startswith(_READS)
    if is_read:
        return TryAgain(f"AWS does not answer to {action}: {why}")
    return Unsure(f"AWS may or may not have acted on {action}: {why}")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _seconds(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` says, if it is a number of seconds."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.isdigit() else None
