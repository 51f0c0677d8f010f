"""Amazon ECR: a registry repository for each image, and an identity that may push there and nowhere else.

The identity is a role that only the builds of the image's source repository can assume, on its default branch: nothing
secret is kept. Where that cannot be, it is a user with an access key, or an operator's own key. The tag `fleet` says
whose a repository, a role or a user is; the account's trust in GitHub Actions is everybody's, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from fleet.provider import (
    Address,
    Change,
    Context,
    Credential,
    Home,
    ImageReference,
    Issued,
    Issuer,
    Limits,
    LoginStep,
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
    split_host,
)
from fleet_ecr import logins
from fleet_ecr.aws import Aws
from fleet_ecr.identities import Identities
from fleet_ecr.keys import SECRET, Keys, docker_login
from fleet_ecr.policies import ISSUER, subject_of
from fleet_ecr.repositories import Repositories
from fleet_ecr.specs import (
    ISSUERS,
    REPOSITORY,
    ROLE,
    USER,
    EcrSettings,
    IdentityProvider,
    Names,
    Repository,
    Role,
    User,
    check_name,
)


class Ecr(Registry, Issuer):
    """The private registry of one AWS account in one region."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {
        REPOSITORY: Repository,
        ISSUERS: IdentityProvider,
        ROLE: Role,
        USER: User,
    }
    settings: ClassVar[type[Settings]] = EcrSettings
    issuing: ClassVar[frozenset[str]] = frozenset({USER})
    tells_use: ClassVar[bool] = True
    limits = Limits(at_once=8, attempts=8)

    def __init__(self, name: str, settings: EcrSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._names = Names(settings)
        self._aws = Aws(settings, context)
        self._repositories = Repositories(self._aws, settings, context)
        self._identities = Identities(self._aws, self._names, context)
        self._keys = Keys(self._aws, lambda: OciClient(self._names.registry, context.http()))

    @classmethod
    def job_login(cls, settings: EcrSettings) -> LoginStep:
        """A role that trusts the job's environment."""
        return logins.of_job(settings.region)

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return self._names.host

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives and who may push it; raises ValueError for a name ECR won't take."""
        short = f"{self._settings.prefix}/{image.name}" if self._settings.prefix else image.name
        check_name(short)
        name = f"{self.host}/{short}"
        repository = Resource(Address(self.name, REPOSITORY, short), self._wanted())
        push = self._settings.push
        if isinstance(push, OwnLogin):
            ref = OwnLogin.reference(self.name, short)
            return Home(name, (repository,), logins.own(self._names, push.username, ref))
        identity = self._names.identity(short)
        if push == "key":
            wanted = User(owner=self.context.fleet, pushes_to=short)
            user = Resource(Address(self.name, USER, identity), wanted, (repository.address,))
            return Home(name, (repository, user), logins.with_key(self._names, user.address))
        issuer = Resource(Address(self.name, ISSUERS, ISSUER), IdentityProvider())
        role = Resource(
            Address(self.name, ROLE, identity),
            Role(owner=self.context.fleet, pushes_to=short, trusts=subject_of(self._source(image), image.branch)),
            (repository.address, issuer.address),
        )
        return Home(name, (repository, issuer, role), logins.keyless(self._names, identity))

    def cost(self, change: Change) -> int:
        """About how many requests a change takes."""
        if change.before is None:
            return 2
        return 4 if change.address.kind == REPOSITORY else 7

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands there: a listing of repositories, one of roles or users, and one request for each repository."""
        self._aws.check_account()
        found: dict[Address, Spec] = {}
        for kind in dict.fromkeys(address.kind for address in addresses):
            of_kind = {address.name: address for address in addresses if address.kind == kind}
            standing: Mapping[str, Spec]
            if kind == REPOSITORY:
                standing = self._repositories.read(of_kind)
            elif kind == ISSUERS:
                issuer = self._identities.read_issuer()
                standing = {ISSUER: issuer} if issuer else {}
            else:
                standing = self._identities.read(kind, of_kind)
            found |= {of_kind[name]: spec for name, spec in standing.items() if name in of_kind}
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each thing what it is to be."""
        self._aws.check_account()
        for change in changes:
            kind, name, is_new = change.address.kind, change.address.name, change.before is None
            match change.after:
                case Repository() as wanted:
                    self._repositories.make(name, wanted, is_new=is_new)
                case Role() | User() as identity:
                    self._identities.make(kind, name, identity, is_new=is_new)
                case IdentityProvider():
                    self._identities.make_issuer()
                case _:
                    self._forget(kind, name)

    def credentials(self, source: Address) -> Sequence[Credential]:
        """The access keys of a user, oldest first: one request."""
        return self._keys.standing(source)

    def issue(self, source: Address, stored: str | None) -> Issued:
        """A second access key of a user, or its first."""
        self._aws.check_account()
        return self._keys.issue(source, stored)

    def prove(self, source: Address, issued: Issued) -> None:
        """Begin a push with a key and give it up, and see that the key is denied a neighbour."""
        login = self._aws.with_key(issued.key, issued.values[SECRET])
        names = self._repositories.all_names()
        own = next((name for name in names if self._names.identity(name) == source.name), None)
        if own is None:
            raise ProviderError(f"the repository that {source.name} pushes to is gone from ECR; plan and apply")
        neighbour = next((name for name in names if name != own), None)
        self._keys.prove(login, own, neighbour, is_new=True)

    def revoke(self, source: Address, keep: str | None) -> None:
        """Delete all access keys of a user but one, or all."""
        self._keys.revoke(source, keep)

    def last_used(self, credential: Credential) -> datetime | None:
        """When an access key last signed a request, to within some minutes: one request."""
        return self._keys.last_used(credential.key)

    def reveal(self, ref: SecretRef) -> Secret:
        """The secret part of the operator's own key, proved to push to the repository that `ref` names."""
        push = self._settings.push
        if not isinstance(push, OwnLogin) or not OwnLogin.is_asked_for(ref):
            return super().reveal(ref)
        secret = self.context.secret(push.password)
        self._keys.prove(self._aws.with_key(push.username, secret), ref.source.name, None, is_new=False)
        return secret

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag: one request for a login, and one for each tag."""
        return self._client.digests(references, self.context.each)

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self._client.platforms_of(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, newest first: AWS sorts nothing, so all pages are read, a thousand images each."""
        yield from self._repositories.tags(split_host(name)[1])

    @cached_property
    def _client(self) -> OciClient:
        return OciClient(self._names.registry, self.context.http(), docker_login(self._aws))

    def _wanted(self) -> Repository:
        mutability = "IMMUTABLE" if self._settings.immutable else "MUTABLE"
        return Repository(
            owner=self.context.fleet, mutability=mutability, scan=self._settings.scan, keep=self._settings.keep
        )

    def _source(self, image: RegistryImage) -> str:
        source = image.source or (self._settings.source or "").replace("{image}", image.name)
        if not source or source.startswith((".", "/")):
            raise ValueError(
                f"a role is assumed by the builds of one GitHub repository: write `repository:` for {image.key}, "
                f"`source:` for {self.name}, or `push: key`"
            )
        return source

    def _forget(self, kind: str, name: str) -> None:
        if kind == REPOSITORY:
            self._repositories.forget(name)
        elif kind != ISSUERS:
            self._identities.forget(kind, name)
