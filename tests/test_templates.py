"""What the built-in template holds, that it is sound, that it builds; and folders of one's own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest
import yaml

from fleet.errors import InputError
from fleet.provider import Login
from fleet.render import RenderValues, TemplateFile, render
from fleet.sandbox.github.actions.workflow import parse
from fleet.templates import MAX_FILE, Template, read_pins, read_template
from fleet_ghcr import LABELS
from tests.logins import LOGINS

BUILD, TEST = MANAGED = (".github/workflows/build.yaml", ".github/workflows/test.yaml")
SEED = ("README.md", "environment.yml")


def values_of(host: str, login: Login | None, branch: str = "main") -> RenderValues:
    return RenderValues(host, "example/climate", branch, read_pins(), login)


NO_LOGIN = RenderValues("127.0.0.1:5000", "climate", "release/1.x", read_pins())
ALL = {"no login": NO_LOGIN, **{name: values_of(*given) for name, given in LOGINS.items()}}
LOGIN = ALL["a stored password"]
ALL["an environment"] = dataclasses.replace(LOGIN, environment="registry")
ALL["labels"] = dataclasses.replace(ALL["GITHUB_TOKEN"], labels=LABELS)


def builtin() -> Template:
    return read_template("builtin:user-image", Path("/nowhere"), MANAGED, SEED)


def workflow(path: str, values: RenderValues = LOGIN) -> bytes:
    return render(builtin().managed, values)[path]


def tool(name: str) -> str:
    """A tool of the development group, beside this Python or on the path."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    assert found, f"{name} is not installed"
    return found


# --- the built-in template


