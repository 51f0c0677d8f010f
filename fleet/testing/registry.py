"""What registries keep: tags are looked up and never guessed, and a login is proved before it is handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from fleet.errors import FleetError
from fleet.http import PATIENT
from fleet.provider import Home, ImageReference, Issuer, OciClient, Registry, Secret
from fleet.sandbox.http import Fault, Response
from fleet.services import Workshop
from fleet.testing.faults import HANG
from fleet.testing.running import IMAGE, IMPATIENT, NEIGHBOUR, Rig, refusal, rig_of
from fleet.testing.subject import NAME, Subject

TAG, ABSENT = "2026.01.30", "2026.01.31"


def tags_are_looked_up(subject: type[Subject]) -> None:
    """A tag means its digest; one that is not there, or in a repository that is not there, means nothing."""
    with rig_of(subject) as rig:
        name, digest = _published(rig)
        tag, absent = ImageReference(name, TAG), ImageReference(name, ABSENT)
        nowhere = ImageReference(f"{name}-nowhere", TAG)
        found = _registry(rig.workshop()).resolve([tag, absent, nowhere])
        assert dict(found) == {tag: digest}, f"resolve answers {found}"


def trouble_is_no_missing_tag(subject: type[Subject]) -> None:
    """A registry that cannot be asked is an error, and never a tag that does not exist."""
    with rig_of(subject) as rig:
        name, digest = _published(rig)
        tag = ImageReference(name, TAG)
        for fault in (
            Fault("drop"),
            HANG,
            Fault("status", response=Response(503)),
            Fault("status", response=_THROTTLED),
        ):
            rig.timeouts = IMPATIENT if fault.kind == "hang" else PATIENT
            rig.server.faults.append(replace(fault, times=None, seen=0))
            try:
                found = dict(_registry(rig.workshop()).resolve([tag]))
            except FleetError:
                found = {tag: digest}
            rig.server.faults.clear()
            assert found == {tag: digest}, f"a registry in trouble ({fault.kind}) is said to have no such tag"


_THROTTLED = Response(429, b"", {"retry-after": "1"})


def login_is_revealed_and_works_for_its_own_image_only(subject: type[Subject]) -> None:
    """The password of an image's login pushes to that image, is no other image's business, and prints as nothing."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        workshop = rig.workshop()
        home, other = _home(rig, IMAGE), _home(rig, NEIGHBOUR)
        secrets = _reveal(workshop, home)
        assert home.login is not None
        for secret in _hidden(home, secrets):
            assert secret.expose().strip(), "an empty password is revealed"
            assert secret.expose() not in repr((secret, home, workshop[NAME])), "the password is in a repr"
        login = rig.subject.docker_login(home.login, secrets)
        client = OciClient(rig.server.url, workshop[NAME].context.http())
        client.prove_push(home.name.partition("/")[2], login)
        if "neighbour" not in subject.without:
            granted = client.granted(other.name.partition("/")[2], login)
            assert granted is not None, "nobody can tell what the login may do elsewhere"
            assert granted <= {"pull"}, f"the login of {IMAGE} may {' and '.join(sorted(granted))} on {NEIGHBOUR}"


def useless_login_is_not_revealed(subject: type[Subject]) -> None:
    """A login that may not push is refused with a sentence before anybody is given its password."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        home = _home(rig, IMAGE)
        secrets = [secret.expose() for secret in _hidden(home, _reveal(rig.workshop(), home))]
        rig.subject.disarm(IMAGE)
        sentence = refusal(partial(_reveal, rig.workshop(), _home(rig, IMAGE)))
        assert sentence, "a password that cannot push is handed out"
        assert not any(secret in sentence for secret in secrets), "the password is in the message"


def expired_login_reveals_nothing(subject: type[Subject]) -> None:
    """Where the login of fleet.yaml is dead, nothing is revealed, and the sentence holds no secret."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        rig.subject.expire()
        sentence = refusal(partial(_reveal, rig.workshop(), _home(rig, IMAGE)))
        assert sentence, "a dead login reveals a password"
        assert not any(value in sentence for value in subject.environment.values()), "a secret is in the message"


def issued_credentials_replace_each_other(subject: type[Subject]) -> None:
    """Whatever is issued and never stored, two stand at most, the stored one among them, and in the end one."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        workshop = rig.workshop()
        issuer, login = workshop[NAME], _home(rig, IMAGE).login
        assert isinstance(issuer, Issuer)
        assert login is not None
        (source,) = {ref.source for ref in login.secrets.values()}
        made = 1 if issuer.by_turns else 0
        assert len(issuer.credentials(source)) == made, "applying has issued a credential that nobody asked for"
        stored = issuer.issue(source, None).key
        keys = {stored}
        for _ in range(3):
            keys.add(issuer.issue(source, stored).key)
            standing = [credential.key for credential in issuer.credentials(source)]
            assert len(standing) <= 2, f"these stand at once: {standing}"
            assert stored in standing, "the stored credential has made room"
        assert issuer.by_turns or len(keys) == 4, "two credentials have one name"
        assert len(keys) > 1, "nothing new was issued"
        *_, newest = issuer.credentials(source)
        for _ in range(2):
            issuer.revoke(source, newest.key)
            assert [credential.key for credential in issuer.credentials(source)] == [newest.key]
        issuer.last_used(newest)
        recalled = issuer.recall(source, newest.key)
        assert recalled is None or recalled.key == newest.key, "another credential is recalled than was asked for"
        assert recalled is not None or not issuer.by_turns, "what is shown again is not recalled"
        if recalled is not None:
            issuer.prove(source, recalled)
        for _ in range(2):
            issuer.revoke(source, None)
            assert not issuer.credentials(source), "a credential outlives the revocation of all"
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        rig.assert_finished()


def _registry(workshop: Workshop) -> Registry:
    provider = workshop[NAME]
    assert isinstance(provider, Registry)
    return provider


def _home(rig: Rig, image: str) -> Home:
    rig.wants(image)
    (home,) = rig.homes()
    return home


def _published(rig: Rig) -> tuple[str, str]:
    rig.wants(IMAGE)
    rig.apply_well()
    name = _home(rig, IMAGE).name
    return name, rig.subject.publish(name, TAG)


def _hidden(home: Home, secrets: Mapping[str, Secret]) -> list[Secret]:
    """Those of a login's secrets that nobody may see; a user name that is kept beside a password is none of them."""
    username = home.login.username if home.login else ""
    return [secret for name, secret in secrets.items() if f"${{{{ secrets.{name} }}}}" != username]


def _reveal(workshop: Workshop, home: Home) -> Mapping[str, Secret]:
    assert home.login is not None, "the image has no login: say in `without` why there is no `login`"
    issuing = workshop.issuing()
    return {name: issuing.reveal(ref) for name, ref in home.login.secrets.items()}


RULES = {
    "tags are looked up": (tags_are_looked_up, ("registry", "publish")),
    "trouble is no missing tag": (trouble_is_no_missing_tag, ("registry", "publish")),
    "a login works for its own image": (login_is_revealed_and_works_for_its_own_image_only, ("registry", "login")),
    "a login that may not push is not revealed": (
        useless_login_is_not_revealed,
        ("registry", "login", "password", "disarm"),
    ),
    "a dead login reveals nothing": (expired_login_reveals_nothing, ("registry", "login", "password", "expire")),
    "issued credentials replace each other": (
        issued_credentials_replace_each_other,
        ("registry", "issuer", "login", "password"),
    ),
}
