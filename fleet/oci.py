"""Reads any OCI registry: tags, digests, manifests, labels, and what a login may do there.

Source: the OCI distribution specification 1.1, https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md,
and the image specification for manifests, indexes and configurations. One module of more than 300 lines, because
it is one protocol, and all of it goes through one way to ask.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fleet.each import Each
from fleet.errors import ProviderError
from fleet.http import Answer, Ask, Http, host_of, is_loopback
from fleet.oci_auth import PULL, PUSH, Authorizer, Credentials, Denied, LoginRefused, access_claim, token_of
from fleet.reference import ImageReference, is_digest, split_host

__all__ = ["UNDATED", "Credentials", "Denied", "LoginRefused", "Manifest", "OciClient", "Tag", "registry_url"]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*_MANIFESTS, *_INDEXES))
"""Everything we can read: without it, registries answer 404 for an OCI image."""

_NEXT = re.compile(r'<([^>]*)>\s*;(?:[^,]*;)?\s*rel="?next"?', re.IGNORECASE)
_HUB = "https://registry-1.docker.io"
_LONGEST_WORDS = 300
"""Characters of a registry's own message that an error quotes."""
UNDATED = datetime.min.replace(tzinfo=UTC)
"""The date of an image that does not say when it was made."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index as the registry holds it; `digest` was computed from its bytes."""

    digest: str
    media_type: str
    document: Mapping[str, Any] = field(repr=False)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests of several platforms."""
        return self.media_type in _INDEXES


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag: what it means now, and when it was pushed last; where a registry doesn't tell, when its image was made."""

    name: str
    digest: str
    date: datetime


def registry_url(host: str) -> str:
    """Where a registry is reached, by its host or URL: https, but for loopback and for an explicit `http://`."""
    if "://" not in host:
        host = f"{'http' if is_loopback(f'//{host}') else 'https'}://{host}"
    parts = urlsplit(host)
    if parts.hostname in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        return _HUB
    return f"{parts.scheme}://{parts.netloc}"


