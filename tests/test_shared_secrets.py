"""Images that share a login, which their organisation keeps as a secret: from fleet.yaml to images in the registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.errors import ExitCode
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.github.model_actions import OrganizationSecret, OrganizationVariable
from fleet.sandbox.http import Loopback
from fleet.sandbox.token import Rights
from tests.github_judge import Judge
from tests.subjects.oci import OciSubject

PASSWORD = "canary-adas-password"
SECRET = "DOCKER_PASSWORD_REGISTRY"
SHARED = {"organization": "example-org", "shared": True}
BUILT = {"template": "user-image", "registry": "registry", "secrets": SHARED, "variables": {"CHANNEL": "stable"}}


class OneLogin(OciSubject):
    """A registry whose one user may push everywhere but to `closed` repositories."""

    closed: frozenset[str] = frozenset()

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if (username, password) != ("ada", self.password):
            return None
        return lambda name: frozenset({"pull"}) if name in self.closed else self.actions


class Sharers:
    """A fleet with two images, `one` and `two`, whose builds push with the login of `ada`."""

    def __init__(self, folder: Path, github: Sandbox, registry: OneLogin, url: str) -> None:
        self.folder, self.github, self.registry = folder, github, registry
        token = {"token": {"env": "GITHUB_TOKEN"}}
        self.document: dict[str, Any] = {
            "version": 1,
            "name": "ours",
            "code_hosts": {"github": {"type": "github", "base_url": github.url, "auth": token}},
            "registries": {"registry": {"type": "oci", **registry.entry(url)}},
            "templates": {"user-image": {"from": "builtin:user-image", "seed": ["environment.yml"]}},
            "images": {name: {**BUILT, "repository": f"example-org/{name}"} for name in ("one", "two")},
        }

    def run(self, *arguments: str) -> int:
        """Write fleet.yaml and run fleet."""
        (self.folder / "fleet.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False))
        return main(list(arguments))

    def apply(self) -> None:
        """Apply, and see that nothing is left to do."""
        assert self.run("apply", "-auto-approve") == ExitCode.OK
        assert self.run("plan", "-detailed-exitcode") == ExitCode.OK

    @property
    def secrets(self) -> dict[str, OrganizationSecret]:
        return self.github.state.account("example-org").secrets

    @property
    def variables(self) -> dict[str, OrganizationVariable]:
        return self.github.state.account("example-org").variables

    def selected(self, kept: OrganizationSecret | OrganizationVariable | None = None) -> list[str]:
        """The repositories that something (the secret, unless said) is given to."""
        ids = (kept or self.secrets[SECRET]).selected
        return sorted(self.github.state.repositories[number].name for number in ids)

    def pushed(self) -> list[str]:
        """The images whose newest commit lies in the registry."""
        self.github.actions.wait(20)
        held, made = self.registry.registry.repositories, self.github.state.repositories.values()
        heads = {one.name: str(one.head)[:12] for one in made if one.name in self.document["images"]}
        return [name for name, tag in sorted(heads.items()) if tag in held.get(f"team/{name}", {"tags": {}})["tags"]]

    def store(self, visibility: Any = "all", name: str = SECRET) -> OrganizationSecret:
        """Somebody stores a secret in the organisation."""
        now = self.github.state.clock.now()
        self.secrets[name] = OrganizationSecret(name, "by hand", now, now, visibility)
        return self.secrets[name]


@pytest.fixture
def sharers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> Iterator[Sharers]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAS_PASSWORD", PASSWORD)
    registry = OneLogin(tmp_path)
    with serve_github(tmp_path / "github") as github, Loopback(registry) as served:
        judge = Judge(github.loopback.service)
        github.loopback.service = judge
        github.state.create_user("ada")
        github.state.create_user("ben")
        github.state.create_organization("example-org", admins=["ada"], members=["ben"])
        monkeypatch.setenv("GITHUB_TOKEN", github.state.create_token("ada"))
        yield Sharers(tmp_path, github, registry, served.url)
    assert judge.disagreements == []
    judge.report(record_property)


def test_builds_push_with_the_secret_that_their_organisation_gives_them(
    sharers: Sharers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sharers.run("plan", "-detailed-exitcode") == ExitCode.CHANGES
    said = capsys.readouterr().out
    assert said.count("2 images share the login of registry, kept by example-org: the build of each can push to") == 1
    sharers.apply()
    held = sharers.secrets[SECRET]
    assert (held.value, held.visibility, sharers.selected()) == (PASSWORD, "selected", ["one", "two"])
    assert sharers.variables["CHANNEL"].value == "stable"
    assert sharers.selected(sharers.variables["CHANNEL"]) == ["one", "two"]
    assert sharers.pushed() == ["one", "two"]
    assert sharers.github.state.repository("example-org/one").secrets == {}
    assert PASSWORD not in "".join(capsys.readouterr())
    kept = [path for path in sharers.folder.glob(".fleet/**/*") if path.is_file()]
    assert kept
    assert not any(PASSWORD.encode() in path.read_bytes() for path in kept)


def test_who_leaves_loses_its_place_and_with_the_last_one_all_of_it_goes(sharers: Sharers) -> None:
    sharers.apply()
    two = sharers.document["images"].pop("two")
    sharers.apply()
    assert (sharers.selected(), sharers.selected(sharers.variables["CHANNEL"])) == (["one"], ["one"])
    sharers.document["images"] = {"two": {**two, "secrets": {"environment": "push"}}}
    sharers.apply()
    assert (sharers.secrets, sharers.variables) == ({}, {})


def test_places_that_others_gave_stay_when_the_secret_is_stored_again(sharers: Sharers) -> None:
    sharers.apply()
    for number in range(120):  # more than a page of them
        other = sharers.github.state.create_repository(f"example-org/other-{number}")
        sharers.secrets[SECRET].selected.add(other.id)
    held = sharers.secrets[SECRET]
    held.value, held.updated_at = "by hand", held.updated_at + timedelta(seconds=1)
    sharers.apply()
    assert sharers.secrets[SECRET].value == PASSWORD
    assert len(sharers.selected()) == 122


def test_a_secret_of_ours_that_was_opened_to_all_is_closed_again(sharers: Sharers) -> None:
    sharers.apply()
    sharers.secrets[SECRET].visibility = "all"
    sharers.variables["CHANNEL"].visibility = "all"
    sharers.apply()
    assert (sharers.secrets[SECRET].visibility, sharers.selected()) == ("selected", ["one", "two"])
    assert sharers.selected(sharers.variables["CHANNEL"]) == ["one", "two"]
    sharers.secrets[SECRET].visibility = "all"
    sharers.document["images"] = {}
    sharers.apply()
    assert sharers.secrets == {}


@pytest.mark.parametrize("visibility", ["all", "selected"])
def test_a_secret_that_somebody_else_stored_is_kept_until_fleet_yaml_says_replace(
    sharers: Sharers, visibility: str
) -> None:
    held = sharers.store(visibility)
    for image in sharers.document["images"].values():
        del image["template"]  # so that nothing is built, which somebody else's value would not let push
    sharers.apply()
    assert (sharers.secrets[SECRET], held.value, held.visibility) == (held, "by hand", visibility)
    for image in sharers.document["images"].values():
        image["adopt_secrets"] = "replace"
    sharers.apply()
    assert (sharers.secrets[SECRET].value, sharers.selected()) == (PASSWORD, ["one", "two"])


def test_a_secret_for_private_repositories_is_out_of_reach_of_public_ones(
    sharers: Sharers, capsys: pytest.CaptureFixture[str]
) -> None:
    sharers.store("private")
    sharers.document["images"]["one"]["visibility"] = "private"
    for name in ("one", "two"):
        made = sharers.github.state.create_repository(f"example-org/{name}", {"README.md": "by hand"})
        made.visibility, made.topics = ("private" if name == "one" else "public"), ("fleet-ours",)
    assert sharers.run("plan") == ExitCode.ERROR
    said = capsys.readouterr().err
    assert "selected-secret:example-org/two/DOCKER_PASSWORD_REGISTRY cannot be" in said
    assert "for private repositories only" in said


def test_a_variable_that_somebody_else_put_there_is_not_changed_for_all(
    sharers: Sharers, capsys: pytest.CaptureFixture[str]
) -> None:
    now = sharers.github.state.clock.now()
    sharers.variables["CHANNEL"] = OrganizationVariable("CHANNEL", "nightly", now, now, "all")
    assert sharers.run("plan") == ExitCode.ERROR
    assert "is there already, and not from fleet: 'nightly', for all repositories" in capsys.readouterr().err
    for image in sharers.document["images"].values():
        image["adopt_secrets"] = "replace"
    sharers.apply()
    assert (sharers.variables["CHANNEL"].value, sharers.variables["CHANNEL"].visibility) == ("stable", "selected")


def test_a_login_that_may_push_nowhere_is_not_stored(sharers: Sharers, capsys: pytest.CaptureFixture[str]) -> None:
    sharers.registry.closed = frozenset({"team/one", "team/two"})
    assert sharers.run("apply", "-auto-approve") == ExitCode.PARTIAL
    assert sharers.secrets == {}
    assert "team/one" in "".join(capsys.readouterr())


def test_a_login_that_no_longer_pushes_for_all_who_have_it_is_not_stored_again(sharers: Sharers) -> None:
    sharers.apply()
    held = sharers.secrets[SECRET]
    held.value, held.updated_at = "by hand", held.updated_at + timedelta(seconds=1)
    sharers.registry.closed = frozenset({"team/two"})
    assert sharers.run("apply", "-auto-approve") == ExitCode.ERROR
    assert held.value == "by hand"


def test_one_image_that_the_login_may_not_push_is_not_given_the_secret(sharers: Sharers) -> None:
    sharers.registry.closed = frozenset({"team/one"})
    assert sharers.run("apply", "-auto-approve") == ExitCode.PARTIAL
    assert sharers.selected() == ["two"]
    assert sharers.pushed() == ["two"]


def test_one_image_alone_may_be_targeted(sharers: Sharers) -> None:
    sharers.registry.closed = frozenset({"team/one"})
    assert sharers.run("apply", "-auto-approve", "-target=image:two") == ExitCode.OK
    assert (sharers.selected(), sharers.pushed()) == (["two"], ["two"])


def test_a_place_that_somebody_took_away_is_given_back(sharers: Sharers) -> None:
    sharers.apply()
    sharers.secrets[SECRET].selected.clear()
    del sharers.variables["CHANNEL"]
    sharers.apply()
    assert (sharers.selected(), sharers.selected(sharers.variables["CHANNEL"])) == (["one", "two"], ["one", "two"])


def test_without_its_state_a_fleet_plans_nothing_else(sharers: Sharers) -> None:
    sharers.apply()
    shutil.rmtree(sharers.folder / ".fleet")
    assert sharers.run("plan", "-detailed-exitcode") == ExitCode.OK


def test_a_shared_login_that_builds_need_no_more_leaves_after_a_green_build_without_it(
    sharers: Sharers, capsys: pytest.CaptureFixture[str]
) -> None:
    sharers.apply()
    for image in sharers.document["images"].values():
        del image["secrets"]
    sharers.github.state.settings.builds = "fail"
    assert sharers.run("apply", "-auto-approve") == ExitCode.PARTIAL
    assert sharers.selected() == ["one", "two"]
    assert sharers.run("plan", "-detailed-exitcode") == ExitCode.CHANGES
    assert sharers.selected() == ["one", "two"]
    sharers.github.state.settings.builds = "run"
    for name in ("one", "two"):
        sharers.github.commit(f"example-org/{name}", {"environment.yml": "dependencies: [numpy]\n"})
    sharers.github.actions.wait(20)
    sharers.apply()
    assert sharers.secrets == {}
    assert sharers.pushed() == ["one", "two"]


def test_where_a_shared_login_lies_is_told(sharers: Sharers, capsys: pytest.CaptureFixture[str]) -> None:
    sharers.apply()
    capsys.readouterr()
    assert sharers.run("credentials", "list", "-json") == ExitCode.OK
    logins = json.loads(capsys.readouterr().out)["credentials"]
    places = {one["image"]: (one["kind"], one["stored_in"], one["trouble"]) for one in logins}
    assert places == {
        name: ("own login", [f"github:selected-secret:example-org/{name}/{SECRET}"], None) for name in ("one", "two")
    }


def test_a_plan_without_changes_asks_once_for_each_secret_and_variable_whoever_shares_it(sharers: Sharers) -> None:
    for number in range(8):
        sharers.document["images"][f"more-{number}"] = {**BUILT, "repository": f"example-org/more-{number}"}
    sharers.apply()
    before = len(sharers.github.loopback.records)
    assert sharers.run("plan", "-detailed-exitcode") == ExitCode.OK
    asked = [one.path for one in list(sharers.github.loopback.records)[before:]]
    root = "/orgs/example-org/actions"
    kept = [f"{root}/secrets/{SECRET}", f"{root}/variables/CHANNEL"]
    assert sorted(asked) == sorted(["/graphql", "/graphql", *kept, *(f"{one}/repositories" for one in kept)])


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"owner": "ada", "scopes": ["repo", "workflow"]}, "the token needs: admin:org"),
        ({"owner": "ben"}, "Log in as an owner of example-org"),
        (
            {"owner": "ada", "rights": dict.fromkeys(("administration", "contents", "secrets", "actions"), "write")},
            "the token needs: organization_secrets=read",
        ),
    ],
)
def test_a_missing_right_is_named_before_anything_is_written(
    sharers: Sharers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    login: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", sharers.github.state.create_token(**login))
    assert sharers.run("apply", "-auto-approve") == ExitCode.ERROR
    assert words in capsys.readouterr().err
    assert not sharers.github.state.repositories


def test_a_user_is_no_organisation(sharers: Sharers, capsys: pytest.CaptureFixture[str]) -> None:
    image = {**BUILT, "repository": "ada/one", "secrets": {"organization": "ada", "shared": True}}
    sharers.document["images"] = {"one": image}
    assert sharers.run("plan") == ExitCode.ERROR
    assert "ada is a user and no organisation" in capsys.readouterr().err
