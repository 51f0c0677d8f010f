"""What the rows of the contract suite are made of: who is tested, and which cases do not apply to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fleet.sandbox.token import TokenService, new_key
from fleet.testing import Subject
from tests.images import Image, push

key = cache(new_key)
"""One for all services of a process, because every case starts one."""


@dataclass(frozen=True)
class Row:
    """A subject, and the names of the cases that do not apply to it, by the reason: all of them, and no others."""

    subject: type[Subject]
    without: Mapping[str, list[str]]


def publish(tokens: TokenService, name: str, tag: str, scheme: str = "http") -> str:
    """Push an image as somebody who may do so in its repository, and return its digest."""
    host, _, path = name.partition("/")
    token = tokens.sign("", [{"type": "repository", "name": path, "actions": ["pull", "push"]}])
    return push(f"{scheme}://{host}/v2/{path}", Image(), tag, headers={"authorization": f"Bearer {token}"})


OF_THINGS = [
    "a connection lost after the service acted",
    "a connection lost before the service acted",
    "a login that dies on the way",
    "a missing right is named",
    "a plan that failed half-way goes on",
    "a second plan is empty",
    "a service that hangs after it acted",
    "a service that hangs before it acts",
    "an answer of 503 passes",
    "an answer of garbage passes",
    "an answer that breaks off passes",
    "an expired login is said and nothing written",
    "apply works from any state",
    "asked too often, it waits and goes on",
    "forgetting takes marker and credential only",
    "killed at every write of adopting",
    "killed at every write of changing",
    "killed at every write of forgetting",
    "killed at every write of forgetting what was adopted",
    "killed at every write of making an image",
    "killed at every write of making several images at once",
    "lasting trouble ends in a sentence",
    "nonsense is not taken for an answer",
    "reads are batched",
    "what another fleet owns is refused",
    "what exists is adopted",
]
OF_PROPOSALS = [
    "a proposal is one",
    "a remark is one",
    "a stranger's proposal is left alone",
    "a verdict is one",
    "killed at every write of a proposal",
    "killed at every write of a remark",
    "killed at every write of a verdict",
    "killed at every write of bringing a proposal up to date",
]
OF_CODE_HOSTS = sorted(
    [
        *OF_PROPOSALS,
        "a branch for data is begun and swapped",
        "a commit lands whole",
        "a moved branch is a conflict",
        "a remote elsewhere is not taken for one here",
        "a swap for another head is a conflict",
        "files are of one commit",
        "killed at every step of a commit",
        "killed at every step of a swap",
        "of sixteen swaps one wins",
        "of two writers one wins",
        "recovering nothing changes nothing",
        "the last change of a line is known",
    ]
)
OF_TRANSPORT = [
    "a service that hangs after it acted",
    "a service that hangs before it acts",
    "an answer of 503 passes",
    "an answer of garbage passes",
    "an answer that breaks off passes",
    "asked too often, it waits and goes on",
]
OF_REGISTRIES = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "a login works for its own image",
    "tags are looked up",
    "trouble is no missing tag",
]
OF_LOGINS = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "a login works for its own image",
]
OF_STORED_LOGINS = [
    "a dead login reveals nothing",
    "a login that may not push is not revealed",
    "issued credentials replace each other",
]
OF_OWNED_THINGS = [
    "killed at every write of adopting",
    "killed at every write of forgetting what was adopted",
    "what another fleet owns is refused",
    "what exists is adopted",
]

SAME_CLIENT = "the same client makes its requests as in another row of this service"
VARIANT: Mapping[str, str] = {"transport": SAME_CLIENT}
NO_CODE_HOST = "it is no code host"
NO_REGISTRY = "it is no registry"
MAKES_NOTHING = "it makes nothing"
NOT_ONCE = "it issues nothing that is shown once"
ISSUES_NOTHING = "fleet issues nothing where the operator has a login"
OF_FORGETTING = ["forgetting takes marker and credential only", "killed at every write of forgetting"]
OF_ISSUERS = ["issued credentials replace each other"]
