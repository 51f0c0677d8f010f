"""Access keys from IAM to GitHub: killed anywhere, one key is left alive, and GitHub holds both halves of that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fleet.sandbox.github import Limits, State
from fleet.sandbox.github.service import GitHub
from fleet.sandbox.http import Fault, Request, Response
from fleet.sandbox.push import Registries
from fleet.testing import CRASH_POINTS, FLEET, NAME
from fleet.testing.killing import changing, forgetting, killed_at_every_write, making
from fleet.testing.running import IMAGE, Rig, Scenario, rig_of
from tests.subjects.ecr import EcrKeySubject, is_write

HALVES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class EcrAndGitHub(EcrKeySubject):
    """An account, and a GitHub where the keys of its users are stored."""

    environment: ClassVar[Mapping[str, str]] = EcrKeySubject.environment

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = State(folder / "github")
        self.state.create_user("ada")
        self.state.create_organization("example-org", admins=["ada"])
        (folder / "token").write_text(self.state.create_token("ada"))
        limits = replace(Limits(), content_per_minute=None, content_per_hour=None)
        self.github = GitHub(self.state, limits, Registries({}))
        self.service = self

    def close(self) -> None:
        self.github.close()
        super().close()

    def handle(self, request: Request) -> Response:
        return (self.ecr if self._is_aws(request) else self.github).handle(request)

    @staticmethod
    def _is_aws(request: Request) -> bool:
        return request.path == "/" or request.path.startswith("/v2")

    def writes(self, request: Request) -> bool:
        if self._is_aws(request):
            return is_write(request)
        is_query = request.path == "/graphql" and b"mutation" not in request.body
        return request.method != "GET" and not is_query

    def document(self, url: str, images: Sequence[str]) -> dict[str, Any]:
        return {
            "version": 1,
            "name": FLEET,
            "code_hosts": {"github": {"type": "github", "base_url": url, "auth": {"token": {"file": "token"}}}},
            "registries": {NAME: {"type": "ecr", **self.entry(url)}},
            "images": {name: {"registry": NAME, "repository": f"example-org/{name}"} for name in images},
        }

    def stored(self, image: str) -> dict[str, str]:
        """What GitHub holds for an image."""
        return {name: held.value for name, held in self.state.repository(f"example-org/{image}").secrets.items()}

    def alive(self, image: str) -> dict[str, str]:
        """The keys of an image's user, by their id."""
        user = self.aws.iam.users.get(self.names.identity(image))
        return {key.access_key_id: key.secret_access_key for key in user.access_keys} if user else {}

    def is_in_order(self, image: str) -> bool:
        """Whether one key is alive, and GitHub holds its two halves."""
        halves = self.stored(image)
        return self.alive(image) == {halves.get(HALVES[0]): halves.get(HALVES[1])}

    def snapshot(self) -> object:
        with self.state.lock:
            names = [held.name for held in self.state.repositories.values()]
            secrets = {name: (self.is_in_order(name), len(self.stored(name)), len(self.alive(name))) for name in names}
        return super().snapshot(), sorted(secrets.items())

    def drift(self, image: str) -> None:
        """Somebody stores another key by hand."""
        held = self.state.repository(f"example-org/{image}").secrets[HALVES[1]]
        held.value, held.updated_at = "by hand", held.updated_at + timedelta(seconds=1)


@pytest.mark.parametrize("scenario", [making, changing, forgetting], ids=lambda scenario: scenario.__name__)
def test_killed_at_every_write_one_key_is_left(
    scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    record_property(CRASH_POINTS, killed_at_every_write(scenario, EcrAndGitHub))


def made(rig: Rig) -> EcrAndGitHub:
    """An image whose key is stored."""
    making(rig)
    rig.apply_well()
    assert isinstance(rig.subject, EcrAndGitHub)
    assert rig.subject.is_in_order(IMAGE)
    return rig.subject


def test_a_key_is_issued_once_and_stays() -> None:
    with rig_of(EcrAndGitHub) as rig:
        subject = made(rig)
        alive = subject.alive(IMAGE)
        rig.apply_well()
        assert subject.alive(IMAGE) == alive


def test_a_half_that_went_makes_a_new_key() -> None:
    with rig_of(EcrAndGitHub) as rig:
        subject = made(rig)
        alive = subject.alive(IMAGE)
        del subject.state.repository(f"example-org/{IMAGE}").secrets[HALVES[0]]
        rig.apply_well()
        rig.assert_finished()
        assert subject.is_in_order(IMAGE)
        assert subject.alive(IMAGE) != alive


def test_keys_that_could_not_be_stored_do_not_pile_up() -> None:
    with rig_of(EcrAndGitHub) as rig:
        making(rig)
        assert isinstance(rig.subject, EcrAndGitHub)
        refused = Fault("status", "PUT", f".*/{IMAGE}/actions/secrets/.*", times=None, response=Response(403, b"{}"))
        rig.server.faults.append(refused)
        for count in (1, 2, 2):
            rig.apply()
            assert len(rig.subject.alive(IMAGE)) == count
        rig.server.faults.clear()
        rig.apply_well()
        rig.assert_finished()
        assert rig.subject.is_in_order(IMAGE)


def test_a_key_that_is_too_new_is_tried_again_and_no_other_is_issued() -> None:
    with rig_of(EcrAndGitHub) as rig:
        making(rig)
        assert isinstance(rig.subject, EcrAndGitHub)
        unknown = Response.of_json({"__type": "UnrecognizedClientException", "message": "unknown"}, 400)
        is_token = lambda request: request.headers.get("x-amz-target", "").endswith("GetAuthorizationToken")  # noqa: E731
        rig.server.faults.append(Fault("status", where=is_token, times=3, response=unknown))
        rig.apply_well()
        assert rig.subject.is_in_order(IMAGE)
        assert rig.clock.waited >= 9
        created = [record for record in rig.server.records if b"Action=CreateAccessKey" in record.request.body]
        assert len(created) == 2, "one for the neighbour, and one for the image"


def test_no_secret_is_left_on_disk() -> None:
    with rig_of(EcrAndGitHub) as rig:
        subject = made(rig)
        (secret,) = subject.alive(IMAGE).values()
        fleets = [path for path in rig.folder.rglob("*") if path.is_file() and "github" not in path.parts]
        assert any(path.name == "journal.jsonl" for path in fleets)
        assert [path for path in fleets if secret.encode() in path.read_bytes()] == []
