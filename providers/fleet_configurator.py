"""The configurator service of one hub: it is read, merged with, written and read back.

Its API has no versions and no checks: a write replaces the whole document, anything is taken, and one key that its
schema lacks stops every server of the hub from starting. So the care is here: no key is written that the served schema
lacks, no setting of anybody else is dropped, and what was written is read again.

Source: the service of jupyterhub-configurator, `GET` and `POST config`, `GET schema`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from fleet.provider import (
    Address,
    Answer,
    Ask,
    Change,
    Conflict,
    Context,
    Frozen,
    HubTarget,
    ImageReference,
    Limits,
    ProviderError,
    Reveal,
    SecretSource,
    Settings,
    SiteReference,
    Spec,
    TryAgain,
    Url,
    full_name,
)

IMAGE = "image"
SLOT = "default"
"""The one slot that a configurator sets."""
TRAIT = "KubeSpawner.image"
"""What the image's field in the schema sets in the hub; in older versions it is the field's own name."""

Document = Mapping[str, Any]


class Token(Frozen):
    """How fleet logs in to the hub."""

    token: SecretSource = Field(description="Where a token of the hub is found.")


class ConfiguratorSettings(Settings):
    """The configurator of one hub; `url` is the service's own, below the hub's."""

    type: Literal["configurator"]
    url: Url
    auth: Token


class Configurator(HubTarget):
    """The hub target that sets a hub's default image through its configurator."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {IMAGE: SiteReference}
    settings: ClassVar[type[Settings]] = ConfiguratorSettings
    limits = Limits(at_once=1)

    def __init__(self, name: str, settings: ConfiguratorSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._url = settings.url.rstrip("/")
        self._token = settings.auth.token
        self._http = context.http()

    def slots(self) -> Mapping[str, Address]:
        """The default slot, and no other."""
        return {SLOT: Address(self.name, IMAGE, SLOT)}

    def cost(self, change: Change) -> int:
        """Schema and settings, the write, and the settings again."""
        return 4

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        """The image that is set, if one is; two requests, of which one proves that the token belongs to an admin."""
        key = self._image_key(self._schema())
        text = self._document().get(key)
        return {address: _spec(str(text)) for address in addresses} if text else {}

    def notices(self, changes: Collection[Change]) -> Sequence[str]:
        """When the image that is set here is moot, which the service does not tell."""
        hub = self.name.partition("/")[2]
        return (
            f"the configurator of {hub} sets the image of servers whose profile sets none; whether {hub} has profiles, "
            "it does not say",
        )

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        """Set the image and leave every other setting as it is.

        The service cannot compare and swap: what somebody else writes in the moment between our reading and our
        writing is lost. What they write after it is found by reading again, and raises Conflict where it concerns us.
        """
        for change in changes:
            assert isinstance(change.after, SiteReference), "what a configurator sets is set anew, never taken away"
            self._set(change.after)

    def _set(self, wanted: SiteReference) -> None:
        schema = self._schema()
        key = self._image_key(schema)
        stands = self._document()
        document = {**stands, key: str(wanted)}
        self._refuse_unknown(document, schema)
        if not _is_set(stands, key, wanted):
            self._send(Ask("POST", f"{self._url}/config", body=json.dumps(document).encode()), "change its settings")
            stands = self._document()
        if not _is_set(stands, key, wanted):
            raise Conflict(
                f"{self._url} says {stands.get(key) or 'nothing'} right after {wanted} was written: somebody else "
                "changes it at the same time; agree with them, and run again"
            )

    def _refuse_unknown(self, document: Document, schema: Document) -> None:
        unknown = [name for name in document if name not in schema]
        if unknown:
            raise ProviderError(
                f"{self._url} holds {', '.join(unknown)}, which its schema lacks: no server of the hub can start while "
                "it does, and fleet neither writes such settings nor takes them away; remove them by hand"
            )

    def _image_key(self, schema: Document) -> str:
        keys = [name for name, field in schema.items() if _trait(name, field) == TRAIT]
        if len(keys) != 1:
            raise ProviderError(
                f"{self._url} offers {'several settings' if keys else 'no setting'} for the image of servers; "
                f"its schema has {', '.join(schema) or 'nothing'}"
            )
        return keys[0]

    def _schema(self) -> Document:
        """The settings that may be written, by key."""
        answer = self._send(Ask("GET", f"{self._url}/schema"), "see its schema")
        document = self._object(answer, "a schema")
        properties = document.get("properties")
        if not isinstance(properties, dict):
            raise ProviderError(f"{answer.url} sends no schema: it has no properties; is this a configurator?")
        return properties

    def _document(self) -> Document:
        """The settings as they stand; reading them needs no login, so none is sent."""
        answer = self._http.send(Ask("GET", f"{self._url}/config"))
        _refuse_login(
            answer,
            f"{self._url} is behind a login: instead of its settings there is a login page, for the hub as for fleet; "
            "serve the settings without a login, or check the url",
        )
        return self._object(self._expect(answer), "settings")

    def _send(self, ask: Ask, doing: str) -> Answer:
        """Send a request as an admin; `doing` completes "it does not let this token …"."""
        token = self.context.secret(self._token)
        headers = {"authorization": f"token {token.expose()}", "content-type": "application/json"}
        answer = self._http.send(Ask(ask.method, ask.url, headers, ask.body))
        if answer.status in (401, 403):
            raise ProviderError(
                f"{self._url} does not let the token in {self._token} {doing} ({answer.status}): it takes an admin's "
                "token (of an admin user, or of a service with the role admin) that may access the configurator"
            )
        _refuse_login(
            answer,
            f"{self._url} does not know the token in {self._token}: it asks for a login instead; make a new token on "
            "the hub, and give it the scope access:services!service=configurator",
        )
        return self._expect(answer)

    def _expect(self, answer: Answer) -> Answer:
        if answer.status == 404:
            raise ProviderError(f"there is no configurator at {self._url} (404); write its `url` where it is elsewhere")
        if answer.status != 200:
            raise ProviderError(f"{self._url} answers {answer.status} to {answer.ask}")
        return answer

    def _object(self, answer: Answer, what: str) -> Document:
        document = answer.json()
        if not isinstance(document, dict):
            raise ProviderError(f"{answer.url} holds {what} that are no object, so no server of the hub can start")
        return document


def _spec(text: str) -> SiteReference:
    """What a person may have typed; what is no name and tag stands in `image` as it is, and equals nothing wanted."""
    try:
        name, tag, digest = ImageReference.parse(text.strip())
    except ValueError:
        name, tag, digest = "", None, None
    return SiteReference(image=full_name(name), tag=tag) if tag and not digest else SiteReference(image=text, tag="")


def _is_set(document: Document, key: str, wanted: SiteReference) -> bool:
    text = document.get(key)
    return isinstance(text, str) and _spec(text) == wanted


def _trait(name: str, field: object) -> str:
    trait = field.get("traitlet") if isinstance(field, dict) else None
    return trait if isinstance(trait, str) else name


def _refuse_login(answer: Answer, sentence: str) -> None:
    """Raise ProviderError where the service leads to a login; a page instead of an answer may be a passing trouble."""
    if 300 <= answer.status < 400:
        raise ProviderError(sentence)
    is_page = answer.headers.get("content-type", "").partition(";")[0].strip() == "text/html"
    if answer.status == 200 and is_page and answer.body:
        raise TryAgain(sentence)
