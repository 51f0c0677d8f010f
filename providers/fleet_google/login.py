"""The login that fleet has with Google, and what goes wrong on the way there, as errors of fleet.

Google's packages take half a second to import, so that happens with the first request. Their retries are off: a call is
made once, and the core repeats it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fleet.provider import Conflict, Context, OutOfBudget, ProviderError, Secret, Timeouts, TryAgain, Unsure
from fleet_google.settings import Auth

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession

Result = TypeVar("Result")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

TOO_NEW = 10.0
"""Seconds until Google is asked again whether it knows something new everywhere: IAM is eventually consistent."""


class Missing(ProviderError):
    """Google does not know what was asked about."""


class Forbidden(ProviderError):
    """Fleet's login may not do that, or the project has not enabled the service."""


class Taken(Conflict):
    """What was to be made is there already, or was changed since it was read."""


class Doing(NamedTuple):
    """What is asked of Google: in words, the permission it takes, and whether it changes something."""

    words: str
    permission: str
    writes: bool = False


class GoogleLogin:
    """Application Default Credentials, or the login of `auth`; makes calls and maps what they raise."""

    def __init__(self, auth: Auth | None, project: str, context: Context) -> None:
        self.project = project
        self._auth = auth
        self._context = context
        self._has_worked = False

    @property
    def seconds(self) -> float:
        """How long to wait for an answer."""
        return (self._context.timeouts or Timeouts()).read

    @cached_property
    def credentials(self) -> Credentials:
        """What requests are signed with; raises ProviderError where there is no login, or one that is none."""
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2 import credentials

        if self._auth is not None and self._auth.token is not None:
            return credentials.Credentials(token=self._context.secret(self._auth.token).expose())
        if self._auth is not None and self._auth.key is not None:
            return of_key(self._context.secret(self._auth.key))
        try:
            return google.auth.default(scopes=[SCOPE])[0]
        except (GoogleAuthError, AttributeError):  # the latter for a file that is JSON, and no object
            where = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
            trouble = (
                f"the file {where} of GOOGLE_APPLICATION_CREDENTIALS holds no login for Google Cloud"
                if where
                else "this machine has no login for Google Cloud (Application Default Credentials), or a malformed one"
            )
            raise ProviderError(
                f"{trouble}: run `gcloud auth application-default login`, or write `auth: {{token: …}}` or "
                "`auth: {key: …}`"
            ) from None

    @cached_property
    def session(self) -> AuthorizedSession:
        """A session for the parts of Google's API that have no client."""
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self.credentials)

    def token(self) -> Secret:
        """An access token for the registry, renewed where it has run out."""
        from google.auth.transport.requests import Request

        def fresh() -> Secret:
            if not self.credentials.valid:
                self.credentials.refresh(Request())
            return Secret(str(self.credentials.token))

        if self.credentials.valid:
            return Secret(str(self.credentials.token))
        return self.call(Doing("log in", ""), fresh)

    def call(self, doing: Doing, work: Callable[[], Result]) -> Result:
        """Make one request; raises the errors of fleet, Missing and Taken among them."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.protobuf.json_format import ParseError

        self._context.spend()
        trouble: Exception
        try:
            result = work()
        except GoogleAPICallError as error:
            trouble = self._refusal(doing, error)
        except (TransportError, requests.RequestException) as error:
            trouble = _broken(doing, error)
        except GoogleAuthError:
            trouble = self.bad_login()
        except (ParseError, json.JSONDecodeError):
            trouble = lost(doing, "sent something that is not the answer")
        except AttributeError as error:
            if not _is_of_an_odd_error(error):
                raise
            trouble = lost(doing, "sent an error that is none of its own")
        else:
            self._has_worked = True
            return result
        raise trouble  # outside of any `except`: what the packages say may quote what was sent

    def bad_login(self) -> Exception:
        """The error for a login that Google does not take."""
        help_ = "log in anew (`gcloud auth application-default login`, or a new secret for `auth`)"
        if self._has_worked:
            return OutOfBudget(f"the login for Google Cloud stopped working during the run; {help_}, and run again")
        return ProviderError(f"Google Cloud refuses fleet's login: it is wrong, expired or revoked; {help_}")

    def _refusal(self, doing: Doing, error: GoogleAPICallError) -> Exception:
        from google.api_core import exceptions

        said = words_of(error)
        match error:
            case exceptions.Unauthorized():
                return self.bad_login()
            case exceptions.NotFound():
                return Missing(f"Google Cloud knows no such thing when asked to {doing.words}: {said}")
            case exceptions.Conflict():
                return Taken(f"somebody else came first when Google Cloud was asked to {doing.words}: {said}")
            case exceptions.Forbidden():
                return self._forbidden(doing, error)
            case exceptions.TooManyRequests():
                return self._exhausted(doing, error)
            case exceptions.BadRequest() if doing.writes and "does not exist" in said:
                return TryAgain(f"Google Cloud does not know everywhere yet what was just made: {said}", TOO_NEW)
            case exceptions.ServerError():
                return TryAgain(f"Google Cloud answers {error.code} when asked to {doing.words}", _retry_after(error))
        return ProviderError(f"Google Cloud answers {error.code} when asked to {doing.words}: {said}")

    def _exhausted(self, doing: Doing, error: GoogleAPICallError) -> Exception:
        """A rate passes within minutes; a quota of things or of a day does not, so waiting for it would be in vain.

        https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
        """
        after, said = _retry_after(error), words_of(error)
        daily = "PerDay" in (error.metadata or {}).get("quota_limit", "")
        if not daily and (after is not None or error.reason == "RATE_LIMIT_EXCEEDED" or not _is_of_google(error)):
            return TryAgain(f"Google Cloud is asked too often: {said}", after)
        return OutOfBudget(
            f"a quota of the project {self.project} is used up, so Google Cloud does not {doing.words}: "
            f"{said.rstrip('.')}; have it raised in the console (IAM & Admin, Quotas), and run again"
        )

    def _forbidden(self, doing: Doing, error: GoogleAPICallError) -> ProviderError:
        metadata = error.metadata or {}
        if error.reason == "SERVICE_DISABLED":
            service = metadata.get("service", "API")
            return Forbidden(
                f"the {service} is not enabled in the project {self.project}: run "
                f"`gcloud services enable {service} --project={self.project}`"
            )
        permission = metadata.get("permission") or doing.permission
        return Forbidden(
            f"Google Cloud does not let fleet's login {doing.words}: it needs the permission {permission} in the "
            f"project {self.project}, if that is the right project; docs/registries/gar.md has a role with all of them"
        )


class KeyLogin(GoogleLogin):
    """The login of a service account's key, in base64, for as long as it is being proved."""

    def __init__(self, key: Secret, project: str, context: Context) -> None:
        super().__init__(None, project, context)
        self._key = key

    @cached_property
    def credentials(self) -> Credentials:
        """What requests are signed with."""
        return of_key(Secret(base64.b64decode(self._key.expose()).decode()))

    def bad_login(self) -> Exception:
        """A new key that Google does not take yet; one service may know it before another does."""
        return TryAgain("Google Cloud does not know the new key everywhere yet", TOO_NEW)


