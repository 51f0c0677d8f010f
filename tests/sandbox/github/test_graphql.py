"""Batched reads and commits by GraphQL, with errors as GitHub shapes them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from fleet.sandbox.github import Sandbox
from fleet.sandbox.github.clock import Lag
from fleet.sandbox.github.model import Protection
from tests.sandbox.github.conftest import ENVIRONMENT

Ask = Callable[..., dict[str, Any]]

COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid message signature: author { name } } ref { name } }
}
"""
BUILD = "on: push\njobs: {a: {runs-on: x, steps: [{name: Never, uses: actions/checkout@v5}]}}\n"


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """Send a query with variables, and read the whole answer."""

    def send(query: str, **variables: Any) -> dict[str, Any]:
        answer = http.post("/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    return send


def head(sandbox: Sandbox, name: str = "example-org/template") -> str:
    """Where a repository's default branch is."""
    oid = sandbox.state.repository(name).head
    assert oid is not None
    return oid


def change(oid: str, additions: dict[str, str], deletions: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """The input of a commit on the template's main branch."""
    added = [{"path": path, "contents": base64.b64encode(data.encode()).decode()} for path, data in additions.items()]
    return {
        "branch": {"repositoryNameWithOwner": "example-org/template", "branchName": "main"},
        "expectedHeadOid": oid,
        "message": {"headline": "Change", "body": "More"},
        "fileChanges": {"additions": added, "deletions": [{"path": path} for path in deletions]},
        **more,
    }


def test_many_repositories_are_read_in_one_query(sandbox: Sandbox, ask: Ask) -> None:
    sandbox.state.repository("example-org/template").topics = ("fleet-example",)
    answer = ask(
        """{
          r0: repository(owner: "example-org", name: "TEMPLATE") { ...facts }
          r1: repository(owner: "example-org", name: "missing") { ...facts }
          r2: repository(owner: "example-org", name: "template") { isTemplate }
          rateLimit { cost remaining }
        }
        fragment facts on Repository {
          nameWithOwner isArchived visibility viewerPermission
          repositoryTopics(first: 20) { nodes { topic { name } } }
          defaultBranchRef { name target { oid ... on Commit { history(first: 5) { totalCount nodes { oid } } } } }
          file: object(expression: "HEAD:environment.yml") { ... on Blob { oid byteSize text isBinary isTruncated } }
          absent: object(expression: "HEAD:absent") { oid }
          folder: object(expression: "main:") { ... on Tree { entries { name type } } }
        }"""
    )
    oid = head(sandbox)
    found = answer["data"]["r0"]
    assert found["nameWithOwner"] == "example-org/template"
    assert (found["isArchived"], found["visibility"], found["viewerPermission"]) == (False, "PUBLIC", "ADMIN")
    assert found["repositoryTopics"] == {"nodes": [{"topic": {"name": "fleet-example"}}]}
    assert found["defaultBranchRef"] == {
        "name": "main",
        "target": {"oid": oid, "history": {"totalCount": 1, "nodes": [{"oid": oid}]}},
    }
    assert found["file"]["text"] == ENVIRONMENT
    assert (found["file"]["byteSize"], found["absent"]) == (len(ENVIRONMENT), None)
    assert found["folder"] == {"entries": [{"name": "environment.yml", "type": "blob"}]}
    assert (answer["data"]["r1"], answer["data"]["r2"]) == (None, {"isTemplate": True})
    (error,) = answer["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["r1"])
    assert answer["data"]["rateLimit"] == {"cost": 1, "remaining": 4999}


def test_one_signed_commit_of_many_files_if_the_branch_has_not_moved(sandbox: Sandbox, ask: Ask) -> None:
    old = head(sandbox)
    answer = ask(COMMIT, input=change(old, {"a/b.txt": "new\n", "c.txt": "c"}, ("environment.yml",)))
    made = answer["data"]["createCommitOnBranch"]
    assert made["commit"]["message"] == "Change\n\nMore"
    assert (made["commit"]["oid"], made["ref"]) == (head(sandbox), {"name": "main"})
    files = ask('{ repository(owner: "example-org", name: "template") { object(expression: "HEAD:") { ...on Tree {'
                " entries { path } } } } }")  # fmt: skip
    assert files["data"]["repository"]["object"]["entries"] == [{"path": "a"}, {"path": "c.txt"}]
    stale = ask(COMMIT, input=change(old, {"d.txt": "d"}))
    assert stale["data"] == {"createCommitOnBranch": None}
    assert [error["type"] for error in stale["errors"]] == ["STALE_DATA"]
    assert head(sandbox) == made["commit"]["oid"]


def test_of_many_commits_at_once_exactly_one_lands(sandbox: Sandbox, http: httpx.Client) -> None:
    old = head(sandbox)

    def attempt(number: int) -> str:
        body = {"query": COMMIT, "variables": {"input": change(old, {f"{number}.txt": "x"})}}
        errors = http.post("/graphql", json=body).json().get("errors", [{"type": "landed"}])
        kind: str = errors[0]["type"]
        return kind

    with ThreadPoolExecutor(8) as pool:
        kinds = sorted(pool.map(attempt, range(8)))
    assert kinds == ["STALE_DATA"] * 7 + ["landed"]
    commits = http.get("/repos/example-org/template/commits").json()
    assert [one["sha"] for one in commits] == [head(sandbox), old]


def test_a_branch_that_moves_behind_ones_back_makes_the_commit_stale(sandbox: Sandbox, ask: Ask) -> None:
    old = head(sandbox)
    theirs = sandbox.commit("example-org/template", {"theirs.txt": "x", "environment.yml": None})
    assert ask(COMMIT, input=change(old, {"ours.txt": "x"}))["errors"][0]["type"] == "STALE_DATA"
    assert head(sandbox) == theirs
    assert "errors" not in ask(COMMIT, input=change(theirs, {"ours.txt": "x"}))


def test_a_commit_by_graphql_is_verified(sandbox: Sandbox, ask: Ask, http: httpx.Client) -> None:
    ask(COMMIT, input=change(head(sandbox), {"a.txt": "a"}))
    commits = http.get("/repos/example-org/template/commits").json()
    assert [one["commit"]["verification"]["verified"] for one in commits] == [True, False]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"branch": {"repositoryNameWithOwner": "example-org/missing", "branchName": "main"}}, "NOT_FOUND"),
        ({"branch": {"repositoryNameWithOwner": "example-org/template", "branchName": "no"}}, "NOT_FOUND"),
        ({"fileChanges": {"deletions": [{"path": "absent"}]}}, "UNPROCESSABLE"),
        ({"fileChanges": {"additions": [{"path": "a", "contents": "?"}]}}, "UNPROCESSABLE"),
        ({"fileChanges": {"additions": [{"path": "../a", "contents": ""}]}}, "UNPROCESSABLE"),
    ],
)
def test_commits_that_cannot_be_are_refused(sandbox: Sandbox, ask: Ask, given: dict[str, Any], kind: str) -> None:
    before = head(sandbox)
    answer = ask(COMMIT, input=change(before, {}, **given))
    assert [error["type"] for error in answer["errors"]] == [kind]
    assert head(sandbox) == before


