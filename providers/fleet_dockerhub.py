"""Docker Hub: tags are read there, and an operator's own login to push with is proved; fleet makes nothing.

A HEAD of a manifest is no pull and uses up no pull limit, and that is how tags are looked up. Source:
https://docs.docker.com/docker-hub/usage/pulls/
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fleet.provider import (
    Ask,
    Context,
    Home,
    Limits,
    Login,
    OciClient,
    OciRegistry,
    OwnLogin,
    ProviderError,
    Registry,
    RegistryImage,
    Secret,
    Settings,
    Tag,
    TryAgain,
    Unsure,
    Url,
    host_of,
    is_name,
    no_keyless,
    split_host,
)

_LONGEST = 255


def _namespace(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?", name):
        raise ValueError(f"a namespace of Docker Hub is lower-case letters and digits, and not {name!r}")
    return name


class DockerHubSettings(Settings):
    """Docker Hub, for reading and for an operator's own login."""

    model_config = ConfigDict(strict=True)

    type: Literal["dockerhub"] = Field(description="Docker Hub.")
    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        description="The organisation or user that owns the repositories."
    )
    url: Url = Field(default="https://docker.io", description="Where the registry is served.")
    api: Url = Field(default="https://hub.docker.com", description="Where Docker Hub's own API is served.")
    auth: OwnLogin | None = Field(default=None, description="The login for reading; absent: that of push, or nobody.")
    push: Annotated[
        OwnLogin | None,
        no_keyless("fleet knows no keyless push for Docker Hub; write a login {username: …, password: …}"),
    ] = Field(
        default=None,
        description="The login that builds push with; the user name of an organisation's access token is its own name.",
    )


class _Entry(BaseModel):
    """A tag as Docker Hub lists it; there is more that does not matter here."""

    name: str
    digest: str | None = None
    last_updated: datetime | None = None


class _Page(BaseModel):
    """A page of tags; https://docs.docker.com/reference/api/hub/latest/"""

    results: tuple[_Entry, ...]
    next: str | None = None


class DockerHub(OciRegistry):
    """docker.io."""

    settings: ClassVar[type[Settings]] = DockerHubSettings
    limits = Limits(at_once=4)

    def __init__(self, name: str, settings: DockerHubSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._settings = settings
        self._http = context.http()
        self._lock = threading.Lock()
        self._token: Secret | None = None

    @property
    def host(self) -> str:
        """The host in an image's name."""
        return split_host(f"{host_of(self._settings.url)}/any/name")[0]

    @property
    def own_login(self) -> OwnLogin | None:
        """That of `push:`."""
        return self._settings.push

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
        ref = OwnLogin.reference(self.name, path)
        notes: tuple[str, ...] = ()
        if image.visibility == "private":
            step = (
                f"make {path} as a private repository in Docker Hub before the first build: a push makes a public one"
            )
            notes = (f"{step}.",)
        return Home(name, (), Login.stored(self._settings.push.username, ref), notes)

    def tags(self, name: str) -> Iterator[Tag]:
        """The tags of an image, newest first, a page of a hundred at a time as they are asked for."""
        namespace, _, repository = split_host(name)[1].partition("/")
        url: str | None = (
            f"{self._api}/v2/namespaces/{namespace}/repositories/{repository}/tags?page_size=100&ordering=last_updated"
        )
        while url is not None:
            page = self._page(url)
            for entry in page.results:
                if entry.digest and entry.last_updated:  # what was pushed before Docker Hub kept digests has none
                    yield Tag(entry.name, entry.digest, entry.last_updated)
            url = page.next
            if url is not None and host_of(url) != host_of(self._api):  # our login stays with Docker Hub
                raise ProviderError(f"{host_of(self._api)} sends the next page of tags to another host: {host_of(url)}")

    latest = Registry.latest  # here a request dates a hundred tags

    def _page(self, url: str) -> _Page:
        answer = self._http.send(Ask("GET", url, self._headers()))
        if answer.status == 404:
            return _Page(results=())
        if answer.status != 200:
            raise ProviderError(f"{host_of(url)} does not show these tags to this login ({answer.status})")
        try:
            return _Page.model_validate_json(answer.body)
        except ValidationError:
            raise TryAgain(f"{host_of(url)} sends something that is no page of tags") from None

    def _headers(self) -> dict[str, str]:
        """A token of Docker Hub's own API, which is another one than the registry's; none without a login."""
        login = self._settings.auth or self._settings.push
        if login is None:
            return {}
        with self._lock:
            if self._token is None:
                self._token = self._log_in(login)
            return {"authorization": f"Bearer {self._token.expose()}"}

    def _log_in(self, login: OwnLogin) -> Secret:
        body = json.dumps({"identifier": login.username, "secret": self.context.secret(login.password).expose()})
        headers = {"content-type": "application/json"}
        try:
            answer = self._http.send(Ask("POST", f"{self._api}/v2/auth/token", headers, body.encode()))
        except Unsure as error:  # logging in twice does no harm
            raise TryAgain(str(error)) from error
        document = answer.json() if answer.status == 200 else None
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token:
            raise ProviderError(
                f"{host_of(self._api)} refuses the login {login.username} ({answer.status}): user name or token are "
                "wrong, or were revoked"
            )
        return Secret(token)

    @property
    def _api(self) -> str:
        return self._settings.api.rstrip("/")

    @cached_property
    def client(self) -> OciClient:
        login = self._settings.auth or self._settings.push
        return OciClient(self._settings.url, self._http, login.credentials(self.context) if login else None)
