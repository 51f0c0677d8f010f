"""What Artifact Registry and the gcr.io hosts have in common: repositories, rights in them, and how builds log in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from fleet.provider import (
    Address,
    Change,
    Conflict,
    Context,
    Credentials,
    Home,
    ImageReference,
    Limits,
    Login,
    LoginStep,
    OciClient,
    ProviderError,
    Registry,
    RegistryImage,
    Resource,
    Reveal,
    Secret,
    SecretRef,
    Spec,
)
from fleet_google.artifacts import Artifacts, spec_of
from fleet_google.iam import Iam
from fleet_google.login import GoogleLogin
from fleet_google.settings import (
    GoogleSettings,
    OwnLogin,
)
from fleet_google.specs import (
    Grant,
    HostRepository,
    Pool,
    PoolProvider,
    Repository,
    federated,
    provider_id,
    source_key,
)

REPOSITORY = "repository"
WRITER = "writer"
POOL = "pool"
PROVIDER = "provider"
LOGIN = "login"
"""Not a kind that is planned: names an operator's own login, for one image, where a secret is revealed."""
PASSWORD = "password"  # noqa: S105 - the name of a field

TOKEN_USER = "oauth2accesstoken"  # noqa: S105 - a user name
"""The user name that goes with an access token: https://cloud.google.com/artifact-registry/docs/docker/authentication"""


