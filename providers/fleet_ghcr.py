"""GitHub's container registry: builds push with the token that their own run is given, so that nothing is made or kept.

A package appears with its first push. GitHub links it to the repository whose run pushed it, gives it that repository's
visibility and rights, and lets no other repository's run push there. Source:
https://docs.github.com/packages/managing-github-packages-using-github-actions-workflows
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from fleet.provider import (
    Context,
    Credentials,
    Frozen,
    Home,
    Limits,
    Login,
    OciClient,
    OciRegistry,
    OwnLogin,
    RegistryImage,
    SecretSource,
    Settings,
    Url,
    host_of,
    is_name,
)

RUN = Login(
    username="${{ github.actor }}",
    password="${{ secrets.GITHUB_TOKEN }}",  # noqa: S106 - an expression
    permissions={"packages": "write"},
)
"""How a build logs in with its own run's token, which GitHub makes for the run and takes back after it."""

LABELS = {"org.opencontainers.image.source": "${{ github.server_url }}/${{ github.repository }}"}
"""What links a package to its source repository, whoever pushes it first.
https://docs.github.com/packages/learn-github-packages/connecting-a-repository-to-a-package
"""


class TokenAuth(Frozen):
    """A token."""

    token: SecretSource = Field(description="Where the token is found.")


def _owner(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", name):
        raise ValueError(f"{name!r} cannot be an organisation or user of GitHub")
    return name


class GhcrSettings(Settings):
    """GitHub's container registry: builds push with the token that their run is given."""

    model_config = ConfigDict(strict=True)

    type: Literal["ghcr"] = Field(description="GitHub Container Registry.")
    owner: Annotated[str, AfterValidator(_owner)] = Field(
        description="The organisation or user that owns the packages."
    )
    url: Url = Field(default="https://ghcr.io", description="Where the registry is served.")
    auth: TokenAuth | None = Field(default=None, description="A classic token (read:packages); absent: anonymous.")
    push: OwnLogin | Literal["keyless"] | None = Field(
        default=None,
        description="An own login that builds push with (a classic token with write:packages); absent, or `keyless`: "
        "their run's GITHUB_TOKEN.",
    )


class Ghcr(OciRegistry):
    """ghcr.io, or the container registry of a GitHub Enterprise Server."""

    settings: ClassVar[type[Settings]] = GhcrSettings
    limits = Limits(at_once=8)

    def __init__(self, name: str, settings: GhcrSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._http = context.http()

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return host_of(self._settings.url)

    @property
    def own_login(self) -> OwnLogin | None:
        """That of `push:`."""
        return self._settings.push if isinstance(self._settings.push, OwnLogin) else None

    def home(self, image: RegistryImage) -> Home:
        """Where an image lives; raises ValueError for a name that is none, and for a source that could not push."""
        owner = self._settings.owner.lower()  # image names have no capitals, and GitHub's owners are one in any case
        path = f"{owner}/{image.name}"
        name = f"{self.host}/{path}"
        if not is_name(name):
            raise ValueError(
                f"{path!r} cannot be the name of an image: write lower-case letters, digits, and . _ - / between"
            )
        if isinstance(self._settings.push, OwnLogin):
            ref = OwnLogin.reference(self.name, path)
            return Home(name, (), Login.stored(self._settings.push.username, ref), self._notes(image), LABELS)
        other = (image.source or owner).partition("/")[0]
        if other.lower() != owner:
            raise ValueError(
                f"a build of {image.source} can push to packages of {other} only, not to {name}: write "
                f"`owner: {other}` for {self.name}, or an own login (push: {{username: …, password: …}})"
            )
        return Home(name, (), RUN, self._notes(image), LABELS)

    def _notes(self, image: RegistryImage) -> tuple[str, ...]:
        """The one step that no API offers: https://docs.github.com/rest/packages/packages has none for visibility."""
        if image.source is None or image.visibility != "public":
            return ()
        web = "github.com" if self.host == "ghcr.io" else self.host.removeprefix("containers.")
        return (
            f"the package {image.name} may be private after its first push, and only a person can change that: at "
            f"https://{web}/{image.source}/pkgs/container/{image.name.replace('/', '%2F')}, under Package settings, "
            "Change visibility. Until then hubs cannot pull it.",
        )

    @cached_property
    def client(self) -> OciClient:
        """For reading: GitHub takes any user name with a token; the packages' owner says most in a message."""
        auth, push = self._settings.auth, self._settings.push
        credentials = None
        if auth is not None:
            credentials = Credentials(self._settings.owner, self.context.secret(auth.token))
        elif isinstance(push, OwnLogin):
            credentials = push.credentials(self.context)
        return OciClient(self._settings.url, self._http, credentials)
