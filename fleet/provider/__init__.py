"""The provider contract: all that fleet asks of an outside service, and all that a provider may use of fleet.

A provider is a class found by an entry point of the group `fleet.providers`. It takes one or more *roles*:

- every provider can `read` and `apply` the kinds of things it makes;
- a `Registry` also says where an image lives there and what its tags mean;
- an `Issuer` also issues credentials that its service shows once;
- a `CodeHost` also reads and commits files;
- a `HubTarget` also says which slots of a hub it sets.

Rules for authors (the contract suite in `fleet.testing` checks them):

1. `__init__` makes no request.
2. `read` answers for everything it is asked in as few requests as the service allows; what does not exist is left
   out. It answers in the same spec types that the configuration produces, already normalised, so that the core's
   comparison is `==`.
3. `apply` works from *any* state of the world, because a resumed change starts wherever a crash left it, and after
   it `read` returns `after`. Where one change takes several calls, the call that makes it equal `after` comes last.
4. `reveal` answers with a secret at the moment of use; nothing keeps, logs or prints it.
5. Errors: a passing trouble (429, 5xx, a refused connection) is `TryAgain`; an answer lost after a write was sent is
   `Unsure`; a refusal is `ProviderError` in one sentence that names what to do. Anything else is a bug and escapes.
6. No printing, no sleeping, no retrying, no threads, no reading of the environment: call `context.spend()` before
   each request, and the core waits, counts and gives up in one place. Where a read takes a request per thing, make
   them through `context.each`: the core may do several at once, and repeats one that fails in passing without
   repeating the others.

For HTTP there is `context.http()`, which counts requests and keeps rule 5, and for any OCI registry `OciClient`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fleet.branch import Branch, Swap, Swapped
from fleet.each import Each, one_by_one
from fleet.errors import Conflict, OutOfBudget, ProviderError, TryAgain, Unsure
from fleet.gitblob import blob_id
from fleet.model import (
    Action,
    Address,
    Change,
    Frozen,
    Objection,
    Owned,
    Removal,
    Resource,
    Secret,
    SecretRef,
    Spec,
)
from fleet.proposal import Logged, Proposal, Proposed, Text, proposal_branch
from fleet.provider.base import URL, Context, HubTarget, Limits, Provider, Receipts, Reveal, Settings, Url
from fleet.provider.code_hosts import (
    Build,
    CodeHost,
    CommitRequest,
    Files,
    LastChange,
    Organization,
    Remark,
    SourceRepository,
    Verdict,
)
from fleet.provider.registries import (
    Credential,
    Home,
    Issued,
    Issuer,
    Login,
    LoginStep,
    OciRegistry,
    OwnLogin,
    Registry,
    RegistryImage,
    no_keyless,
)
from fleet.reference import ImageReference, is_name, split_host
from fleet.secrets import SecretSource
from fleet.site import SiteReference, full_name

if TYPE_CHECKING:
    from fleet.http import HTTP2, Answer, Ask, Http, Timeouts, host_of, is_loopback
    from fleet.oci import Credentials, Denied, LoginRefused, Manifest, OciClient, Tag

__all__ = [
    "HTTP2",
    "URL",
    "Action",
    "Address",
    "Answer",
    "Ask",
    "Branch",
    "Build",
    "Change",
    "CodeHost",
    "CommitRequest",
    "Conflict",
    "Context",
    "Credential",
    "Credentials",
    "Denied",
    "Each",
    "Files",
    "Frozen",
    "Home",
    "Http",
    "HubTarget",
    "ImageReference",
    "Issued",
    "Issuer",
    "LastChange",
    "Limits",
    "Logged",
    "Login",
    "LoginRefused",
    "LoginStep",
    "Manifest",
    "Objection",
    "OciClient",
    "OciRegistry",
    "Organization",
    "OutOfBudget",
    "OwnLogin",
    "Owned",
    "Proposal",
    "Proposed",
    "Provider",
    "ProviderError",
    "Receipts",
    "Registry",
    "RegistryImage",
    "Remark",
    "Removal",
    "Resource",
    "Reveal",
    "Secret",
    "SecretRef",
    "SecretSource",
    "Settings",
    "SiteReference",
    "SourceRepository",
    "Spec",
    "Swap",
    "Swapped",
    "Tag",
    "Text",
    "Timeouts",
    "TryAgain",
    "Unsure",
    "Url",
    "Verdict",
    "blob_id",
    "full_name",
    "host_of",
    "is_loopback",
    "is_name",
    "no_keyless",
    "one_by_one",
    "proposal_branch",
    "split_host",
]

_LATE = {
    **dict.fromkeys(("HTTP2", "Answer", "Ask", "Http", "Timeouts", "host_of", "is_loopback"), "fleet.http"),
    **dict.fromkeys(("Credentials", "Denied", "LoginRefused", "Manifest", "OciClient", "Tag"), "fleet.oci"),
}
"""What is imported when a provider asks for it: a fleet without registries does not pay for it."""


if not TYPE_CHECKING:  # it would be taken for a promise that every name is there

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LATE[name]), name)