class GoogleRegistry(Registry):
    """What Artifact Registry and the gcr.io hosts have in common."""

    # 60,000 requests a minute and project: https://cloud.google.com/artifact-registry/quotas
    limits = Limits(at_once=8, attempts=8)
    is_shared = False
    """Whether the repository is everybody's, so that it has no owner."""

    def __init__(self, name: str, settings: GoogleSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._google = settings
        self._login = GoogleLogin(settings.auth, settings.project, context)
        self._iam = Iam(self._login, settings.url)
        self._http = context.http()

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the repositories lie."""

    @cached_property
    def _artifacts(self) -> Artifacts:
        return Artifacts(self._login, self.location, self._google.url)

    def together(self, address: Address) -> str:
        """A repository and the rights in it are one group, so that it is never unclear whose a right is."""
        if address.kind in (REPOSITORY, WRITER):
            return "/".join(address.name.split("/")[:2])
        return str(address)

    def cost(self, change: Change) -> int:
        """About how many requests a change takes."""
        return 3 if change.address.kind == WRITER else 2

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """What stands there: one listing of repositories, and a policy for each repository with rights of ours."""
        found: dict[Address, Spec] = {}
        for address in addresses:
            standing: Spec | None = None
            if address.kind == POOL:
                standing = self._iam.pool(address.name)
            elif address.kind == PROVIDER:
                standing = self._iam.provider(*address.name.split("/"))
            if standing is not None:
                found[address] = standing
        inside = [address for address in addresses if address.kind in (REPOSITORY, WRITER)]
        return found | self._read_repositories(inside) if inside else found

    def _read_repositories(self, addresses: Collection[Address]) -> dict[Address, Spec]:
        listed = self._artifacts.repositories({_repository_of(address) for address in addresses})
        standing = {name: spec_of(repository) for name, repository in listed.items()}
        found: dict[Address, Spec] = {}
        members: dict[str, dict[Address, str]] = {}
        for address in addresses:
            name = _repository_of(address)
            if name not in standing:
                continue
            if address.kind == REPOSITORY:
                found[address] = self._as_planned(standing[name])
            else:
                members.setdefault(name, {})[address] = self._member(address)

        def roles(name: str) -> Mapping[str, tuple[str, ...]]:
            return self._artifacts.roles(name, members[name].values())

        for name, held in zip(members, self.context.each(roles, members), strict=True):
            for address, member in members[name].items():
                if held[member]:
                    found[address] = Grant(owner=self._owner(standing[name]), roles=held[member])
        return found

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Make each thing what it is to be; rights come after their repository, and leave before its marker does."""
        for change in sorted(changes, key=_turn):
            match change.address.kind, change.after:
                case "pool", Pool():
                    self._iam.make_pool(change.address.name)
                case "provider", PoolProvider() as wanted:
                    pool, _, name = change.address.name.partition("/")
                    self._iam.make_provider(pool, name, wanted)
                case "repository", Repository() as wanted:
                    self._make_repository(_repository_of(change.address), wanted, look=change.before is not None)
                case "repository", HostRepository():
                    self._artifacts.create(_repository_of(change.address), Repository())
                case "repository", None:
                    self._forget_repository(_repository_of(change.address))
                case "writer", Grant() as wanted:
                    self._set_roles(change.address, wanted.roles)
                case "writer", None:
                    self._set_roles(change.address, ())
                case _:
                    raise LookupError(f"Artifact Registry has no {change.address.kind} that could be so")

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self._google.push
        if not isinstance(push, OwnLogin) or (ref.source.kind, ref.field) != (LOGIN, PASSWORD):
            return super().reveal(ref)
        login = Credentials(push.username, self.context.secret(push.password))
        self._client.prove_push(ref.source.name, login)
        return login.password

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what fleet's login may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    @property
    def _client(self) -> OciClient:
        """A client with a token that works now; where it comes from renews it."""
        url = self._google.url or f"https://{self.host}"
        return OciClient(url, self._http, Credentials(TOKEN_USER, self._login.token()))

    def _home(self, repository: Resource, path: str, image: RegistryImage) -> Home:
        """Where an image lives in a repository, with the login that the settings ask for."""
        name = f"{self.host}/{path}"
        notes = (f"{self._warning(image)}",) if self._google.shared else ()
        if isinstance(self._google.push, OwnLogin):
            ref = SecretRef(source=Address(self.name, LOGIN, path), field=PASSWORD)
            return Home(name, (repository,), Login.stored(self._google.push.username, ref), notes)
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
        owner = source.partition("/")[0]
        pool = Resource(Address(self.name, POOL, self._google.pool), Pool())
        federation = self._google.provider or provider_id(owner)
        provider = Resource(
            Address(self.name, PROVIDER, f"{self._google.pool}/{federation}"),
            PoolProvider(condition=f"assertion.repository_owner == '{owner}'"),
            (pool.address,),
        )
        writer = Resource(
            Address(self.name, WRITER, f"{repository.address.name}/{source_key(source, image.branch)}"),
            Grant(owner=self.context.fleet),
            (pool.address, repository.address),
        )
        return Home(name, (pool, provider, repository, writer), self._keyless(federation), notes)

    def _keyless(self, provider: str) -> Login:
        """How a build logs in with its own identity; nothing is stored, and no file of it comes into the image."""
        pools = f"projects/{self._google.project_number}/locations/global/workloadIdentityPools"
        step = LoginStep(
            "Log in to Google Cloud",
            "google-auth",
            "google",
            {
                "project_id": self._google.project,
                "workload_identity_provider": f"{pools}/{self._google.pool}/providers/{provider}",
                "create_credentials_file": "false",
            },
        )
        # Without a service account the action has no `access_token`: `auth_token` is the federated one.
        password = "${{ steps.google.outputs.auth_token }}"  # noqa: S105 - an expression
        return Login(TOKEN_USER, password, permissions={"id-token": "write"}, steps=(step,))

    def _warning(self, image: RegistryImage) -> str:
        return (
            f"the builds of {image.key} may push to every image in their repository of {self.host}, because it is "
            'shared; `type: gar` with `repository: "{image}"` keeps them apart'
        )

    def _as_planned(self, standing: Repository) -> Spec:
        return HostRepository(format=standing.format) if self.is_shared else standing

    def _owner(self, standing: Repository) -> str | None:
        """Whose the rights in a repository are; in one that is everybody's, a source repository names its fleet."""
        return self.context.fleet if self.is_shared else standing.owner

    def _member(self, address: Address) -> str:
        key = address.name.split("/", 2)[2]
        return federated(self._google.project_number or "", self._google.pool, key)

    def _make_repository(self, name: str, wanted: Repository, *, look: bool) -> None:
        standing = self._artifacts.repository(name) if look else None
        if standing is None:
            if self._artifacts.create(name, wanted):
                return
            standing = self._artifacts.repository(name)
            if standing is None:
                raise Conflict(f"the repository {name} comes and goes: somebody else is at work on it")
        self._refuse_foreign(name, spec_of(standing))
        if spec_of(standing) != wanted:
            self._artifacts.update(name, standing, wanted)

    def _forget_repository(self, name: str) -> None:
        standing = self._artifacts.repository(name)
        if standing is not None and spec_of(standing).owner == self.context.fleet:
            self._artifacts.update(name, standing, spec_of(standing).model_copy(update={"owner": None}))

    def _set_roles(self, address: Address, roles: Collection[str]) -> None:
        name = _repository_of(address)
        standing = self._artifacts.repository(name)
        if standing is None:
            if roles:
                raise Conflict(f"the repository {name} is gone: somebody else is at work on it")
            return
        if not self.is_shared:
            self._refuse_foreign(name, spec_of(standing))
        self._artifacts.set_roles(name, self._member(address), roles)

    def _refuse_foreign(self, name: str, standing: Repository) -> None:
        if standing.owner not in (None, self.context.fleet):
            raise ProviderError(f"the repository {name} belongs to the fleet {standing.owner}")
        if standing.format != Repository().format:
            raise ProviderError(f"the repository {name} is for {standing.format}, and so takes no images of fleet's")


def _repository_of(address: Address) -> str:
    return address.name.split("/")[1]


def _turn(change: Change) -> tuple[bool, bool]:
    """Rights leave before their repository's marker does, and come after the repository."""
    leaving = change.after is None
    return leaving, (change.address.kind == WRITER) != leaving
