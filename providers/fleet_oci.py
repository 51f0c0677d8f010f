"""Any registry that speaks the OCI distribution protocol: it is read, and an operator's own login is proved there.

It has no API for repositories or credentials, so nothing is made: a repository appears with its first push.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from fleet.provider import (
    Context,
    Home,
    Limits,
    Login,
    OciClient,
    OciRegistry,
    OwnLogin,
    RegistryImage,
    Settings,
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


class Oci(OciRegistry):
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

    @property
    def own_login(self) -> OwnLogin | None:
        """That of `push:`."""
        return self._settings.push

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

    @cached_property
    def client(self) -> OciClient:
        login = self._settings.auth or self._settings.push
        return OciClient(self._settings.url, self._http, login.credentials(self.context) if login else None)