def test_the_builtin_template_holds_these_files_and_no_others() -> None:
    root = files("fleet.templates") / "user-image"
    assert isinstance(root, Path)
    held = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert held == {*MANAGED, *SEED}
    assert builtin().seed.keys() == set(SEED)
    assert "python" in str(yaml.safe_load(builtin().seed["environment.yml"])["dependencies"])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository for every kind of login, which holds the rendered workflows."""
    root = tmp_path_factory.mktemp("repositories")
    for kind, values in ALL.items():
        for path, data in render(builtin().managed, values).items():
            file = root / kind.replace(" ", "-") / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    return root


def test_rendered_workflows_pass_the_published_schema(rendered: Path, tmp_path: Path) -> None:
    paths = [str(path) for path in rendered.rglob("*.yaml")]
    assert len(paths) == len(ALL) * len(MANAGED)
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(workflow(BUILD).replace(b"runs-on:", b"runs:"))
    assert subprocess.run([*command, str(broken)], capture_output=True).returncode == 1


def findings(folder: Path) -> list[str]:
    """What zizmor finds in all repositories below a folder, as `severity: audit`."""
    command = [tool("zizmor"), "--offline", "--no-config", "--persona", "pedantic", "--format", "json-v1", str(folder)]
    done = subprocess.run([*command, "--no-exit-codes"], capture_output=True, text=True, check=True)
    return [f"{one['determinations']['severity']}: {one['ident']}" for one in json.loads(done.stdout)]


def test_zizmor_finds_nothing_at_all_even_when_pedantic(rendered: Path, tmp_path: Path) -> None:
    assert findings(rendered) == []
    for kind, values in ALL.items():
        careless = tmp_path / kind.replace(" ", "-") / BUILD
        careless.parent.mkdir(parents=True)
        careless.write_bytes(workflow(BUILD, values).replace(b"persist-credentials: false", b"fetch-depth: 1"))
    assert findings(tmp_path) == ["Medium: artipacked"] * len(ALL)


@pytest.mark.parametrize(("path", "kind"), list(product(MANAGED, ALL)))
def test_rights_are_the_least_and_time_is_bounded(path: str, kind: str) -> None:
    document = yaml.safe_load(workflow(path, ALL[kind]))
    login = ALL[kind].login
    more = dict(login.permissions) if login and path == BUILD else {}
    (job,) = document["jobs"].values()
    assert document["permissions"] == {}
    assert job["permissions"] == {"contents": "read", **more}
    assert 0 < job["timeout-minutes"] <= 360
    assert document["concurrency"]["cancel-in-progress"] is True
    assert job["steps"][0]["with"] == {"persist-credentials": False}
    assert "LATEST_TAG_OFF" not in str(document)  # set to anything at all, it takes the cache away from builds
    assert all(
        set(step) <= {"name", "id", "uses", "with"} for step in job["steps"]
    )  # no shell, so nothing to inject into


@pytest.mark.parametrize("kind", ALL)
def test_a_pull_request_is_built_without_any_credential(kind: str) -> None:
    text = workflow(TEST, ALL[kind]).decode()
    assert not re.search("secrets|steps[.]|id-token|packages", text)
    assert set(parse(TEST, text.encode()).on) == {"pull_request"}
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert job["steps"][1]["with"] == {
        "NO_PUSH": "true",
        "DOCKER_REGISTRY": ALL[kind].registry_host,
        "IMAGE_NAME": ALL[kind].image_name,
        "REPO_DIR": "/srv/repo",
    }


def test_only_the_default_branch_is_pushed_even_when_started_by_hand() -> None:
    build = parse(BUILD, workflow(BUILD, NO_LOGIN))
    assert build.on == {"push": {"branches": ["release/1.x"]}, "workflow_dispatch": {}}
    assert [job.condition for job in build.jobs] == ["github.ref == 'refs/heads/release/1.x'"]
    assert "secrets" not in workflow(BUILD, NO_LOGIN).decode()


@pytest.mark.parametrize("kind", LOGINS)
def test_a_build_logs_in_before_it_builds_and_hands_the_login_on(kind: str) -> None:
    host, login = LOGINS[kind]
    (job,) = yaml.safe_load(workflow(BUILD, ALL[kind]))["jobs"].values()
    first, *steps, last = job["steps"]
    assert first["name"] == "Check out"
    wanted = [(step.name, step.id, read_pins()[step.action].name, dict(step.inputs)) for step in login.steps]
    assert [(one["name"], one["id"], one["uses"].partition("@")[0], one["with"]) for one in steps] == wanted
    assert (last["with"]["DOCKER_USERNAME"], last["with"]["DOCKER_PASSWORD"]) == (login.username, login.password)
    assert last["with"]["DOCKER_REGISTRY"] == host


def test_labels_are_given_to_the_image_where_a_registry_wants_them() -> None:
    source = "${{ github.server_url }}/${{ github.repository }}"
    given = f'REPO2DOCKER_EXTRA_ARGS: "--label org.opencontainers.image.source={source}"'
    assert given in workflow(BUILD, ALL["labels"]).decode()
    assert b"REPO2DOCKER_EXTRA_ARGS" not in workflow(BUILD)


def test_rendering_gives_the_same_bytes_again() -> None:
    assert workflow(BUILD) == workflow(BUILD)
    assert workflow(BUILD) != workflow(BUILD, dataclasses.replace(LOGIN, default_branch="trunk"))
    assert all(data.endswith(b"\n") and b"\r" not in data and b"<<" not in data for data in builtin().seed.values())


# --- the table of actions

IN_CI = {"setup-python", "upload-artifact", "download-artifact", "azure-login"}
"""Those that only the workflow of a fleet repository and fleet's own action use."""


def test_every_action_is_used_at_its_commit_in_the_table_and_nowhere_else() -> None:
    rendered = [workflow(path, values) for path, values in product(MANAGED, ALL.values())]
    used = {step.uses for data in rendered for job in parse(BUILD, data).jobs for step in job.steps}
    assert used == {f"{pin.name}@{pin.sha}" for name, pin in read_pins().items() if name not in IN_CI}
    root = files("fleet.templates")
    assert isinstance(root, Path)
    held = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path.name for path in held if re.search(rb"[0-9a-f]{40}", path.read_bytes())] == ["actions.toml"]


def test_the_table_says_of_each_commit_how_it_was_read() -> None:
    rows = tomllib.loads((files("fleet.templates") / "actions.toml").read_text("utf-8")).values()
    assert all(set(row) == {"action", "tag", "sha", "provenance"} for row in rows)
    assert all(re.match(r"20\d\d-\d\d-\d\d, git ", row["provenance"]) for row in rows)
    assert len({row["action"] for row in rows}) == len(rows)


# --- folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fleet's folder with a template of its own and a file beside it."""
    own = tmp_path / "fleet/templates/own"
    (own / ".github/workflows").mkdir(parents=True)
    (own / "environment.yml").write_bytes(b"dependencies: [r-base]\r\n")
    (own / "start").write_bytes(b"#!/bin/sh\ncat <<EOF\n\xff\nEOF\n")
    (own / BUILD).write_text("image: << image >>\n")
    (tmp_path / "fleet/secret").write_text("s3cret")
    return tmp_path / "fleet"