def of_key(key: Secret) -> Credentials:
    """The login of a service account's key; raises ProviderError for what is no key."""
    from google.oauth2 import service_account

    try:
        found: Credentials = service_account.Credentials.from_service_account_info(
            json.loads(key.expose()), scopes=[SCOPE]
        )
    except (ValueError, TypeError, AttributeError):
        raise ProviderError("what `auth: {key: …}` leads to is not the key of a service account, as JSON") from None
    return found


def lost(doing: Doing, what: str) -> ProviderError:
    """The error for an answer that cannot be used: a read is tried again, a write may have happened."""
    if doing.writes:
        return Unsure(f"Google Cloud {what} when asked to {doing.words}, so it may or may not have acted")
    return TryAgain(f"Google Cloud {what} when asked to {doing.words}")


def _is_of_an_odd_error(error: AttributeError) -> bool:
    """Whether google-api-core has stumbled over an error of another shape than Google's, such as a proxy's."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__name__") == "google.api_core.exceptions"


def _is_of_google(error: GoogleAPICallError) -> bool:
    """Whether an error is in Google's own words, and not a proxy's."""
    headers: Any = getattr(error.response, "headers", None) or {}
    return str(headers.get("content-type", "")).startswith("application/json")


def words_of(error: GoogleAPICallError) -> str:
    """What Google says, without the request that its client puts in front."""
    return str(error.message).partition(": ")[2] or "no reason given"


def _broken(doing: Doing, error: Exception) -> ProviderError:
    import requests

    match error:
        case requests.exceptions.SSLError():
            return ProviderError("the TLS certificate of Google Cloud is not accepted; is there a proxy on the way?")
        case requests.ConnectTimeout():
            return TryAgain("Google Cloud does not answer: no connection")
        case requests.Timeout():
            return lost(doing, "sent nothing for too long")
        case requests.exceptions.ConnectionError() if "NewConnectionError" in repr(error):
            return TryAgain("no connection to Google Cloud")
    return lost(doing, "broke the connection")


def _retry_after(error: GoogleAPICallError) -> float | None:
    """Seconds that Google asks to wait: a RetryInfo among the details, or the header of HTTP."""
    for detail in error.details or ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("/google.rpc.RetryInfo"):
            return _seconds(str(detail.get("retryDelay", "")).removesuffix("s"))
    headers: Any = getattr(error.response, "headers", None) or {}
    return _seconds(headers.get("Retry-After", ""))


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
