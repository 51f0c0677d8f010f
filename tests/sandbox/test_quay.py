from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.http import Http
from fleet.model import Secret
from fleet.oci import Credentials, OciClient
from fleet.sandbox.debian_registry import DebianRegistry
from fleet.sandbox.quay import RateLimit, RunningQuay, serve_quay
from tests.debian import programs
from tests.images import Image

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading the usual authorities anew for each request would take most of the time."""

REPOSITORY = {"namespace": "example", "visibility": "public", "description": ""}


@pytest.fixture
def quay() -> Iterator[RunningQuay]:
    with serve_quay() as running:
        yield running


class Api:
    """Quay's API by plain HTTP."""

    def __init__(self, quay: RunningQuay, token: str | None = None) -> None:
        headers = {"authorization": f"Bearer {token or quay.token}"}
        self._url, self._headers = f"{quay.url}/api/v1", headers

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = httpx.request(method, f"{self._url}{path}", json=body, headers=self._headers, verify=NO_TLS)
        return answer.status_code, answer.json() if answer.content else None


def test_repositories_come_in_pages_of_a_hundred(quay: RunningQuay) -> None:
    api = Api(quay)
    for number in range(106):
        assert api("POST", "/repository", {**REPOSITORY, "repository": f"image-{number:03}"})[0] == 201
    status, first = api("GET", "/repository?namespace=example&last_modified=true")
    assert (status, len(first["repositories"])) == (200, 100)
    _, second = api("GET", f"/repository?namespace=example&next_page={first['next_page']}")
    assert [held["name"] for held in second["repositories"]] == [f"image-{n:03}" for n in range(100, 106)]
    assert "next_page" not in second
    assert api("GET", "/repository")[0] == 400


def test_what_exists_is_refused_with_400(quay: RunningQuay) -> None:
    api = Api(quay)
    assert api("POST", "/repository", {**REPOSITORY, "repository": "climate"})[0] == 201
    status, said = api("POST", "/repository", {**REPOSITORY, "repository": "climate"})
    assert (status, said["error_type"], said["detail"]) == (400, "invalid_request", "Repository already exists")
    assert api("PUT", "/organization/example/robots/climate", {"description": "x"})[0] == 201
    status, said = api("PUT", "/organization/example/robots/climate")
    assert (status, said["detail"]) == (400, "Existing robot with name: example+climate")


def test_the_three_shapes_of_an_error(quay: RunningQuay) -> None:
    assert Api(quay)("GET", "/repository/example/nothing")[1]["error_type"] == "not_found"
    missing = Api(quay)("GET", "/organization/example/robots/nothing")
    assert missing == (400, {"message": "Could not find robot with specified username"})
    wrong = Api(quay, "wrong")
    assert wrong("POST", "/repository", REPOSITORY) == (403, {"error": "CSRF token was invalid or missing."})
    status, said = wrong("GET", "/repository?namespace=example")
    assert (status, said["error_type"]) == (401, "invalid_token")


def test_other_namespaces_and_missing_scopes_are_403(quay: RunningQuay) -> None:
    quay.state.organization("others")
    weak = Api(quay, quay.state.token("example", scopes=("repo:create", "repo:admin")))
    assert Api(quay)("POST", "/repository", {**REPOSITORY, "namespace": "nobody", "repository": "x"})[0] == 403
    assert Api(quay)("GET", "/repository/others/x")[0] == 403
    assert Api(quay)("GET", "/organization/others/robots")[0] == 403
    assert weak("GET", "/organization/example/robots")[1]["error_type"] == "insufficient_scope"
    assert weak("POST", "/repository", {**REPOSITORY, "repository": "x"})[0] == 201


def test_a_private_repository_over_the_plan_is_402(quay: RunningQuay) -> None:
    quay.state.organizations["example"]["private_limit"] = 1
    api = Api(quay)
    for name, status in (("one", 201), ("two", 402)):
        assert api("POST", "/repository", {**REPOSITORY, "repository": name, "visibility": "private"})[0] == status
    api("POST", "/repository", {**REPOSITORY, "repository": "two"})
    status, said = api("POST", "/repository/example/two/changevisibility", {"visibility": "private"})
    assert (status, said["error_type"]) == (402, "exceeds_license")
    assert api("POST", "/repository/example/none/changevisibility", {"visibility": "private"}) == (200, None)


def test_robots_are_listed_with_permissions_and_tokens_on_demand(quay: RunningQuay) -> None:
    api = Api(quay)
    api("POST", "/repository", {**REPOSITORY, "repository": "climate"})
    api("PUT", "/organization/example/robots/climate", {"description": "x"})
    assert api("PUT", "/repository/example/climate/permissions/user/example+climate", {"role": "write"})[0] == 200
    _, bare = api("GET", "/organization/example/robots?token=false")
    _, full = api("GET", "/organization/example/robots?permissions=true")
    assert set(bare["robots"][0]) == {"name", "created", "description", "last_accessed"}
    assert full["robots"][0]["repositories"] == ["climate"]
    assert len(full["robots"][0]["token"]) == 64
    _, roles = api("GET", "/repository/example/climate/permissions/user/")
    assert roles["permissions"]["example+climate"]["role"] == "write"


def test_deleting_twice_is_400_for_robots_and_204_for_repositories(quay: RunningQuay) -> None:
    api = Api(quay)
    api("POST", "/repository", {**REPOSITORY, "repository": "climate"})
    api("PUT", "/organization/example/robots/climate")
    user = "/repository/example/climate/permissions/user/example+climate"
    api("PUT", user, {"role": "write"})
    assert [api("DELETE", user)[0] for _ in range(2)] == [204, 400]
    assert [api("DELETE", "/organization/example/robots/climate")[0] for _ in range(2)] == [204, 400]
    assert [api("DELETE", "/repository/example/climate")[0] for _ in range(2)] == [204, 204]
    assert api("PUT", user, {"role": "write"})[0] == 404