def test_commits_need_their_rights_and_obey_rules(sandbox: Sandbox, ask: Ask) -> None:
    workflow = change(head(sandbox), {".github/workflows/build.yaml": BUILD})
    kinds = []
    for rights in ({"contents": "read"}, {"contents": "write"}):
        token = sandbox.state.create_token("ada", rights)  # type: ignore[arg-type]
        body = {"query": COMMIT, "variables": {"input": workflow}}
        answer = httpx.post(f"{sandbox.url}/graphql", json=body, headers={"authorization": f"Bearer {token}"})
        kinds.append(answer.json()["errors"][0]["type"])
    sandbox.state.repository("example-org/template").protection["main"] = Protection(required_reviews=1)
    kinds.append(ask(COMMIT, input=workflow)["errors"][0]["type"])
    sandbox.state.repository("example-org/template").archived = True
    kinds.append(ask(COMMIT, input=workflow)["errors"][0]["type"])
    assert kinds == ["FORBIDDEN", "FORBIDDEN", "UNPROCESSABLE", "FORBIDDEN"]


def test_runs_at_a_commit_and_rules_of_a_branch_are_read(sandbox: Sandbox, ask: Ask) -> None:
    sandbox.state.settings.builds = "fail"
    sandbox.state.repository("example-org/template").protection["main"] = Protection(("test",), enforce_admins=False)
    ask(COMMIT, input=change(head(sandbox), {".github/workflows/build.yaml": BUILD}))
    sandbox.actions.wait()
    answer = ask(
        """{ repository(owner: "example-org", name: "template") { defaultBranchRef {
          branchProtectionRule { requiredStatusCheckContexts isAdminEnforced }
          rules(first: 5) { nodes { type } }
          target { ... on Commit { statusCheckRollup { state } checkSuites(first: 5) { nodes {
            status conclusion app { slug }
            workflowRun { event runNumber workflow { name state } file { path } }
          } } } }
        } } }"""
    )
    branch = answer["data"]["repository"]["defaultBranchRef"]
    assert branch["branchProtectionRule"] == {"requiredStatusCheckContexts": ["test"], "isAdminEnforced": False}
    assert branch["rules"] == {"nodes": []}
    assert branch["target"]["statusCheckRollup"] == {"state": "FAILURE"}
    (suite,) = branch["target"]["checkSuites"]["nodes"]
    assert (suite["status"], suite["conclusion"], suite["app"]["slug"]) == ("COMPLETED", "FAILURE", "github-actions")
    assert suite["workflowRun"]["file"] == {"path": ".github/workflows/build.yaml"}
    assert suite["workflowRun"]["workflow"]["state"] == "ACTIVE"


