"""Azure Container Registry: for each image a token that may push to its repository and to no other.

The repository itself appears with its first push. A token's rights are those of its scope map, whose description says
whose both are. Its two password slots take turns: a new password goes into the slot that is not the stored one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from fleet.provider import (
    Address,
    Change,
    Context,
    Credential,
    Credentials,
    Denied,
    Home,
    ImageReference,
    Issued,
    Issuer,
    Limits,
    Login,
    LoginRefused,
    LoginStep,
    Objection,
    OciClient,
    OwnLogin,
    ProviderError,
    Registry,
    RegistryImage,
    Resource,
    Reveal,
    Secret,
    SecretRef,
    Settings,
    Spec,
    Tag,
    TryAgain,
    host_of,
    is_name,
)
from fleet_acr.logins import of_job
from fleet_acr.permissions import any_held, lacking, needed_for
from fleet_acr.specs import HELP, AcrSettings, PushToken, actions_on, marked, token_name
from fleet_acr.standing import SLOTS, key_of, passwords_of, scope_map_of, slot_of, standing_token

if TYPE_CHECKING:
    from fleet_acr.azure import Azure

TOKEN = "token"  # noqa: S105 - the name of a kind
PASSWORD = "password"  # noqa: S105 - the name of a field
SECRET = "ACR_PASSWORD"  # noqa: S105 - what repo2docker-action calls it

_EXCHANGE_LIVES = 2.5 * 3600
"""Seconds after which an exchanged login is renewed; it lives for three hours."""


class Acr(Registry, Issuer):
    """A registry at azurecr.io, or wherever Azure serves it."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {TOKEN: PushToken}
    settings: ClassVar[type[Settings]] = AcrSettings
    issuing: ClassVar[frozenset[str]] = frozenset({TOKEN})
    limits = Limits(at_once=4)

    def __init__(self, name: str, settings: AcrSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._http = context.http()
        self._lock = threading.Lock()
        self._reading: tuple[OciClient, float] | None = None

    @classmethod
    def job_login(cls, settings: AcrSettings) -> LoginStep | None:
        """An application of Entra that trusts the job's environment, where fleet.yaml names no login."""
        return None if settings.auth or settings.push else of_job(settings)

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._settings.login_server)

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives, and its token; raises ValueError for a name that is none, and where no token can be."""
        repository = f"{self._settings.namespace}/{image.name}" if self._settings.namespace else image.name
        name = f"{self.host}/{repository}"
        if not is_name(name):
            raise ValueError(
                f"{repository!r} cannot be the name of an image: write lower-case letters, digits, and . _ - / between"
            )
        if self._settings.push is not None:
            ref = OwnLogin.reference(self.name, repository)
            return Home(name, (), Login.stored(self._settings.push.username, ref, SECRET), self._notes(image))
        if self._settings.subscription is None or self._settings.resource_group is None:
            raise ValueError(
                f"to issue credentials in {self.host}, fleet must know its `subscription` and `resource_group`: write "
                f"both for {self.name}, or a login of your own (push: {{username: …, password: …}})"
            )
        address = Address(self.name, TOKEN, repository)
        wanted = PushToken(owner=self.context.fleet, scope_map=token_name(repository), actions=actions_on(repository))
        login = Login.stored(token_name(repository), SecretRef(source=address, field=PASSWORD), SECRET)
        return Home(name, (Resource(address, wanted),), login, self._notes(image))

    def cost(self, change: Change) -> int:
        """About how many requests a change takes, looks at long-running operations among them."""
        return 4 if change.after is None else 8

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands there: one listing of scope maps and one of tokens, whatever is asked."""
        scope_maps, tokens = self._azure.scope_maps(), self._azure.tokens()
        found = {address: standing_token(token_name(address.name), scope_maps, tokens) for address in addresses}
        return {address: spec for address, spec in found.items() if spec is not None}

    def preflight(self, changes: Collection[Change]) -> Mapping[Address, Objection]:
        """The permissions that fleet's login lacks on the registry, by Azure's own word: one request.

        A login that may write nothing at all plans for another; its first write would fail, with nothing half made.
        """
        grants = self._azure.grants()
        if grants is None or not any_held(grants):
            return {}
        missing = {change.address: lacking(needed_for(change), grants) for change in changes}
        return {
            address: Objection(
                f"cannot be written: the login of {self.name} lacks {' and '.join(permissions)} on the registry "
                f"{self._settings.registry}",
                f"{HELP}.",
            )
            for address, permissions in missing.items()
            if permissions
        }

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each token what it is to be, its scope map first; or take it away, its scope map last."""
        for change in changes:
            name = token_name(change.address.name)
            standing = self._look(name)
            if standing is not None and standing.owner not in (None, self.context.fleet):
                raise ProviderError(
                    f"the token {name} in {self.host} belongs to the fleet {standing.owner}: take it out of that "
                    "fleet's file first"
                )
            if isinstance(change.after, PushToken):
                self._make(name, standing, change.after)
            elif standing is not None and standing.owner is not None:
                self._azure.delete_token(name)
                self._azure.delete_scope_map(name)

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this login may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self._client.platforms_of(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, newest first; four requests for each page of a hundred."""
        return self._azure.tags(name.partition("/")[2])

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self._settings.push
        if push is None or not OwnLogin.is_asked_for(ref):
            return super().reveal(ref)
        login = push.credentials(self.context)
        self._anonymous.prove_push(ref.source.name, login)
        return login.password

    def credentials(self, source: Address) -> Sequence[Credential]:
        """The password slots of a token that hold one, oldest first."""
        return passwords_of(self._azure.token(token_name(source.name)))

    def standing(self, sources: Collection[Address]) -> Mapping[Address, Sequence[Credential]]:
        """The password slots of many tokens: one listing."""
        tokens = self._azure.tokens()
        return {source: passwords_of(tokens.get(token_name(source.name))) for source in sources}

    def issue(self, source: Address, stored: str | None) -> Issued:
        """A new password in the slot that is free, else in the one that was not stored, else in the oldest."""
        name = token_name(source.name)
        token = self._azure.token(name)
        if token is None:
            raise ProviderError(f"the token {name} is gone from {self.host}; plan and apply to make it anew")
        held = [slot_of(password.key) for password in passwords_of(token)]
        free = [slot for slot in SLOTS if slot not in held]
        slot = next(slot for slot in (*free, *held) if slot != slot_of(stored or ""))
        made, value = self._azure.new_password(name, slot)
        return Issued(key_of(slot, made), {PASSWORD: value})

    def prove(self, source: Address, issued: Issued) -> None:
        """Begin and cancel an upload with the new password, and ask what it may do in another repository."""
        login = Credentials(token_name(source.name), issued.values[PASSWORD])
        try:
            self._anonymous.prove_push(source.name, login)
        except (LoginRefused, Denied) as error:
            if self._may_push(source):
                raise TryAgain(f"the new password is not known everywhere in {self.host} yet") from error
            raise
        other = f"{source.name}-another"
        granted = self._anonymous.granted(other, login)
        if granted is None:
            raise ProviderError(
                f"{self.host} does not say what {login.username} may do elsewhere, so it is not trusted"
            )
        if granted - {"pull"}:  # a registry may let anybody pull
            raise ProviderError(
                f"the token {login.username} may do more than push to {source.name}: {self.host} grants it "
                f"{' and '.join(sorted(granted - {'pull'}))} on {other}; look at its scope map"
            )

    def revoke(self, source: Address, keep: str | None) -> None:
        """Empty the other slot, or both, where they hold a password."""
        name, kept = token_name(source.name), () if keep is None else (slot_of(keep),)
        if any(slot_of(password.key) not in kept for password in passwords_of(self._azure.token(name))):
            self._azure.keep_passwords(name, kept)

    def _make(self, name: str, standing: PushToken | None, after: PushToken) -> None:
        """The scope map first: a token never has more rights than it is to have."""
        mark = after.owner or self.context.fleet
        if (
            standing is None
            or standing.scope_map != name
            or (standing.owner, standing.actions) != (mark, after.actions)
        ):
            self._azure.put_scope_map(name, marked(mark), after.actions)
        if standing is None or standing.status == "absent":
            self._azure.put_token(name, name)
        elif standing.status != after.status or standing.scope_map != name:
            self._azure.update_token(name, name)

    def _look(self, name: str) -> PushToken | None:
        """What stands under one name, without a listing."""
        token, own = self._azure.token(name), self._azure.scope_map(name)
        tokens = {name: token} if token is not None else {}
        scope_maps = {name: own} if own is not None else {}
        used = scope_map_of(token)
        other = self._azure.scope_map(used) if used and used != name else None
        return standing_token(name, {**scope_maps, **({used: other} if other is not None else {})}, tokens)

    def _may_push(self, source: Address) -> bool:
        """Whether a token is as it must be to push, so that a password which does not work is only too new."""
        standing = self._look(token_name(source.name))
        return standing is not None and standing.status == "enabled" and standing.actions == actions_on(source.name)

    def _notes(self, image: RegistryImage) -> tuple[str, ...]:
        if image.visibility != "public":
            return ()
        return (
            f"{self.host} shows images to logins only, unless the whole registry allows anonymous pull; else hubs need "
            "a pull secret.",
        )

    @cached_property
    def _azure(self) -> Azure:
        try:
            from fleet_acr.azure import Azure
        except ModuleNotFoundError as error:
            raise ProviderError(
                f"{self.name} needs the package {error.name!r}; install it with: pip install 'hubfleet[azure]'"
            ) from None
        return Azure(self._settings, self.context, self._http)

    @cached_property
    def _anonymous(self) -> OciClient:
        """For proving other logins, which need none of ours."""
        return OciClient(self._settings.login_server, self._http)

    @property
    def _client(self) -> OciClient:
        """For reading, as whoever fleet is here; the exchange is done once, and again before it ends."""
        with self._lock:
            if self._reading is None or time.monotonic() > self._reading[1]:
                made = OciClient(self._settings.login_server, self._http, self._reader())
                self._reading = made, time.monotonic() + _EXCHANGE_LIVES
            return self._reading[0]

    def _reader(self) -> Credentials:
        push = self._settings.push
        if self._settings.auth is None and push is not None:
            return push.credentials(self.context)
        return self._azure.credentials()