@pytest.mark.parametrize("name", ["x", "Big", "a--b", "end-", "a" * 256])
def test_names_that_a_robot_cannot_have(quay: RunningQuay, name: str) -> None:
    assert Api(quay)("PUT", f"/organization/example/robots/{name}")[0] == 400


def test_what_the_sandbox_does_not_know_fails_loudly(quay: RunningQuay) -> None:
    assert Api(quay)("POST", "/organization/example/prototypes", {})[0] == 501


def test_too_many_requests_are_429() -> None:
    moment = [0.0]
    with serve_quay(rate=RateLimit(5, 2, lambda: moment[0])) as quay:
        url, headers = f"{quay.url}/api/v1/organization/example", {"authorization": f"Bearer {quay.token}"}
        assert [httpx.get(url, headers=headers).status_code for _ in range(3)] == [200, 200, 429]
        moment[0] = 0.2
        assert [httpx.get(url, headers=headers).status_code for _ in range(2)] == [200, 429]


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with serve_quay(tmp_path) as first:
        Api(first)("POST", "/repository", {**REPOSITORY, "repository": "climate"})
        token = first.token
    with serve_quay(tmp_path) as second:
        assert second.token == token
        assert Api(second)("GET", "/repository/example/climate")[0] == 200
    assert (tmp_path / "quay.json").stat().st_mode & 0o077 == 0


def _robot(api: Api, name: str, visibility: str = "private", role: str = "write") -> str:
    api("POST", "/repository", {**REPOSITORY, "repository": name, "visibility": visibility})
    token: str = api("PUT", f"/organization/example/robots/{name}")[1]["token"]
    api("PUT", f"/repository/example/{name}/permissions/user/example+{name}", {"role": role})
    return token


@pytest.mark.parametrize("kind", ["built in", "Debian's"])
def test_a_robot_pushes_to_its_repository_and_is_refused_at_a_neighbours(kind: str, tmp_path: Path) -> None:
    with serve_quay() as quay:
        token, api = _robot(Api(quay), "climate"), Api(quay)
        _robot(api, "neighbour")
        source = Image().lay_out(tmp_path / "layout")
        if kind == "built in":
            _check_with_skopeo(quay, source, token)
            return
        with DebianRegistry(programs().registry, tmp_path / "data", quay.quay.tokens, quay.url) as real:
            quay.quay.registry = real
            _check_with_skopeo(quay, source, token)


def _check_with_skopeo(quay: RunningQuay, source: str, token: str) -> None:
    def copy(name: str) -> tuple[int, str]:
        login = f"--dest-creds=example+climate:{token}"
        target = f"docker://{quay.registry_host}/example/{name}:1"
        done = programs().skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", login, source, target)
        return done.returncode, done.stderr

    assert copy("climate") == (0, "")
    code, said = copy("neighbour")
    assert code != 0
    assert "denied" in said
    _, detail = Api(quay)("GET", "/repository/example/climate?includeTags=true")
    assert detail["tags"]["1"]["manifest_digest"] == Image().digest
    assert Api(quay)("GET", "/repository/example/climate/tag/")[1]["tags"][0]["name"] == "1"


def test_the_token_service_follows_roles_teams_and_visibility(quay: RunningQuay) -> None:
    api = Api(quay)
    login = Credentials("example+climate", Secret(_robot(api, "climate")))
    _robot(api, "hidden")
    _robot(api, "open", "public")
    client = OciClient(quay.registry_host, Http(lambda: None))

    def granted() -> list[list[str]]:
        return [sorted(client.granted(f"example/{name}", login) or ()) for name in ("climate", "hidden", "open")]

    assert granted() == [["pull", "push"], [], ["pull"]]
    team = {"members": ["example+climate"], "repositories": {"hidden": "write"}}
    quay.state.organizations["example"]["teams"]["builders"] = team
    api("PUT", "/repository/example/climate/permissions/user/example+climate", {"role": "read"})
    assert granted() == [["pull"], ["pull", "push"], ["pull"]]
    assert api("DELETE", "/organization/example/team/builders/members/example+climate")[0] == 204
    assert granted() == [["pull"], [], ["pull"]]


def test_an_oauth_token_reaches_the_images_of_its_own_organisations_only(quay: RunningQuay) -> None:
    quay.state.organization("others")
    _robot(Api(quay), "climate")
    hidden = {"description": "", "is_public": False, "last_modified": 0, "permissions": {}}
    quay.state.repositories["others/hidden"] = hidden
    client, login = OciClient(quay.registry_host, Http(lambda: None)), Credentials("$oauthtoken", Secret(quay.token))
    assert client.granted("example/climate", login) == frozenset({"pull", "push"})
    assert client.granted("others/hidden", login) == frozenset()


def test_a_regenerated_token_replaces_the_old_one_at_once(quay: RunningQuay) -> None:
    api = Api(quay)
    old = _robot(api, "climate")
    new = api("POST", "/organization/example/robots/climate/regenerate")[1]["token"]
    url = f"{quay.url}/v2/auth?service=quay&scope=repository:example/climate:push"
    assert httpx.get(url, auth=("example+climate", old)).status_code == 401
    assert httpx.get(url, auth=("example+climate", new)).status_code == 200
    assert httpx.get(url, auth=("$oauthtoken", quay.token)).status_code == 200
