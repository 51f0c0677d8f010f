"""AWS, call by call: one login, one request for each call, and every trouble as the error that says what to do.

The SDK neither waits nor repeats, because the core does. Clients may be shared by threads, sessions may not, so clients
are made under a lock. What the SDK says of an answer that it cannot read may quote the answer, and with it a key that
was just made: no such text is passed on, and nothing is raised while such an error is being handled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any

from fleet.provider import Context, ProviderError, Secret, TryAgain
from fleet_ecr.refusals import Refused, check_answer, lost, refusal
from fleet_ecr.specs import EcrSettings

Document = Mapping[str, Any]

GONE = ("NoSuchEntity",)
"""IAM's word for what is not there."""


class Aws:
    """AWS for one login: that of AWS's usual places, or an access key (its id, and the secret)."""

    def __init__(self, settings: EcrSettings, context: Context, key: tuple[str, Secret] | None = None) -> None:
        self._settings = settings
        self._context = context
        self._key = key
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._account_is_right = False
        self._has_worked = False

    def with_key(self, key: str, secret: Secret) -> Aws:
        """The same AWS for another login."""
        return Aws(self._settings, self._context, (key, secret))

    def call(self, service: str, operation: str, accept: Collection[str] = (), **parameters: Any) -> Document | None:
        """Make one call, named as boto3 names it; None where AWS answers with one of the codes in `accept`.

        Raises TryAgain for a passing trouble, Unsure when the answer to a write was lost, Refused or another
        ProviderError for the rest.
        """
        client = self._client(service)
        action = f"{service}:{client.meta.method_to_api_mapping[operation]}"
        self._context.spend()
        outcome = self._exchange(getattr(client, operation), parameters, action)
        if isinstance(outcome, Refused) and outcome.code in accept:
            self._has_worked = True
            return None
        if isinstance(outcome, Exception):
            raise outcome  # outside of any `except`: see above
        self._has_worked = True
        return outcome

    def ask(self, service: str, operation: str, **parameters: Any) -> Document:
        """Make one call whose answer is always there."""
        answer = self.call(service, operation, **parameters)
        assert answer is not None
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Document]:
        """The entries `key` of all pages, asked for as they are needed."""
        more: dict[str, Any] = {}
        while True:
            page = self.ask(service, operation, **parameters, **more)
            yield from entries(page, key)
            if page.get("nextToken"):  # ECR
                more = {"nextToken": page["nextToken"]}
            elif page.get("IsTruncated"):  # IAM
                more = {"Marker": page["Marker"]}
            else:
                return

    def check_account(self) -> None:
        """Raise ProviderError where the login is of another account than fleet.yaml's; one call, once."""
        if self._account_is_right:
            return
        found = self.ask("sts", "get_caller_identity").get("Account")
        if not isinstance(found, str):
            raise ProviderError("the answer does not say whose AWS login this is; is it AWS?")
        if found != self._settings.account:
            raise ProviderError(
                f"the AWS login is of the account {found}, and fleet.yaml says {self._settings.account}: "
                "log in to that account (AWS_PROFILE), or correct `account:`"
            )
        self._account_is_right = True

    def _exchange(self, method: Callable[..., Document], parameters: Document, action: str) -> Document | Exception:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            HTTPClientError,
            NoCredentialsError,
            ParamValidationError,
        )
        from botocore.parsers import ResponseParserError

        try:
            return method(**parameters)
        except ProviderError as error:  # from `check_answer`; its traceback may hold the answer
            return error.with_traceback(None)
        except ClientError as error:
            return refusal(error.response, action, has_worked=self._has_worked)
        except (ConnectTimeoutError, EndpointConnectionError):
            where = self._settings.url or f"AWS in {self._settings.region}"
            return TryAgain(f"{where} cannot be reached for {action}; is the region right?")
        except HTTPClientError:
            return lost(action, "the connection broke, or was silent for too long")
        except ResponseParserError:
            return lost(action, "the answer is none of AWS's")
        except NoCredentialsError:
            return ProviderError(
                "there is no AWS login: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where "
                "AWS gives a role"
            )
        except ParamValidationError as error:
            return ProviderError(f"{action} cannot be asked like this: {error}")
        except BotoCoreError as error:
            return ProviderError(f"the AWS login cannot be used: {error}")

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                made = self._open(service)
                if isinstance(made, Exception):
                    raise made
                made.meta.events.register("before-parse", check_answer)
                self._clients[service] = made
            return self._clients[service]

    def _open(self, service: str) -> Any:
        try:
            from boto3 import Session
        except ModuleNotFoundError:
            return ProviderError("ECR needs the package 'boto3'; install it with: pip install 'hubfleet[aws]'")
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        times = self._context.timeouts
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=times.connect if times else 10,
            read_timeout=times.read if times else 30,
            max_pool_connections=16,
        )
        key = self._key
        try:
            if self._session is None:
                self._session = Session(botocore_session=_core_session(), region_name=self._settings.region)
            return self._session.client(
                service,
                config=config,
                endpoint_url=self._settings.url,
                aws_access_key_id=key[0] if key else None,
                aws_secret_access_key=key[1].expose() if key else None,
            )
        except BotoCoreError as error:
            return ProviderError(f"the AWS login cannot be used: {error}")


@cache
def _loader() -> Any:
    """Reads the descriptions of AWS's services: the same for all sessions, and most of what a client costs."""
    from botocore.loaders import create_loader

    return create_loader()


def _core_session() -> Any:
    from botocore.session import get_session

    session = get_session()
    session.register_component("data_loader", _loader())
    return session


def entries(page: Document, key: str) -> list[Document]:
    """A list of objects in an answer; raises ProviderError where there is none."""
    found = page.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise ProviderError(f"the answer has no list {key}; is it AWS?")
    return found


def tags_of(entry: Document, key: str = "Tags") -> dict[str, str]:
    """Tags by their key."""
    return {str(tag.get("Key")): str(tag.get("Value")) for tag in entry.get(key) or ()}