class OciClient:
    """A client of one registry for one login, or for nobody; threads may share it.

    Every method raises Denied where the registry does not let this login see or do it, LoginRefused where the user name
    or the password is wrong.
    """

    def __init__(self, host: str, http: Http, credentials: Credentials | None = None) -> None:
        self.url = registry_url(host)
        self.host = host_of(self.url)
        self._http = http
        self._login = Authorizer(http, self.url, credentials)

    def digests(self, references: Collection[ImageReference], each: Each) -> dict[ImageReference, str]:
        """What each reference means now: its tag's digest, or its own digest where it has no tag and is there.

        One HEAD each, and a login per twenty repositories. One that does not exist, or that the registry does not show
        to this login (most say the same of both), has no entry.
        """
        self._login.warm({split_host(reference.name)[1] for reference in references}, each)

        def look(reference: ImageReference) -> str | None:
            with suppress(Denied):
                return self.digest(split_host(reference.name)[1], reference.tag or reference.digest or "latest")
            return None

        ordered = sorted(references, key=str)
        found = zip(ordered, each(look, ordered), strict=True)
        return {reference: digest for reference, digest in found if digest is not None}

    def tags(self, name: str) -> Iterator[str]:
        """The tags of a repository, page by page as they are asked for; none for a repository that isn't there."""
        url: str | None = f"{self.url}/v2/{name}/tags/list?n=1000"
        seen: set[str] = set()
        while url is not None and url not in seen:
            seen.add(url)
            answer = self._ask(Ask("GET", url), name, PULL)
            if answer.status == 404:
                return
            document = _document(self._expect(answer, 200))
            yield from (tag for tag in document.get("tags") or () if isinstance(tag, str))
            url = self._next(answer)

    def newest(self, name: str, each: Each) -> Iterator[Tag]:
        """The tags of a repository, those first whose images were made last; two to four requests for each tag.

        The distribution protocol dates no tags, so every image's configuration is read. One without a date is oldest.
        """

        def look(tag: str) -> Tag:
            image = self._image(name, tag)
            return Tag(tag, self.digest(name, tag) or image.digest, _created(self._config(name, image)))

        yield from sorted(each(look, list(self.tags(name))), key=lambda tag: tag.date, reverse=True)

    def digest(self, name: str, reference: str) -> str | None:
        """The digest that a tag means now, None when there is no such tag. One HEAD; a GET where that says too little.

        The tag's content is not fetched, so the registry is believed; `manifest` proves it.
        """
        answer = self._ask(self._manifest_ask("HEAD", name, reference), name, PULL)
        if answer.status == 404:
            return None
        if answer.status == 405 or (answer.status == 200 and "docker-content-digest" not in answer.headers):
            found = self._manifest(name, reference)
            return found.digest if found else None
        digest = self._expect(answer, 200).headers["docker-content-digest"]
        if not is_digest(digest):
            raise ProviderError(f"{self.host} sends a digest for {name}:{reference} that is none")
        return digest

    def manifest(self, name: str, reference: str) -> Manifest:
        """A manifest or an index by tag or digest; raises ProviderError when it isn't there or not what it claims."""
        found = self._manifest(name, reference)
        if found is None:
            raise ProviderError(f"{self.host} has no {_spelled(name, reference)}")
        return found

    def labels(self, name: str, reference: str) -> Mapping[str, str]:
        """The labels of an image; of an index, those of its linux/amd64 image, else of its first one."""
        settings = self._config(name, self._image(name, reference)).get("config")
        labels = settings.get("Labels") if isinstance(settings, dict) else None
        return {str(key): str(value) for key, value in (labels or {}).items()}

    def platforms(self, name: str, reference: str) -> tuple[str, ...]:
        """What an image runs on, as `os/architecture` or `os/architecture/variant`, in the registry's order."""
        found = self.manifest(name, reference)
        if not found.is_index:
            return (_platform(self._config(name, found)),)
        return tuple(platform for platform, _ in _entries(found))

    def platforms_of(self, references: Collection[ImageReference], each: Each) -> dict[ImageReference, tuple[str, ...]]:
        """The platforms of images that are named by their digests; those that say nothing of it have no entry."""

        def look(reference: ImageReference) -> tuple[str, ...]:
            named = self.platforms(split_host(reference.name)[1], reference.digest or reference.tag or "latest")
            return tuple(platform for platform in named if "unknown" not in platform.split("/"))

        ordered = sorted(references, key=str)
        return {reference: found for reference, found in zip(ordered, each(look, ordered), strict=True) if found}

    def prove_push(self, name: str, credentials: Credentials) -> None:
        """Make sure that a login may push: begin an upload and cancel it. Raises Denied when it may not."""
        login = self._login.other(credentials)
        answer = self._ask(Ask("POST", f"{self.url}/v2/{name}/blobs/uploads/", body=b""), name, PUSH, login)
        if answer.status in (401, 403, 404):
            raise Denied(
                f"{self.host} does not let {credentials.username} push to {name} ({answer.status}"
                f"{_said(answer)}); check that the repository exists and that this login may write to it"
            )
        location = self._expect(answer, 202).headers.get("location", "")
        upload = urljoin(answer.url, location)
        if location and host_of(upload) == self.host:  # elsewhere our login has no business
            # Some registries let only a login that may delete cancel; there the empty upload expires.
            self._http.send(Ask("DELETE", upload, login.headers(name, PUSH)))

    def granted(self, name: str, credentials: Credentials) -> frozenset[str] | None:
        """What a login would be allowed on a repository, by the token service's word; nothing is written there.

        None where nobody can tell without writing: a registry with Basic login, or with tokens that can't be read.
        """
        login = self._login.other(credentials)
        if login.challenge().scheme != "bearer":
            return None
        return access_claim(token_of(login.grant([name], PUSH)) or "", name)

    def _image(self, name: str, reference: str) -> Manifest:
        found = self.manifest(name, reference)
        if not found.is_index:
            return found
        entries = _entries(found)
        if not entries:
            raise ProviderError(f"{_spelled(name, reference)} in {self.host} is an index of no image")
        return self.manifest(name, dict(reversed(entries)).get("linux/amd64", entries[0][1]))

    def _config(self, name: str, manifest: Manifest) -> Mapping[str, Any]:
        descriptor = manifest.document.get("config")
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str) or not is_digest(digest):
            raise ProviderError(f"{_spelled(name, manifest.digest)} in {self.host} has no image configuration")
        answer = self._ask(Ask("GET", f"{self.url}/v2/{name}/blobs/{digest}", follow=True), name, PULL)
        return _document(self._honest(self._expect(answer, 200), name, digest))

    def _manifest(self, name: str, reference: str) -> Manifest | None:
        answer = self._ask(self._manifest_ask("GET", name, reference), name, PULL)
        if answer.status == 404:
            return None
        self._expect(answer, 200)
        claimed = reference if is_digest(reference) else answer.headers.get("docker-content-digest", "")
        digest = claimed if is_digest(claimed) else f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        document = _document(self._honest(answer, name, digest))
        media_type = document.get("mediaType") or answer.headers.get("content-type", "").partition(";")[0].strip()
        if media_type not in (*_MANIFESTS, *_INDEXES):
            raise ProviderError(
                f"{_spelled(name, reference)} in {self.host} is of a kind fleet can't read: {media_type}"
            )
        return Manifest(digest, media_type, document)

    def _manifest_ask(self, method: str, name: str, reference: str) -> Ask:
        path = f"/v2/{name}/manifests/{quote(reference, safe=':')}"
        return Ask(method, f"{self.url}{path}", {"accept": ACCEPT}, follow=True)

    def _ask(self, ask: Ask, name: str, actions: str, login: Authorizer | None = None) -> Answer:
        """Send a request with the login for one repository, once more when the registry wants a newer token."""
        login = login or self._login
        answer = self._http.send(replace(ask, headers={**ask.headers, **login.headers(name, actions)}))
        if answer.status == 401 and login.refused(name, actions, answer):
            answer = self._http.send(replace(ask, headers={**ask.headers, **login.headers(name, actions)}))
        if answer.status == 401 and login.credentials and login.challenge().scheme == "basic":
            raise login.refusal()
        if answer.status in (401, 403) and actions == PULL:
            who = f"the login {login.credentials.username}" if login.credentials else "nobody without a login"
            raise Denied(
                f"{self.host} does not show {name} to {who} ({answer.status}{_said(answer)}): "
                "it does not exist, or it is private"
            )
        return answer

    def _expect(self, answer: Answer, status: int) -> Answer:
        if answer.status != status:
            raise ProviderError(f"{self.host} answers {answer.status} to {answer.ask}{_said(answer)}")
        return answer

    def _honest(self, answer: Answer, name: str, digest: str) -> Answer:
        """Refuse content that does not hash to its digest: the registry, or something on the way, changed it."""
        algorithm, _, expected = digest.partition(":")
        if algorithm not in ("sha256", "sha512"):
            raise ProviderError(f"{self.host} uses a digest of {name} that fleet can't check: {algorithm}")
        if hashlib.new(algorithm, answer.body).hexdigest() != expected.lower():
            raise ProviderError(
                f"{self.host} sends content for {name}@{digest} that has another digest: "
                "the registry, or something on the way to it, is not to be trusted"
            )
        return answer

    def _next(self, answer: Answer) -> str | None:
        found = _NEXT.search(answer.headers.get("link", ""))
        following = urljoin(answer.url, found[1]) if found else None
        if following and urlsplit(following)[:2] != urlsplit(self.url)[:2]:  # our login stays with this registry
            raise ProviderError(f"{self.host} sends the next page of tags to another host: {host_of(following)}")
        return following


