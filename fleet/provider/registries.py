"""Where images live: what a registry is told and tells, how builds log in, and credentials that are shown once."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from fleet.errors import ProviderError
from fleet.model import Address, Frozen, Resource, Secret, SecretRef
from fleet.provider.base import Context, Provider
from fleet.reference import ImageReference, split_host
from fleet.secrets import SecretSource

if TYPE_CHECKING:
    from fleet.oci import Credentials, OciClient, Tag


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """What a registry needs to know of an image of fleet.yaml: its key there, and the settings that concern it."""

    key: str
    name: str
    """The name in the registry, without namespace; the source repository's name unless `name:` says otherwise."""
    source: str | None = None
    branch: str = "main"
    """The default branch of the source repository, where builds that push run."""
    description: str = ""
    visibility: str = "public"


@dataclass(frozen=True, slots=True)
class LoginStep:
    """A step of a workflow that logs in: an action by its name in the table of pins, its `id`, and its inputs.

    Inputs hold literals and expressions such as `${{ secrets.NAME }}`, never a secret itself.
    """

    name: str
    action: str
    id: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Login:
    """How a build logs in to push: the user name and password that its build step is given.

    Either is a literal or an expression (`${{ secrets.NAME }}`, `${{ steps.ID.outputs.NAME }}`). `secrets` says by name
    where each Actions secret is revealed; `steps` run before the build, with `permissions` beside `contents: read`.
    Secrets are named as repo2docker-action's own examples name them: https://github.com/jupyterhub/repo2docker-action
    """

    username: str
    password: str
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)
    permissions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[LoginStep, ...] = ()

    @classmethod
    def stored(cls, username: str, password: SecretRef, secret: str = "DOCKER_PASSWORD") -> Self:  # noqa: S107 - a name
        """A user name, and a password kept as the Actions secret `secret`."""
        return cls(username, f"${{{{ secrets.{secret} }}}}", {secret: password})

    def suffixed(self, suffix: str) -> Self:
        """The same login with each secret's name followed by `_` and this, wherever it is asked for."""

        names = {name: f"{name}_{suffix}" for name in self.secrets}

        def renamed(value: str) -> str:
            return re.sub(r"(?<=\bsecrets\.)\w+", lambda found: names.get(found[0], found[0]), value)

        return replace(
            self,
            username=renamed(self.username),
            password=renamed(self.password),
            secrets={names[name]: ref for name, ref in self.secrets.items()},
            steps=tuple(
                replace(step, inputs={name: renamed(value) for name, value in step.inputs.items()})
                for step in self.steps
            ),
        )


OWN_LOGIN, PASSWORD = "login", "password"
"""The kind and the field of an operator's own password, for one repository; it is no kind that is planned."""


class OwnLogin(Frozen):
    """An operator's own login: proved where it is to push, stored for it, never rotated or revoked."""

    model_config = ConfigDict(strict=True)

    username: Annotated[str, StringConstraints(min_length=1)] = Field(description="The user name.")
    password: SecretSource = Field(description="Where the password is found.")

    def credentials(self, context: Context) -> Credentials:
        """The user name and the password, read now."""
        from fleet.oci import Credentials

        return Credentials(self.username, context.secret(self.password))

    @staticmethod
    def reference(registry: str, repository: str) -> SecretRef:
        """What `Registry.reveal` is asked for: the password, to push to one repository of a registry of fleet.yaml."""
        return SecretRef(source=Address(registry, OWN_LOGIN, repository), field=PASSWORD)

    @staticmethod
    def is_asked_for(ref: SecretRef) -> bool:
        """Whether a reference is such a one; `ref.source.name` is the repository."""
        return (ref.source.kind, ref.field) == (OWN_LOGIN, PASSWORD)


