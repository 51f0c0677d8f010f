"""Docker Hub: tags are read there, and an operator's own login to push with is proved; fleet makes nothing.

A HEAD of a manifest is no pull and uses up no pull limit, and that is how tags are looked up. Source:
https://docs.docker.com/docker-hub/usage/pulls/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from fleet.provider import (
    Address,
    Context,
    Credentials,
    Frozen,
    Home,
    ImageReference,
    Limits,
    Login,
    OciClient,
    Registry,
    RegistryImage,
    Secret,
    SecretRef,
    SecretSource,
    Settings,
    Url,
    host_of,
    is_name,
    split_host,
)

LOGIN = "login"
"""Not a kind that is planned: names the operator's own login, for one repository, where a secret is revealed."""
PASSWORD = "password"  # noqa: S105 - the name of a field

_LONGEST = 255

Text = Annotated[str, StringConstraints(min_length=1)]


class OwnLogin(Frozen):
    """A user name and a password."""

    username: Text = Field(description="The user name; the organisation's name for an organisation's access token.")
    password: SecretSource = Field(description="Where the password, or better an access token, is found.")


def _not_keyless(value: object) -> object:
    if value == "keyless":
        raise ValueError("fleet knows no keyless push for Docker Hub; write a login {username: …, password: …}")
    return value


class DockerHubSettings(Settings):
    """Docker Hub, for reading and for an operator's own login."""

    model_config = ConfigDict(strict=True)

    type: Literal["dockerhub"] = Field(description="Docker Hub.")
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$")] = Field(
        description="The organisation or user that owns the repositories."
    )
    url: Url = Field(default="https://docker.io", description="Where the registry is served.")
    auth: OwnLogin | None = Field(default=None, description="The login for reading; absent: that of push, or nobody.")
    push: Annotated[OwnLogin | None, BeforeValidator(_not_keyless)] = Field(
        default=None, description="The login that builds push with."
    )


class DockerHub(Registry):
    """docker.io."""

    settings: ClassVar[type[Settings]] = DockerHubSettings
    limits = Limits(at_once=4)

    def __init__(self, name: str, settings: DockerHubSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._http = context.http()

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return split_host(f"{host_of(self._settings.url)}/any/name")[0]

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives; raises ValueError for a name that Docker Hub won't take, and without a login."""
        path = f"{self._settings.namespace}/{image.name}"
        name = f"{self.host}/{path}"
        if "/" in image.name or not is_name(name) or not 2 <= len(image.name) <= _LONGEST:
            raise ValueError(
                f"Docker Hub cannot take {image.name!r} as the name of a repository: write 2 to {_LONGEST} lower-case "
                "letters and digits, with . _ - between them"
            )
        if self._settings.push is None:
            raise ValueError(
                f"fleet issues no credentials in {self.host}: write `push: {{username: …, password: …}}` for "
                f"{self.name}, an access token of Docker Hub as the password"
            )
        ref = SecretRef(source=Address(self.name, LOGIN, path), field=PASSWORD)
        notes: tuple[str, ...] = ()
        if image.visibility == "private":
            step = (
                f"make {path} as a private repository in Docker Hub before the first build: a push makes a public one"
            )
            notes = (f"{step}.",)
        return Home(name, (), Login.stored(self._settings.push.username, ref), notes)

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self._settings.push
        if push is None or (ref.source.kind, ref.field) != (LOGIN, PASSWORD):
            return super().reveal(ref)
        login = Credentials(push.username, self.context.secret(push.password))
        self._client.prove_push(ref.source.name, login)
        return login.password

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this login may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    @cached_property
    def _client(self) -> OciClient:
        login = self._settings.auth or self._settings.push
        credentials = Credentials(login.username, self.context.secret(login.password)) if login else None
        return OciClient(self._settings.url, self._http, credentials)