def _document(answer: Answer) -> Mapping[str, Any]:
    document = answer.json()
    if not isinstance(document, dict):
        raise ProviderError(f"{answer.ask.host} sends JSON to {answer.ask} that is not an object")
    return document


def _created(config: Mapping[str, Any]) -> datetime:
    """When an image was made (RFC 3339), as its configuration says."""
    try:
        moment = datetime.fromisoformat(str(config.get("created")))
    except ValueError:
        return UNDATED
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _entries(index: Manifest) -> list[tuple[str, str]]:
    """Platform and digest of an index's images; attestations, which run nowhere, are left out."""
    found = []
    for entry in index.document.get("manifests") or ():
        platform = _platform(entry.get("platform") or {}) if isinstance(entry, dict) else ""
        if platform and not platform.startswith("unknown/") and is_digest(str(entry.get("digest"))):
            found.append((platform, str(entry["digest"])))
    return found


def _platform(document: Mapping[str, Any]) -> str:
    parts = (document.get("os") or "unknown", document.get("architecture") or "unknown", document.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _spelled(name: str, reference: str) -> str:
    return f"{name}@{reference}" if is_digest(reference) else f"{name}:{reference}"


def _said(answer: Answer) -> str:
    """The registry's own words for what is wrong, where it has some (distribution specification, error codes)."""
    try:
        error = json.loads(answer.body)["errors"][0]
        code, message = error["code"], error.get("message")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    if not isinstance(code, str):
        return ""
    words = " ".join(message.split()).rstrip(".")[:_LONGEST_WORDS] if isinstance(message, str) else ""
    return f", {code}: {words}" if words else f", {code}"
