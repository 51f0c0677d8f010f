"""Access keys of a user: two at most, shown once, proved with a push that is begun and given up."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from fleet.provider import (
    Address,
    Credential,
    Credentials,
    Denied,
    Issued,
    LoginRefused,
    OciClient,
    ProviderError,
    Secret,
    TryAgain,
)
from fleet_ecr.aws import GONE, Aws, entries
from fleet_ecr.refusals import DENIED, WRONG, Refused

ID, SECRET = "id", "secret"  # the fields of an access key
AT_ONCE = 2
"""Keys that IAM lets a user have: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

_SETTLES = 3.0
"""Seconds after which IAM is asked again about what is new: its parts learn of it one after the other."""
_NO_LAYER = f"sha256:{'0' * 64}"


class Keys:
    """The access keys of users, and what can be done with one."""

    def __init__(self, aws: Aws, registry: Callable[[], OciClient]) -> None:
        self._aws = aws
        self._registry = registry

    def standing(self, source: Address) -> Sequence[Credential]:
        """The keys of a user, oldest first; none for a user that isn't there."""
        answer = self._aws.call("iam", "list_access_keys", GONE, UserName=source.name)
        keys = [] if answer is None else entries(answer, "AccessKeyMetadata")
        found = [
            Credential(str(key["AccessKeyId"]), key["CreateDate"], is_enabled=key.get("Status") == "Active")
            for key in keys
        ]
        return sorted(found, key=lambda credential: credential.created)

    def issue(self, source: Address, stored: str | None) -> Issued:
        """One more key; where there are two, the older that is not `stored` makes room."""
        standing = self.standing(source)
        if len(standing) >= AT_ONCE:
            self._delete(source, next(key.key for key in standing if key.key != stored))
        answer = self._aws.call("iam", "create_access_key", GONE, UserName=source.name)
        if answer is None:
            raise ProviderError(f"the user {source.name} is gone from IAM; plan and apply to make it anew")
        key = answer["AccessKey"]
        values = {ID: Secret(key["AccessKeyId"]), SECRET: Secret(key["SecretAccessKey"])}
        return Issued(str(key["AccessKeyId"]), values)

    def last_used(self, key: str) -> datetime | None:
        """When a key was last used; None for one that never was."""
        used = self._aws.ask("iam", "get_access_key_last_used", AccessKeyId=key).get("AccessKeyLastUsed")
        found = used.get("LastUsedDate") if isinstance(used, Mapping) else None
        return found if isinstance(found, datetime) else None

    def revoke(self, source: Address, keep: str | None) -> None:
        """Delete all keys but one, or all."""
        for credential in self.standing(source):
            if credential.key != keep:
                self._delete(source, credential.key)

    def prove(self, login: Aws, repository: str, neighbour: str | None, *, is_new: bool) -> None:
        """Make sure that a key pushes to its repository, and may not even look into a neighbour, if there is one.

        Nothing is written to either. A new key, and a new policy, need some seconds to be known everywhere.
        """
        try:
            self._registry().prove_push(repository, docker_login(login))
        except (Denied, LoginRefused, Refused) as error:
            if is_new and (not isinstance(error, Refused) or error.code in WRONG | DENIED):
                raise TryAgain(str(error), _SETTLES) from None
            raise
        if neighbour is not None and is_new:
            self._refuse_reach(login, repository, neighbour)

    def _refuse_reach(self, login: Aws, repository: str, neighbour: str) -> None:
        answer = login.call(
            "ecr",
            "batch_check_layer_availability",
            DENIED,
            repositoryName=neighbour,
            layerDigests=[_NO_LAYER],
        )
        if answer is not None:
            raise ProviderError(
                f"the key for {repository} may do more than push there: it can look into {neighbour}; look at the "
                "policies of the account and of that repository"
            )

    def _delete(self, source: Address, key: str) -> None:
        self._aws.call("iam", "delete_access_key", GONE, UserName=source.name, AccessKeyId=key)


def docker_login(login: Aws) -> Credentials:
    """The user name and the password, good for twelve hours, that an AWS login gets for its registry: one request."""
    answer = login.ask("ecr", "get_authorization_token")
    try:
        token = base64.b64decode(entries(answer, "authorizationData")[0]["authorizationToken"]).decode()
    except (KeyError, IndexError, TypeError, binascii.Error, UnicodeDecodeError):
        raise ProviderError("the answer holds no login for the registry; is it AWS?") from None
    username, _, password = token.partition(":")
    return Credentials(username, Secret(password))