def no_keyless(sentence: str) -> BeforeValidator:
    """Marks a setting `push` where builds cannot push without a stored secret: refuses `keyless` with a sentence."""

    def refused(value: object) -> object:
        if value == "keyless":
            raise ValueError(sentence)
        return value

    return BeforeValidator(refused)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an image lives in a registry: its full name, what must exist for it, and the login that may push there.

    `notes` are sentences for a person, such as a step that no API offers; a plan that changes something of the image
    shows them. `labels` are those that builds give the image, in literals and the workflow expressions
    `${{ github.server_url }}` and `${{ github.repository }}`.
    """

    name: str
    resources: tuple[Resource, ...] = ()
    login: Login | None = None
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class Registry(Provider):
    """A provider where images live."""

    @classmethod
    def job_login(cls, settings: Any) -> LoginStep | None:
        """The step by which a job of the fleet repository gets fleet's own login here without a stored secret. Pure.

        None where there is no such way, or where the settings name a login. What differs from one environment to
        another, as the identity does, is read from its Actions variables: `${{ vars.NAME }}`.
        """
        return None

    @property
    @abstractmethod
    def host(self) -> str:
        """The first part of its images' names, such as `quay.io`. Pure."""

    @abstractmethod
    def home(self, image: RegistryImage) -> Home:
        """Where an image lives here and what it needs. Pure; raises ValueError for a name the registry won't take."""

    @abstractmethod
    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest each tag means now; a tag that does not exist has no entry."""

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image by its full name, newest first, page by page as they are asked for.

        Nothing for an image that is not there; raises ProviderError where the registry does not show it to this login,
        and where the provider has no way to list them.
        """
        raise ProviderError(f"fleet cannot list the tags of {name} by their date")

    def latest(self, name: str, count: int) -> Sequence[str]:
        """Some of the newest tags of an image, for a message; none where finding them would take many requests."""
        return [tag.name for tag in islice(self.tags(name), count)]

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What each image, named by its digest, runs on, as `os/architecture`; none for one that does not say."""
        return {}


_FEW = 20
"""Tags that are dated one by one for the sake of a message."""


class OciRegistry(Registry):
    """A registry where nothing is made: it is read by the distribution protocol, and an own login is proved there."""

    @property
    @abstractmethod
    def client(self) -> OciClient:
        """What reads it, with the login of fleet.yaml or as nobody."""

    @property
    @abstractmethod
    def own_login(self) -> OwnLogin | None:
        """The operator's own login that builds push with, if there is one."""

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self.own_login
        if push is None or not OwnLogin.is_asked_for(ref):
            return super().reveal(ref)
        login = push.credentials(self.context)
        self.client.prove_push(ref.source.name, login)
        return login.password

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this login may see; one request per tag."""
        return self.client.digests(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, those first whose images were made last; two to four requests for each."""
        return self.client.newest(split_host(name)[1], self.context.each)

    def latest(self, name: str, count: int) -> Sequence[str]:
        """Some of the newest tags, where all are few: each costs requests, and one without a date tells nothing."""
        from fleet.oci import UNDATED

        repository = split_host(name)[1]
        if len([*islice(self.client.tags(repository), _FEW + 1)]) > _FEW:
            return ()
        dated = [tag.name for tag in self.client.newest(repository, self.context.each) if tag.date != UNDATED]
        return dated[:count]

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self.client.platforms_of(references, self.context.each)


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that stands at an identity: the service's own name for it, when it was made, when it last let
    somebody in where the service lists that, and whether it would let anybody in now."""

    key: str
    created: datetime
    last_used: datetime | None = None
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that was just made: the service's own name for it, and what the service shows only now, by field."""

    key: str
    values: Mapping[str, Secret]


class Issuer(Provider):
    """A provider of credentials that fleet issues, and replaces one by another.

    Their service shows them once, unless they are `by_turns`. The core calls `issue` and `prove` while a code host
    stores the values, and `revoke` when they are stored and no build that could use an older one is running; the other
    way round, with the group still open, after a run that was killed. So of an identity's credentials the newest is the
    one that is stored, or about to be.
    """

    issuing: ClassVar[frozenset[str]]
    """The kinds of identity that a `SecretRef` of such a credential names as its source."""
    by_turns: ClassVar[bool] = False
    """Whether the service shows credentials again: `apply` then makes the first with the identity, and `issue` answers
    with one that stands there and was not stored, where that is no older than the stored one."""
    tells_use: ClassVar[bool] = False
    """Whether the service tells when a credential was last used."""

    @abstractmethod
    def credentials(self, source: Address) -> Sequence[Credential]:
        """What stands at an identity, oldest first; nothing where there is no such identity."""

    def standing(self, sources: Collection[Address]) -> Mapping[Address, Sequence[Credential]]:
        """`credentials` of many identities; a service that lists them together says so here."""
        asked = list(sources)
        return dict(zip(asked, self.context.each(self.credentials, asked), strict=True))

    @abstractmethod
    def issue(self, source: Address, stored: str | None) -> Issued:
        """One more credential at an identity that exists. `stored` names the one that was stored last, if any is known.

        Two at most stand there afterwards: where there is no room, the oldest that is not `stored` makes it.
        """

    @abstractmethod
    def prove(self, source: Address, issued: Issued) -> None:
        """Make sure that a credential can push to its own repository; raises TryAgain where it is too new to work."""

    @abstractmethod
    def revoke(self, source: Address, keep: str | None) -> None:
        """Revoke all credentials of an identity but one, or all (None); nothing where there is none to revoke."""

    def recall(self, source: Address, key: str) -> Issued | None:
        """A credential that stands, where its service shows it again; None where it is shown once, or is not there."""
        return None

    def last_used(self, credential: Credential) -> datetime | None:
        """When a credential last let somebody in; None where it never did, and where nobody tells."""
        return credential.last_used
