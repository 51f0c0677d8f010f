"""What Artifact Registry and the gcr.io hosts have in common: a home for each image, and how its builds log in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar
from urllib.parse import unquote

from fleet.provider import (
    Address,
    Change,
    Context,
    Credential,
    Credentials,
    Home,
    ImageReference,
    Issued,
    Issuer,
    Limits,
    Login,
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
    Spec,
    Tag,
)
from fleet_google import keys
from fleet_google.artifacts import Artifacts
from fleet_google.iam import Iam
from fleet_google.login import GoogleLogin
from fleet_google.logins import TOKEN_USER, keyless, of_job, with_key
from fleet_google.making import make
from fleet_google.place import ACCOUNT, INSIDE, POOL, PROVIDER, WRITER, Place, group_of
from fleet_google.preflight import preflight
from fleet_google.reading import read
from fleet_google.settings import GoogleSettings
from fleet_google.specs import (
    Account,
    Grant,
    Pool,
    PoolProvider,
    account_id,
    check_subject,
    provider_id,
    source_key,
)


class GoogleRegistry(Registry, Issuer):
    """Repositories of Artifact Registry, under whatever host they are served."""

    # 60,000 requests a minute and project: https://cloud.google.com/artifact-registry/quotas
    limits = Limits(at_once=8, attempts=8)
    issuing: ClassVar[frozenset[str]] = frozenset({ACCOUNT})
    is_shared: ClassVar[bool] = False
    """Whether the repository is everybody's, so that it has no owner."""

    def __init__(self, name: str, settings: GoogleSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._google = settings
        self._login = GoogleLogin(settings.auth, settings.project, context)
        self._http = context.http()

    @classmethod
    def job_login(cls, settings: GoogleSettings) -> LoginStep | None:
        """The identity of the job's environment, where fleet.yaml names no login."""
        return of_job(settings)

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the repositories lie."""

    @cached_property
    def _place(self) -> Place:
        artifacts = Artifacts(self._login, self.location, self._google.url)
        return Place(self._google, self.context.fleet, artifacts, Iam(self._login, self._google.url), self.is_shared)

    def together(self, address: Address) -> str:
        """A repository and the rights in it are one group, so that it is never unclear whose a right is."""
        return group_of(address) if address.kind in INSIDE else str(address)

    def cost(self, change: Change) -> int:
        """About how many requests a change takes."""
        return {ACCOUNT: 5, WRITER: 3}.get(change.address.kind, 2)

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands there: one listing of repositories, and a policy for each repository with rights of ours."""
        return read(self._place, addresses, self.context.each)

    def preflight(self, changes: Collection[Change]) -> Mapping[Address, Objection]:
        """What fleet's login may not do in the project: one request, where anything is to be made there."""
        return preflight(self._login, self._google.url, changes)

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each thing what it is to be; rights come after their repository, and leave before its marker does."""
        make(self._place, changes)

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self._google.push
        if not isinstance(push, OwnLogin) or not OwnLogin.is_asked_for(ref):
            return super().reveal(ref)
        login = push.credentials(self.context)
        self._client.prove_push(ref.source.name, login)
        return login.password

    def credentials(self, source: Address) -> Sequence[Credential]:
        """The keys of a service account, oldest first."""
        return keys.standing(self._place, source)

    def issue(self, source: Address, stored: str | None) -> Issued:
        """One more key of a service account; where two are there, the oldest that is not stored makes room."""
        return keys.issue(self._place, source, stored)

    def prove(self, source: Address, issued: Issued) -> None:
        """Begin to push with a key, and ask what it may do elsewhere; of a shared repository there is no elsewhere."""
        keys.prove_push(self._place, source, self._client, issued)
        if not self._google.shared:
            keys.prove_no_more(self._place, source, self.context, issued)

    def revoke(self, source: Address, keep: str | None) -> None:
        """Delete all keys of a service account but one, or all."""
        keys.revoke(self._place, source, keep)

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what fleet's login may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self._client.platforms_of(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, newest first, as they are asked for: 1,000 images of its repository at once."""
        project, repository, image = self._parts(name)
        if project != self._google.project:
            raise ProviderError(
                f"{name} lies in another project than {self.name}, which is that of {self._google.project}"
            )
        for standing in self._place.artifacts.images(repository):
            path, _, digest = unquote(str(standing.name).partition("/dockerImages/")[2]).partition("@")
            if path == image:
                yield from (Tag(tag, digest, standing.upload_time) for tag in standing.tags)

    @abstractmethod
    def _parts(self, name: str) -> tuple[str, str, str]:
        """The project, the repository, and the image in it, of an image's full name."""

    @property
    def _client(self) -> OciClient:
        """A client with a token that works now; where it comes from renews it."""
        url = self._google.url or f"https://{self.host}"
        return OciClient(url, self._http, Credentials(TOKEN_USER, self._login.token()))

    def _home(self, repository: Resource, path: str, image: RegistryImage) -> Home:
        """Where an image lives in a repository, with the login that the settings ask for."""
        name = f"{self.host}/{path}"
        notes = (self._warning(image),) if self._google.shared else ()
        push = self._google.push
        if isinstance(push, OwnLogin):
            return Home(name, (repository,), Login.stored(push.username, OwnLogin.reference(self.name, path)), notes)
        if push == "key":
            place = Address(
                self.name, ACCOUNT, f"{repository.address.name}/{account_id(image.name, repository.address.name)}"
            )
            account = Resource(place, Account(owner=self.context.fleet), (repository.address,))
            return Home(name, (repository, account), with_key(place), notes)
        source = self._source(image)
        owner = source.partition("/")[0]
        federation = self._google.provider or provider_id(owner)
        made = () if self._google.provider else self._federation(federation, owner)
        writer = Resource(
            Address(self.name, WRITER, f"{repository.address.name}/{source_key(source, image.branch)}"),
            Grant(owner=self.context.fleet),
            (repository.address, *(resource.address for resource in made)),
        )
        return Home(name, (*made, repository, writer), keyless(self._google, federation), notes)

    def _source(self, image: RegistryImage) -> str:
        """The source repository whose builds push an image; raises ValueError where they cannot be told apart."""
        source = image.source or (self._google.source or "").replace("{image}", image.name)
        if not source:
            raise ValueError(
                "a push without a stored secret is bound to a source repository: give the image a `repository:`, or "
                f"write `source: OWNER/{{image}}` for {self.name}"
            )
        if self._google.project_number is None:
            raise ValueError(
                f"Google knows builds that push without a stored secret by the project's number: write it for "
                f'{self.name}, `project_number: "…"` (`gcloud projects describe {self._google.project}` shows it)'
            )
        check_subject(source, image.branch)
        return source

    def _federation(self, name: str, owner: str) -> tuple[Resource, Resource]:
        """The pool, and in it the provider that takes GitHub's tokens for an owner's source repositories."""
        pool = Resource(Address(self.name, POOL, self._google.pool), Pool())
        provider = Resource(
            Address(self.name, PROVIDER, f"{self._google.pool}/{name}"),
            PoolProvider(condition=f"assertion.repository_owner == '{owner}'"),
            (pool.address,),
        )
        return pool, provider

    def _warning(self, image: RegistryImage) -> str:
        return (
            f"the builds of {image.key} may push to every image in their repository of {self.host}, because it is "
            'shared; `type: gar` with `repository: "{image}"` keeps them apart'
        )
