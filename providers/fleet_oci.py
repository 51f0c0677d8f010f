"""Any registry that speaks the OCI distribution protocol: it is read, and an operator's own login is proved there.

It has no API for repositories or credentials, so nothing is made: a repository appears with its first push.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from fleet.provider import (
    Context,
    Home,
    ImageReference,
    Limits,
    Login,
    OciClient,
    OwnLogin,
    Registry,
    RegistryImage,
    Secret,
    SecretRef,
    Settings,
    Tag,
    Url,
    host_of,
    is_name,
    no_keyless,
    split_host,
)


def _without_path(url: str) -> str:
    if url.rstrip("/").count("/") > 2:
        raise ValueError(f"a registry is served at the root of its host; write `namespace:` for what follows in {url}")
    return url


class OciSettings(Settings):
    """Any registry that speaks the OCI distribution protocol."""

    model_config = ConfigDict(strict=True)

    type: Literal["oci"] = Field(description="Any OCI distribution registry.")
    url: Annotated[Url, AfterValidator(_without_path)] = Field(
        description="Where the registry is served; its host is the first part of its images' names."
    )
    namespace: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None, description="What stands before each image's name."
    )
    auth: OwnLogin | None = Field(default=None, description="The login for reading; absent: that of push, or nobody.")
    push: Annotated[
        OwnLogin | None,
        no_keyless("fleet knows no keyless push for this registry; write a login {username: …, password: …}"),
    ] = Field(default=None, description="The login that builds push with.")


class Oci(Registry):
    """Any OCI registry."""

    settings: ClassVar[type[Settings]] = OciSettings
    limits = Limits(at_once=8)

    def __init__(self, name: str, settings: OciSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._http = context.http()

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return split_host(f"{host_of(self._settings.url)}/any/name")[0]

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives; raises ValueError for a name that is none, and without a login to push with."""
        path = f"{self._settings.namespace}/{image.name}" if self._settings.namespace else image.name
        host, repository = split_host(f"{host_of(self._settings.url)}/{path}")
        name = f"{host}/{repository}"
        if not is_name(name):
            raise ValueError(
                f"{path!r} cannot be the name of an image: write lower-case letters, digits, and . _ - / between"
            )
        if self._settings.push is None:
            raise ValueError(
                f"fleet cannot issue credentials in {host}: write `push: {{username: …, password: …}}` for {self.name}"
            )
        ref = OwnLogin.reference(self.name, repository)
        return Home(name, (), Login.stored(self._settings.push.username, ref))

    def reveal(self, ref: SecretRef) -> Secret:
        """The operator's own password, proved to push to the repository that `ref` names before it leaves."""
        push = self._settings.push
        if push is None or not OwnLogin.is_asked_for(ref):
            return super().reveal(ref)
        login = push.credentials(self.context)
        self._client.prove_push(ref.source.name, login)
        return login.password

    def resolve(self, references: Collection[ImageReference]) -> Mapping[ImageReference, str]:
        """The digest of each tag, with what this login may see; one request per tag."""
        return self._client.digests(references, self.context.each)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, those first whose images were made last; two to four requests for each."""
        return self._client.newest(split_host(name)[1], self.context.each)

    def platforms(self, references: Collection[ImageReference]) -> Mapping[ImageReference, Sequence[str]]:
        """What images run on; two requests for each."""
        return self._client.platforms_of(references, self.context.each)

    @cached_property
    def _client(self) -> OciClient:
        login = self._settings.auth or self._settings.push
        return OciClient(self._settings.url, self._http, login.credentials(self.context) if login else None)