def test_a_folder_gives_its_files_as_they_are_and_the_builtin_what_it_lacks(folder: Path) -> None:
    template = read_template("./templates/own", folder, MANAGED, ["environment.yml", "start"])
    assert template.seed["environment.yml"] == b"dependencies: [r-base]\r\n"
    assert b"\xff" in template.seed["start"]
    own = TemplateFile(f"templates/own/{BUILD}", b"image: << image >>\n")
    assert template.managed == {BUILD: own, TEST: builtin().managed[TEST]}
    assert render(template.managed, LOGIN)[BUILD] == b"image: quay.io/example/climate\n"


def test_a_mistake_in_a_folders_file_is_shown_where_that_file_lies(folder: Path) -> None:
    (folder / "templates/own" / BUILD).write_text("a\nimage: << imag >>\n")
    template = read_template("./templates/own", folder, MANAGED, [])
    with pytest.raises(InputError, match=f'^templates/own/{BUILD}:2:1: no value is named "imag"'):
        render(template.managed, LOGIN)


def test_a_template_repository_brings_its_first_content_itself() -> None:
    template = read_template("example-org/template", Path("/nowhere"), MANAGED, ["environment.yml"])
    assert template == Template({}, builtin().managed)


def test_a_link_inside_the_folder_is_followed_and_one_out_of_it_is_not(folder: Path) -> None:
    own = folder / "templates/own"
    (own / "inside").symlink_to("environment.yml")
    (own / "outside").symlink_to("../../secret")
    (own / "above").symlink_to("../..")
    (own / "circle").symlink_to("circle")
    assert read_template("./templates/own", folder, [], ["inside"]).seed["inside"] == b"dependencies: [r-base]\r\n"
    for path in ("outside", "above/secret", "../../secret", str(folder / "secret")):
        with pytest.raises(InputError, match="leads out of its template"):
            read_template("./templates/own", folder, [], [path])
    with pytest.raises(InputError, match=r"cannot be read: .*circle"):
        read_template("./templates/own", folder, [], ["circle"])


@pytest.mark.parametrize("origin", ["..", "./templates/../..", "./elsewhere"])
def test_a_folder_outside_of_the_checkout_is_no_template(folder: Path, origin: str) -> None:
    (folder / "elsewhere").symlink_to(folder.parent)
    (folder.parent / "environment.yml").write_text("not for everybody")
    with pytest.raises(InputError, match=r"leads out of .* where fleet"):
        read_template(origin, folder, [], ["environment.yml"])


def test_a_folder_elsewhere_in_the_checkout_is_one(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "fleets").mkdir()
    template = read_template("../templates/own", folder / "fleets", [], ["environment.yml"])
    assert template.seed["environment.yml"] == b"dependencies: [r-base]\r\n"


@pytest.mark.parametrize(
    ("origin", "seed", "sentence"),
    [
        ("./templates/own", "enviroment.yml", r"the template \./templates/own has no file enviroment\.yml"),
        ("./templates/own", "environment.yml/x", "has no file environment.yml/x"),
        ("./templates/own", "a\0b", "cannot be read: embedded null byte"),
        ("./templates/own", ".github", "is not a plain file"),
        ("./templates/own", "pipe", "is not a plain file"),
        ("./templates/own", "large", f"is larger than {MAX_FILE} bytes"),
        ("./templates/none", "environment.yml", r"the template \./templates/none is not a folder"),
        ("./secret", "environment.yml", "is not a folder"),
        ("builtin:user-imag", "environment.yml", "no template builtin:user-imag; there is builtin:user-image"),
        ("builtin:user-image", "../actions.toml", "has no file ../actions.toml"),
        ("builtin:user-image", ".github", "has no file .github"),
    ],
)
def test_a_file_that_cannot_be_had_is_a_sentence(folder: Path, origin: str, seed: str, sentence: str) -> None:
    os.mkfifo(folder / "templates/own/pipe")
    (folder / "templates/own/large").write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(InputError, match=sentence):
        read_template(origin, folder, [], [seed])


def test_files_that_are_too_large_together_are_refused(folder: Path) -> None:
    names = [f"part-{number}" for number in range(11)]
    for name in names:
        (folder / "templates/own" / name).write_bytes(b"x" * MAX_FILE)
    with pytest.raises(InputError, match="together larger than"):
        read_template("./templates/own", folder, [], names)