def test_a_generating_repository_is_empty_at_first(sandbox: Sandbox, ask: Ask, http: httpx.Client) -> None:
    sandbox.state.settings.generate_lag = Lag(requests=2)
    body = {"owner": "example-org", "name": "made", "private": True}
    assert http.post("/repos/example-org/template/generate", json=body).status_code == 201
    query = '{ repository(owner: "example-org", name: "made") { isEmpty isPrivate defaultBranchRef { name } } }'
    seen = [ask(query)["data"]["repository"] for _ in range(3)]
    assert [one["isEmpty"] for one in seen] == [True, True, False]
    assert [one["defaultBranchRef"] for one in seen] == [None, None, {"name": "main"}]


def test_pages_are_bounded_and_led_by_cursors(sandbox: Sandbox, ask: Ask) -> None:
    for number in range(4):
        sandbox.state.create_repository(f"example-org/image-{number}")
    query = """query($after: String) { organization(login: "example-org") {
      repositories(first: 2, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } } } }"""
    names: list[str] = []
    after: str | None = None
    while True:
        page = ask(query, after=after)["data"]["organization"]["repositories"]
        names += [one["name"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert names == ["template", "image-0", "image-1", "image-2", "image-3"]
    kinds = [
        ask(f'{{ organization(login: "example-org") {{ repositories{first} {{ totalCount }} }} }}')["errors"][0]["type"]
        for first in ("", "(first: 101)")
    ]
    assert kinds == ["MISSING_PAGINATION_BOUNDARIES", "EXCESSIVE_PAGINATION"]


def test_partial_answers_and_limits_come_in_githubs_shapes(sandbox: Sandbox, ask: Ask, http: httpx.Client) -> None:
    two = '{ a: repository(owner: "example-org", name: "template") { name } b: viewer { login } }'
    sandbox.state.settings.graphql_broken = {"example-org/template"}
    answer = ask(two)
    assert (answer["data"], answer["errors"][0]["path"]) == ({"a": None, "b": {"login": "ada"}}, ["a"])
    sandbox.state.settings.graphql_broken = set()
    sandbox.state.settings.graphql_most_repositories = 0
    assert ask(two)["errors"][0]["type"] == "RESOURCE_LIMITS_EXCEEDED"
    sandbox.limits.graphql_per_hour = 2
    assert ask(two)["errors"][0]["type"] == "RATE_LIMITED"
    assert http.get("/rate_limit").json()["resources"]["graphql"]["remaining"] == 0


def test_a_query_is_priced_by_its_connections(ask: Ask) -> None:
    query = """{ rateLimit { cost nodeCount } organization(login: "example-org") { repositories(first: 100) { nodes {
      repositoryTopics(first: 10) { totalCount } defaultBranchRef { rules(first: 5) { totalCount } } } } } }"""
    assert ask(query)["data"]["rateLimit"] == {"cost": 2, "nodeCount": 100 + 1000 + 500}


def test_what_is_not_in_the_schema_is_refused_loudly(http: httpx.Client) -> None:
    queries = ["{ viewer { bio } }", '{ repository(owner: "a", name: "b") { pullRequests(first: 1) { totalCount } } }']
    for query, name in zip(queries, ("'bio'", "'pullRequests'"), strict=True):
        answer = http.post("/graphql", json={"query": query})
        assert (answer.status_code, name in answer.json()["message"]) == (501, True)


def test_strangers_and_broken_requests_are_turned_away(sandbox: Sandbox) -> None:
    assert httpx.post(f"{sandbox.url}/graphql", json={"query": "{ viewer { login } }"}).status_code == 401
